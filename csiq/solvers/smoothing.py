"""The penalties made smooth: sum sqrt(|K x|^2 + mu^2), its gradient, and its course along a line.

Along x + t d the square of each modulus is a quadratic in t with three numbers, so that a line search needs
neither K nor the operator again.
"""

from __future__ import annotations

import numpy as np

from csiq.arrays import Array, xp_of
from csiq.solvers.modulus import along_line, normalise, quadratic
from csiq.solvers.penalties import Penalty, grouped, summed
from csiq.solvers.problem import Problem


def add_penalty_gradient(problem: Problem, volumes: Array, mu: float, gradient: Array) -> None:
    """Add the gradient of the smoothed penalties, with their weights, to ``gradient``.

    Parameters
    ----------
    problem : Problem
    volumes, gradient : complex64 arrays, (n_phases, z, y, x), contiguous
    mu : float
        Modulus below which a penalty is rounded off; positive.
    """

    def task(part: Array, out: Array, penalty: Penalty) -> tuple[float, ...]:
        """Add one penalty's gradient to ``out``; nothing is summed, hence ()."""
        coefficients = penalty.forward(part)
        normalise(grouped(coefficients), mu)
        coefficients *= np.float32(penalty.weight)
        out += penalty.adjoint(coefficients, part.shape)
        return ()

    for penalty in problem.penalties:
        pairs = zip(penalty.parts(volumes), penalty.parts(gradient), strict=True)
        summed(task, [(*pair, penalty) for pair in pairs], problem.threads)


class Line:
    """The smoothed penalties along x + t d.

    Parameters
    ----------
    problem : Problem
    volumes, direction : complex64 arrays, (n_phases, z, y, x), contiguous
        x and d.
    mu : float
    """

    def __init__(self, problem: Problem, volumes: Array, direction: Array, mu: float) -> None:
        self._threads, self._mu = problem.threads, mu
        self._pieces: list[tuple[Array, float]] = []
        for penalty in problem.penalties:
            parts = list(zip(penalty.parts(volumes), penalty.parts(direction), strict=True))
            pieces = [_empty_line(penalty, part) for part, _ in parts]
            arguments = [(*pair, penalty, piece) for pair, piece in zip(parts, pieces, strict=True)]
            summed(_fill_line, arguments, self._threads)
            self._pieces += [(piece, penalty.weight) for piece in pieces]

    def derivatives(self, t: float) -> tuple[float, float]:
        """Return first and second derivative by t, with the weights."""

        def task(line: Array, weight: float) -> tuple[float, ...]:
            """Return slope and curvature of one penalty along the line, with its weight."""
            slope, curvature = along_line(line, t, self._mu)
            return weight * slope, weight * curvature

        slope, curvature = summed(task, self._pieces, self._threads)
        return slope, curvature


def _empty_line(penalty: Penalty, part: Array) -> Array:
    _, *groups = penalty.coefficients_shape(part.shape)
    return xp_of(part).empty((3, int(np.prod(groups, dtype=int))), dtype=np.float32)


def _fill_line(part: Array, direction: Array, penalty: Penalty, out: Array) -> tuple[float, ...]:
    quadratic(grouped(penalty.forward(part)), grouped(penalty.forward(direction)), out)
    return ()
