"""FISTA and ADMM for the same problem, to compare with: textbook methods, as short as they come."""

from __future__ import annotations

import math

import numpy as np
import sigpy

from csiq.arrays import Array, vdot, xp_of
from csiq.operators import PhaseDifference
from csiq.solvers import Problem
from csiq.solvers.problem import start_of
from csiq.solvers.proximal import WarmProx


class FISTA(sigpy.alg.Alg):
    """Accelerated proximal gradient with restart, its step from the Lanczos steps that POGM takes.

    References
    ----------
    Beck A, Teboulle M. SIAM J Imaging Sci 2009;2:183-202. O'Donoghue B, Candes E. Found Comput Math
    2015;15:715-732.
    """

    def __init__(self, problem: Problem, max_iter: int = 20) -> None:
        self.problem, self._prox = problem, WarmProx(problem)
        self.volumes, self._normal_volumes, curvature = start_of(problem)
        self._step = 1 / (2 * max(problem.largest_eigenvalue(8), curvature))
        self._point, self._normal_point, self._theta = self.volumes, self._normal_volumes, 1.0
        self.cost = problem.cost(self.volumes, self._normal_volumes)
        super().__init__(max_iter)

    def _update(self) -> None:
        problem = self.problem
        target = self._point - np.float32(self._step) * problem.gradient(self._normal_point)
        new = self._prox(target, self._step)
        normal_new = problem.normal(new)
        cost = problem.cost(new, normal_new)
        theta = 1.0 if cost.total > self.cost.total else self._theta
        self._theta = (1 + math.sqrt(1 + 4 * theta**2)) / 2
        beta = np.float32((theta - 1) / self._theta)
        # N of the extrapolated point follows from those of the two it lies on a line with
        self._point = new + beta * (new - self.volumes)
        self._normal_point = normal_new + beta * (normal_new - self._normal_volumes)
        self.volumes, self._normal_volumes, self.cost = new, normal_new, cost


class ADMM(sigpy.alg.Alg):
    """Alternating directions with z = D x split off; conjugate gradient steps on x between its updates.

    They start from the last x with N x carried along: one operator application an iteration.

    References
    ----------
    Boyd S, et al. Distributed optimization and statistical learning via the alternating direction method of
    multipliers. Found Trends Mach Learn 2011;3:1-122.
    """

    #: Penalty parameter, relative to the curvature of the data term along the gridded image: the best of four
    #: at 32^3 (0.1, 0.3, 1, 3), with one or two steps on x.
    RHO = 0.3
    #: Conjugate gradient steps between two updates of z.
    CG_STEPS = 2

    def __init__(self, problem: Problem, max_iter: int = 20) -> None:
        self.problem = problem
        self.volumes, self._normal_volumes, curvature = start_of(problem)
        self._rho = self.RHO * 2 * curvature
        self._difference = PhaseDifference(self.volumes.shape)
        self._split: Array = self._difference(self.volumes)
        self._dual: Array = self._split * 0
        self._direction: Array = self.volumes * 0
        self._size = 0.0
        self.cost = problem.cost(self.volumes, self._normal_volumes)
        super().__init__(max_iter)

    def _update(self) -> None:
        if self.iter % self.CG_STEPS == 0:
            self._shrink()
            self._size = 0.0
        problem, d = self.problem, self._difference
        tied = d(self.volumes) - self._split + self._dual
        residual = -problem.gradient(self._normal_volumes) - np.float32(self._rho) * d.H(tied)
        size = vdot(residual, residual).real
        beta = size / self._size if self._size > 0 else 0.0
        self._direction, self._size = residual + np.float32(beta) * self._direction, size
        normal_direction = problem.normal(self._direction)
        steps = d(self._direction)
        curvature = 2 * vdot(self._direction, normal_direction).real + self._rho * vdot(steps, steps).real
        alpha = np.float32(size / curvature)
        self.volumes = self.volumes + alpha * self._direction
        self._normal_volumes = self._normal_volumes + alpha * normal_direction
        self.cost = problem.cost(self.volumes, self._normal_volumes)

    def _shrink(self) -> None:
        """Update z and the dual variable."""
        xp = xp_of(self.volumes)
        steps = self._difference(self.volumes)
        wanted = steps + self._dual
        size = xp.maximum(xp.abs(wanted), 1e-30)
        self._split = wanted * xp.maximum(1 - self.problem.lamda_abs / self._rho / size, 0).astype(np.float32)
        self._dual = wanted - self._split
