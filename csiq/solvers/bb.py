"""Barzilai-Borwein proximal gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from csiq.arrays import Array, combined, norm2, vdot
from csiq.solvers.base import Solver
from csiq.solvers.problem import Problem
from csiq.solvers.proximal import WarmProx


class BarzilaiBorwein(Solver):
    """Minimise data term + penalties, one operator application an iteration.

    Each step goes from x to the proximal point of x - t grad with the spectral step length t of the last
    move. N x is carried along, and the data term is quadratic, so the cost of every point on the segment
    is known without the operator: where the full step would raise the cost, the best point on the segment
    is taken. No Lipschitz constant, no power iteration.

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
    Wright SJ, Nowak RD, Figueiredo MAT. Sparse reconstruction by separable approximation. IEEE Trans
    Signal Process 2009;57:2479-2493. Barzilai J, Borwein JM. IMA J Numer Anal 1988;8:141-148.
    """

    VOLUME_SETS, DIFFERENCE_SETS, SEARCH_SETS = 9, 1, 6
    _NUMBERS = ("step",)

    def __init__(self, problem: Problem, max_iter: int = 20) -> None:
        super().__init__(problem, max_iter)
        self._step = 1 / (2 * self._curvature)
        self._prox = WarmProx(problem)

    def _update(self) -> None:
        problem = self.problem
        gradient = problem.gradient(self._normal_volumes)
        target = combined((1, self.volumes), (-self._step, gradient))
        candidate = self._prox(target, self._step)
        move = combined((1, candidate), (-1, self.volumes))
        normal_move = problem.normal(move)
        length2, curvature = norm2(move), vdot(move, normal_move).real
        normal_candidate = combined((1, self._normal_volumes), (1, normal_move))
        cost, fraction = problem.cost(candidate, normal_candidate), 1.0
        if not cost.total <= self.cost.total:
            fraction = self._fraction(move, gradient, curvature)
            candidate = combined((1, self.volumes), (fraction, move))
            normal_candidate = combined((1, self._normal_volumes), (fraction, normal_move))
            cost = problem.cost(candidate, normal_candidate)
        self.stationary = length2 == 0 or fraction == 0
        self.volumes, self._normal_volumes, self.cost = candidate, normal_candidate, cost
        if curvature > 0:
            self._step = length2 / (2 * curvature)

    def _fraction(self, move: Array, gradient: Array, curvature: float) -> float:
        """Return how far to go along the move to the lowest cost on the segment; no operator is needed."""
        slope = vdot(gradient, move).real

        def cost_at(fraction: float) -> float:
            """Return the cost after so much of the move; the data term is a parabola, known beforehand."""
            data = self.cost.data + fraction * slope + fraction**2 * curvature
            point = combined((1, self.volumes), (fraction, move))
            return data + self.problem.weighted_penalty(point)

        return _minimise_convex(cost_at, self.cost.total)

    def state(self) -> dict[str, Any]:
        """Return arrays and numbers from which :meth:`restore` goes on as if nothing had happened."""
        return {**super().state(), **self._prox.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up the state of another solver of the same problem."""
        super().restore(state)
        self._prox.restore(state)


def _minimise_convex(cost_at: Callable[[float], float], start: float, n_steps: int = 12) -> float:
    """Return the fraction in [0, 1] of lowest cost by golden sections; 0 if none is below ``start``."""
    ratio = (math.sqrt(5) - 1) / 2
    low, high = 0.0, 1.0
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    cost_a, cost_b = cost_at(a), cost_at(b)
    for _ in range(n_steps):
        if cost_a <= cost_b:
            high, b, cost_b = b, a, cost_a
            a = high - ratio * (high - low)
            cost_a = cost_at(a)
        else:
            low, a, cost_a = a, b, cost_b
            b = low + ratio * (high - low)
            cost_b = cost_at(b)
    best, cost = (a, cost_a) if cost_a <= cost_b else (b, cost_b)
    return best if cost < start else 0.0
