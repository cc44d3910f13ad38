"""The smoothed penalties and the line search of NLCG."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from csiq.solvers import Problem, SpatialTV, Wavelet
from csiq.solvers.nlcg import _zero_of_slope
from csiq.solvers.penalties import grouped
from csiq.solvers.smoothing import Line, add_penalty_gradient
from tests.helpers import complex_normal

SHAPE = (3, 8, 9, 10)
MU = 0.2


@pytest.fixture
def problem():
    zeros = np.zeros(SHAPE, np.complex64)
    return Problem(SimpleNamespace(), zeros, zeros, 0.0, 0.7, 1, (SpatialTV(0.4), Wavelet(0.5)))


def smoothed(problem, volumes, mu=MU):
    """Return the smoothed penalties by their definition, in double precision."""
    total = 0.0
    for penalty in problem.penalties:
        for part in penalty.parts(volumes):
            k = grouped(penalty.forward(part)).astype(np.complex128)
            total += penalty.weight * np.sqrt((np.abs(k) ** 2).sum(axis=0) + mu**2).sum()
    return total


def test_gradient_is_that_of_finite_differences(problem, rng):
    x = complex_normal(rng, SHAPE)
    gradient = np.zeros_like(x)
    add_penalty_gradient(problem, x, MU, gradient)
    for direction in (complex_normal(rng, SHAPE), 1j * x):
        direction = direction.astype(np.complex64)
        h = np.float32(1 / 128)
        slope = (smoothed(problem, x + h * direction) - smoothed(problem, x - h * direction)) / (2 * h)
        # 2e-3: third derivatives at this h; turning the angle, along 1j x, changes nothing
        assert np.vdot(gradient, direction).real == pytest.approx(slope, rel=2e-3, abs=1e-2)


def test_gradient_is_added(problem, rng):
    x, before = complex_normal(rng, SHAPE), complex_normal(rng, SHAPE)
    alone, added = np.zeros_like(x), before.copy()
    add_penalty_gradient(problem, x, MU, alone)
    add_penalty_gradient(problem, x, MU, added)
    assert np.allclose(added - before, alone, atol=1e-5)


def test_line_knows_the_penalties_along_it(problem, rng):
    x, d = complex_normal(rng, SHAPE), complex_normal(rng, SHAPE)
    line = Line(problem, x, d, MU)
    h = 1 / 128
    for t in (0.0, 0.4, 1.5):
        values = [smoothed(problem, x + np.float32(t + s) * d) for s in (-h, 0, h)]
        slope, curvature = line.derivatives(t)
        assert slope == pytest.approx((values[2] - values[0]) / (2 * h), rel=3e-3, abs=0.5)
        assert curvature == pytest.approx((values[2] - 2 * values[1] + values[0]) / h**2, rel=2e-2)


def test_line_does_not_depend_on_threads(problem, rng):
    x, d = complex_normal(rng, SHAPE), complex_normal(rng, SHAPE)
    other = Problem(problem.normal, problem.rhs, problem.gridded, 0.0, 0.7, 2, problem.further)
    assert Line(problem, x, d, MU).derivatives(0.3) == Line(other, x, d, MU).derivatives(0.3)


@pytest.mark.parametrize("guess", [0.0, 1e-6, 2.0, 1e4])
@pytest.mark.parametrize("corner", [1e-5, 1.0])
def test_line_search_finds_the_minimum(guess, corner):
    """Of (t - 3)^2 / 2 + 2 sqrt((t - 1)^2 + corner^2): a corner where Newton alone jumps to and fro."""

    def derivatives(t):
        root = math.hypot(t - 1, corner)
        return t - 3 + 2 * (t - 1) / root, 1 + 2 * corner**2 / root**3

    t = _zero_of_slope(derivatives, guess)
    assert abs(derivatives(t)[0]) < 1e-5 or abs(t - 1) < 1e-4
    assert t > 0


def test_line_search_does_not_go_uphill():
    assert _zero_of_slope(lambda t: (1.0 + t, 1.0), 1.0) == 0
    assert _zero_of_slope(lambda t: (0.0, 1.0), 1.0) == 0
