"""Nonlinear conjugate gradients on smoothed penalties, as in XD-GRASP."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from csiq.arrays import Array, combined, norm2, vdot, xp_of
from csiq.solvers.base import Solver
from csiq.solvers.problem import Problem
from csiq.solvers.smoothing import Line, add_penalty_gradient

#: Modulus below which a penalty is rounded off, relative to the largest voxel of iteration 0: at first, the
#: iterations after which it is half of that, and at least. A smaller one at first is slower, a larger one in
#: the end is biased.
SMOOTHING, HALVED_AFTER, LEAST_SMOOTHING = 1e-2, 20, 1e-4


class NLCG(Solver):
    """Minimise data term + smoothed penalties by conjugate gradients, one operator application an iteration.

    sqrt(|K x|^2 + mu^2) stands for each modulus |K x|, with a mu that shrinks from iteration to iteration.
    Directions follow Polak and Ribiere (the authors': Fletcher and Reeves), and the step goes to the exact
    minimum (theirs: backtracking): the data term is a quadratic in the step, with N d at hand, and the
    penalties need no operator.

    Parameters
    ----------
    problem : Problem
    max_iter : int

    Attributes
    ----------
    volumes : complex64 array, (n_phases, z, y, x)
        The current iterate; the next update replaces it.
    cost : Cost
        With the moduli themselves, not the smoothed ones: comparable with that of other solvers.

    References
    ----------
    Feng L, et al. XD-GRASP. Magn Reson Med 2016;75:775-788. Lustig M, Donoho D, Pauly JM. Sparse MRI. Magn
    Reson Med 2007;58:1182-1195. Polak E, Ribiere G. Rev Fr Inform Rech Oper 1969;3:35-43.
    """

    VOLUME_SETS, DIFFERENCE_SETS, SEARCH_SETS = 10, 1.5, 0
    _ARRAYS = ("gradient", "direction")
    _NUMBERS: ClassVar[tuple[str, ...]] = ("step",)

    def __init__(self, problem: Problem, max_iter: int = 20) -> None:
        super().__init__(problem, max_iter)
        self._peak = float(xp_of(self.volumes).abs(self.volumes).max())
        self._gradient: Array = self.volumes * 0
        self._direction: Array = self.volumes * 0
        self._step = 0.0
        self.stationary = self._peak == 0

    def _update(self) -> None:
        problem, x = self.problem, self.volumes
        mu = self._smoothing()
        gradient = problem.gradient(self._normal_volumes)
        data_gradient = gradient.copy()
        add_penalty_gradient(problem, x, mu, gradient)
        direction = self._next_direction(gradient)
        normal_direction = problem.normal(direction)
        line = Line(problem, x, direction, mu)
        slope, curvature = vdot(data_gradient, direction).real, vdot(direction, normal_direction).real

        def derivatives(t: float) -> tuple[float, float]:
            """Return first and second derivative of data term and penalty at the step t."""
            first, second = line.derivatives(t)
            return slope + 2 * t * curvature + first, 2 * curvature + second

        self._step = _zero_of_slope(derivatives, self._step)
        self.volumes = combined((1, x), (self._step, direction))
        self._normal_volumes = combined((1, self._normal_volumes), (self._step, normal_direction))
        self._gradient, self._direction = gradient, direction
        self.cost = problem.cost(self.volumes, self._normal_volumes)
        self.stationary = self._step**2 * norm2(direction) <= 1e-14 * norm2(self.volumes)

    def _smoothing(self) -> float:
        return self._peak * max(LEAST_SMOOTHING, SMOOTHING * 0.5 ** (self.iter / HALVED_AFTER))

    def _next_direction(self, gradient: Array) -> Array:
        """Return the direction of Polak and Ribiere; steepest descent where it would not descend."""
        before = norm2(self._gradient)
        beta = (norm2(gradient) - vdot(self._gradient, gradient).real) / before if before > 0 else 0.0
        direction = combined((max(0.0, beta), self._direction), (-1, gradient))
        return direction if vdot(gradient, direction).real < 0 else -gradient


def _zero_of_slope(derivatives: Callable[[float], tuple[float, float]], guess: float) -> float:
    """Return the minimiser over t >= 0 of a convex function, by Newton steps inside a bracket.

    Parameters
    ----------
    derivatives : callable
        First and second derivative at t.
    guess : float
        Where to look first, the last step; 0 for a Newton step from t = 0.
    """
    first, second = derivatives(0.0)
    if first >= 0 or second <= 0:
        return 0.0
    low, high, tolerance = 0.0, np.inf, 1e-6 * -first
    t = guess if guess > 0 else -first / second
    for _ in range(50):
        first, second = derivatives(t)
        if abs(first) <= tolerance or high - low <= 1e-6 * t:
            break
        low, high = (t, high) if first < 0 else (low, t)
        newton = t - first / second if second > 0 else np.inf
        middle = (low + high) / 2 if high < np.inf else 4 * low
        t = newton if low < newton < min(high, 4 * low if high == np.inf else high) else middle
    return t
