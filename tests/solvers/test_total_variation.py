"""The proximal operator against its definition, closed forms and a real-valued oracle."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

from csiq.errors import ShapeError
from csiq.solvers.total_variation import phase_total_variation, prox_phase_tv
from tests.helpers import complex_normal, relative_error


def objective(x, v, mu):
    x, v = x.astype(np.complex128), v.astype(np.complex128)
    return 0.5 * np.sum(np.abs(x - v) ** 2) + mu * np.sum(np.abs(x[1:] - x[:-1]))


def test_value_is_the_sum_of_moduli(rng):
    volumes = complex_normal(rng, (4, 5, 6, 7))
    expected = np.abs(np.diff(volumes.astype(np.complex128), axis=0)).sum()
    assert phase_total_variation(volumes) == pytest.approx(expected, rel=1e-6)
    ramp = np.arange(1, 5, dtype=np.complex64).reshape(4, 1, 1, 1)
    assert phase_total_variation(ramp) == 3  # a circular difference would give 6


def test_two_phases_have_a_closed_form(rng):
    v = complex_normal(rng, (2, 4, 4, 4))
    mu = 0.4
    mean, half = (v[0] + v[1]) / 2, (v[1] - v[0]) / 2
    shrunk = half * np.maximum(1 - mu / np.abs(half), 0)
    expected = np.stack([mean - shrunk, mean + shrunk])
    assert relative_error(prox_phase_tv(v, mu), expected) < 1e-5


@pytest.mark.parametrize("n_phases", [3, 4, 7])
def test_carries_its_certificate(rng, n_phases):
    """Primal and dual values meet: no other x can be better by more than the gap between them."""
    v = complex_normal(rng, (n_phases, 1, 1, 60)).astype(np.complex64)
    dual = np.zeros((n_phases - 1, 1, 1, 60), np.complex64)
    mu = 0.5
    x = prox_phase_tv(v, mu, dual)
    adjoint = np.zeros(v.shape, np.complex128)
    adjoint[1:] += dual
    adjoint[:-1] -= dual
    assert relative_error(x, v - adjoint) < 1e-6
    assert np.all(np.abs(dual) <= mu * (1 + 1e-6))
    dual_value = 0.5 * np.sum(np.abs(v) ** 2) - 0.5 * np.sum(np.abs(v - adjoint) ** 2)
    gap = objective(x, v, mu) - dual_value
    assert abs(gap) <= 1e-6 * 0.5 * np.sum(np.abs(v) ** 2)


def test_an_optimiser_finds_no_lower_value(rng):
    v = complex_normal(rng, (4, 1, 1, 6))
    mu = 0.5

    def smoothed(flat):
        x = flat.view(np.complex128).reshape(v.shape)
        return 0.5 * np.sum(np.abs(x - v) ** 2) + mu * np.sum(
            np.sqrt(np.abs(np.diff(x, axis=0)) ** 2 + 1e-12)
        )

    start = v.astype(np.complex128).ravel().view(np.float64)
    other = scipy.optimize.minimize(
        smoothed, start, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-14}
    )
    theirs = objective(other.x.view(np.complex128).reshape(v.shape), v, mu)
    ours = objective(prox_phase_tv(v, mu), v, mu)
    assert ours <= theirs * (1 + 1e-6)
    assert ours == pytest.approx(theirs, rel=1e-3)


@pytest.mark.parametrize("mu", [0.01, 0.3, 3.0])
def test_turns_with_the_angle_of_the_image(rng, mu):
    v = complex_normal(rng, (4, 3, 4, 5))
    turn = np.complex64(np.exp(0.7j))
    assert relative_error(prox_phase_tv(turn * v, mu), turn * prox_phase_tv(v, mu)) < 1e-4


def test_splitting_real_and_imaginary_parts_is_another_penalty(rng):
    v = complex_normal(rng, (4, 3, 4, 5))
    split = prox_phase_tv(v.real.astype(np.complex64), 0.5) + 1j * prox_phase_tv(
        v.imag.astype(np.complex64), 0.5
    )
    assert relative_error(split, prox_phase_tv(v, 0.5)) > 0.02


def test_limits(rng):
    v = complex_normal(rng, (4, 3, 3, 3))
    assert np.array_equal(prox_phase_tv(v, 0.0), v)
    mean = np.broadcast_to(v.mean(axis=0), v.shape)
    assert relative_error(prox_phase_tv(v, 1e3), mean) < 1e-4
    single = v[:1]
    assert np.array_equal(prox_phase_tv(single, 1.0), single)


def test_warm_start_changes_the_way_but_not_the_end(rng):
    v = complex_normal(rng, (4, 6, 6, 6))
    dual = complex_normal(rng, (3, 6, 6, 6))
    cold, warm = prox_phase_tv(v, 0.4), prox_phase_tv(v, 0.4, dual)
    assert relative_error(warm, cold) < 3e-4
    assert np.all(np.abs(dual) <= 0.4 * (1 + 1e-5))


def test_wrong_dual_is_refused(rng):
    with pytest.raises(ShapeError, match="dual"):
        prox_phase_tv(complex_normal(rng, (4, 2, 2, 2)), 0.1, np.zeros((4, 2, 2, 2), np.complex64))
