"""The proximal operator of all penalties together, warm-started from the one before.

The total variation along the phases alone is solved voxel by voxel. With further penalties, their dual
variables u_i live outside: for given u the minimiser x(u) is that same voxelwise proximal point, of the
target minus sum K_i^H u_i, and the u_i follow by accelerated projected steps on their disks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from csiq.arrays import Array, norm2, xp_of
from csiq.solvers.modulus import dual_step
from csiq.solvers.penalties import Penalty, grouped, summed
from csiq.solvers.problem import Problem

#: Duality gap at which the search ends, relative to 1/2 ||target||^2, and steps at most.
JOINT_GAP = 1e-7
MAX_STEPS = 100


class WarmProx:
    """Proximal operator of a problem's penalties that remembers its dual variables.

    Parameters
    ----------
    problem : Problem

    Attributes
    ----------
    steps : int
        Steps on the dual of the last call; 0 where the phases' total variation stands alone.
    gap : float
        Bound of the duality gap of the last call, relative to 1/2 ||target||^2; 0 likewise.

    References
    ----------
    Beck A, Teboulle M. Fast gradient-based algorithms for constrained total variation image denoising and
    deblurring problems. IEEE Trans Image Process 2009;18:2419-2434. O'Donoghue B, Candes E. Adaptive restart
    for accelerated gradient schemes. Found Comput Math 2015;15:715-732.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._phase_dual: Array = problem.gridded[1:] * 0
        self._duals = [_zeros(penalty, problem.gridded) for penalty in problem.further]
        self._step = 0.0
        self.steps, self.gap = 0, 0.0

    def __call__(self, target: Array, step: float) -> Array:
        """Return the minimiser of 1/2 ||x - target||^2 + step * the weighted penalties.

        Parameters
        ----------
        target : complex64 array, (n_phases, z, y, x)
        step : float
        """
        problem, ratio = self._problem, step / self._step if self._step > 0 else 0.0
        if self._duals:
            # the dual solution grows with the weight: rescaled, the last one is a good start
            for dual in self._duals:
                dual *= np.float32(ratio)
            x = self._search(target, step)
        else:
            x = problem.warm_prox(target, step, self._phase_dual, self._step * problem.lamda_abs)
        self._step = step
        return x

    def _search(self, target: Array, step: float) -> Array:
        problem = self._problem
        points = [dual.copy() for dual in self._duals]
        tolerance, theta, before = 0.5 * norm2(target), 1.0, self._step
        for self.steps in range(1, MAX_STEPS + 1):
            pulled = self._pulled(target, points)
            x = problem.warm_prox(pulled, step, self._phase_dual, before * problem.lamda_abs)
            before = step
            theta_next = (1 + math.sqrt(1 + 4 * theta**2)) / 2
            gap, product = self._move(x, points, step, (theta - 1) / theta_next)
            theta = theta_next
            self.gap = gap / tolerance if tolerance > 0 else 0.0
            if self.gap <= JOINT_GAP:
                break
            if product > 0:
                theta = 1.0
                for point, dual in zip(points, self._duals, strict=True):
                    point[...] = dual
        return x

    def _pulled(self, target: Array, points: Sequence[Array]) -> Array:
        """Return the target minus sum K_i^H q_i."""
        out = target.copy()

        def task(part: Array, penalty: Penalty, coefficients: Array) -> tuple[float, ...]:
            """Subtract one penalty's adjoint from its part, in place."""
            part -= penalty.adjoint(coefficients, part.shape)
            return ()

        for penalty, point in zip(self._problem.further, points, strict=True):
            arguments = [(part, penalty, q) for part, q in zip(penalty.parts(out), point, strict=True)]
            summed(task, arguments, self._problem.threads)
        return out

    def _move(self, x: Array, points: Sequence[Array], step: float, beta: float) -> tuple[float, float]:
        """Do one step on all duals; return the gap and the restart test."""
        further, totals = self._problem.further, np.zeros(2)

        def task(part: Array, q: Array, u: Array, penalty: Penalty) -> tuple[float, ...]:
            """Do one penalty's step on its dual, in place; return its shares of gap and restart test."""
            # sum over the penalties of tau_i ||K_i||^2 <= 1, an equal share for each
            tau = 1 / (len(further) * penalty.norm2(part.shape))
            kx = grouped(penalty.forward(part))
            return dual_step(kx, (grouped(q), grouped(u)), tau, step * penalty.weight, beta)

        for penalty, point, dual in zip(further, points, self._duals, strict=True):
            arguments = [
                (part, q, u, penalty) for part, q, u in zip(penalty.parts(x), point, dual, strict=True)
            ]
            totals += summed(task, arguments, self._problem.threads)
        return float(totals[0]), float(totals[1])

    def state(self) -> dict[str, Any]:
        """Return arrays and numbers for :meth:`restore`; the arrays do not change any more."""
        duals = zip(self._problem.further, self._duals, strict=True)
        return {
            "dual": self._phase_dual.copy(),
            "dual_step": self._step,
            **{f"dual_{penalty.name}": dual.copy() for penalty, dual in duals},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up the state of another one of the same problem."""
        self._phase_dual, self._step = state["dual"], float(state["dual_step"])
        self._duals = [state[f"dual_{penalty.name}"] for penalty in self._problem.further]


def _zeros(penalty: Penalty, volumes: Array) -> Array:
    shape = penalty.coefficients_shape(volumes.shape[1:])
    return xp_of(volumes).zeros((volumes.shape[0], *shape), dtype=np.complex64)
