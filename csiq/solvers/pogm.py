"""POGM, the proximal optimised gradient method with restart: ``--solver pogm``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from csiq.arrays import combined, norm2, vdot
from csiq.solvers.base import Solver
from csiq.solvers.problem import Problem
from csiq.solvers.proximal import WarmProx

#: Steps of the Lanczos estimate of the largest eigenvalue; each costs one phase, a quarter of an iteration.
_LANCZOS_STEPS = 8


class POGM(Solver):
    """Minimise data term + penalties, one operator application an iteration.

    Momentum on top of proximal gradient steps of fixed length 1 / L, with L twice the largest eigenvalue of
    the normal operator. Curves of cost and grade are smooth, which a rule that looks for a plateau needs.
    When an iterate costs more than the one before, the momentum starts anew; when the curvature along a move
    is larger than L, L grows to it.

    Parameters
    ----------
    problem : Problem
    max_iter : int

    Attributes
    ----------
    volumes : complex64 array, (n_phases, z, y, x)
        The current iterate; the next update replaces it.
    cost : Cost

    References
    ----------
    Taylor AB, Hendrickx JM, Glineur F. Exact worst-case performance of first-order methods for composite
    convex optimization. SIAM J Optim 2017;27:1283-1313. Kim D, Fessler JA. Adaptive restart of the optimized
    gradient method for convex optimization. J Optim Theory Appl 2018;178:240-263.
    """

    VOLUME_SETS, DIFFERENCE_SETS, SEARCH_SETS = 10, 1, 8
    _ARRAYS = ("gradient_point", "momentum_point")
    _NUMBERS = ("theta", "gamma", "lipschitz")

    def __init__(self, problem: Problem, max_iter: int = 20) -> None:
        super().__init__(problem, max_iter)
        self._lipschitz = 2 * max(problem.largest_eigenvalue(_LANCZOS_STEPS), self._curvature)
        self._gradient_point = self._momentum_point = self.volumes
        self._theta, self._gamma = 1.0, 1.0 / self._lipschitz
        self._prox = WarmProx(problem)

    def _update(self) -> None:
        problem, step = self.problem, 1 / self._lipschitz
        x, w_before, z_before, theta = self.volumes, self._gradient_point, self._momentum_point, self._theta
        w = combined((1, x), (-2 * step, self._normal_volumes), (2 * step, problem.rhs))
        theta_next = (1 + math.sqrt(1 + 4 * theta**2)) / 2
        gamma = step * (2 * theta + theta_next - 1) / theta_next
        a, b = theta / theta_next, (theta - 1) / theta_next
        c = b * step / self._gamma
        z = combined((1 + a + b, w), (-a - c, x), (-b, w_before), (c, z_before))
        new = self._prox(z, gamma)
        normal_new = problem.normal(new)
        cost = problem.cost(new, normal_new)
        move = combined((1, new), (-1, x))
        length2 = norm2(move)
        bend = vdot(move, normal_new).real - vdot(move, self._normal_volumes).real
        curvature = 2 * bend / length2 if length2 > 0 else 0.0
        self.stationary = length2 <= 1e-14 * norm2(new)
        restart = not cost.total <= self.cost.total
        if curvature > self._lipschitz:
            self._lipschitz, restart = 1.05 * curvature, True
        self.volumes, self._normal_volumes, self.cost = new, normal_new, cost
        self._gradient_point, self._momentum_point = w, z
        self._theta, self._gamma = (1.0 if restart else theta_next), gamma

    def state(self) -> dict[str, Any]:
        """Return arrays and numbers from which :meth:`restore` goes on as if nothing had happened."""
        return {**super().state(), **self._prox.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up the state of another solver of the same problem."""
        super().restore(state)
        self._prox.restore(state)
