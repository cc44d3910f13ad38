"""The proximal operator of all penalties together: certificate, invariances, warm start."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from csiq.solvers import Problem, SpatialTV, WarmProx, Wavelet, prox_phase_tv, proximal
from tests.helpers import complex_normal, relative_error

SHAPE = (3, 8, 9, 10)
LISTS = {
    "spatial": (SpatialTV(0.3),),
    "wavelet": (Wavelet(0.4),),
    "both": (SpatialTV(0.2), Wavelet(0.3)),
}


def problem_of(further, lamda_abs=0.5, shape=SHAPE, threads=1):
    zeros = np.zeros(shape, np.complex64)
    return Problem(SimpleNamespace(), zeros, zeros, 0.0, lamda_abs, threads, tuple(further))


def objective(problem, x, target, step):
    distance = np.sum(np.abs(x.astype(np.complex128) - target) ** 2)
    return 0.5 * distance + step * problem.weighted_penalty(x)


@pytest.fixture(params=LISTS)
def further(request):
    return LISTS[request.param]


def test_alone_it_is_the_voxelwise_one(rng):
    v = complex_normal(rng, SHAPE)
    prox = WarmProx(problem_of(()))
    assert np.array_equal(prox(v, 0.7), prox_phase_tv(v, 0.35))
    assert (prox.steps, prox.gap) == (0, 0)


def test_carries_its_certificate(rng, further):
    """The dual value, from the dual variables alone, is below by no more than the gap that is reported."""
    v, step = complex_normal(rng, SHAPE), 0.8
    problem = problem_of(further)
    prox = WarmProx(problem)
    x = prox(v, step)
    assert 0 <= prox.gap <= proximal.JOINT_GAP
    assert prox.steps < proximal.MAX_STEPS
    state = prox.state()
    pulled = v.astype(np.complex128)
    for penalty in further:
        dual = state[f"dual_{penalty.name}"]
        modulus = np.sqrt((np.abs(dual) ** 2).sum(axis=1))
        assert modulus.max() <= step * penalty.weight * (1 + 1e-5)
        pulled -= np.stack([penalty.adjoint(d, SHAPE[1:]) for d in dual])
    phases = state["dual"].astype(np.complex128)
    assert np.abs(phases).max() <= step * problem.lamda_abs * (1 + 1e-5)
    pulled[1:] -= phases
    pulled[:-1] += phases
    energy = 0.5 * np.sum(np.abs(v.astype(np.complex128)) ** 2)
    gap = objective(problem, x, v, step) - (energy - 0.5 * np.sum(np.abs(pulled) ** 2))
    # 2e-7: the rounding of single-precision dual variables
    assert -2e-7 * energy <= gap <= (2 * proximal.JOINT_GAP + 2e-7) * energy


def test_no_neighbour_is_lower(rng, further):
    v = complex_normal(rng, SHAPE)
    problem = problem_of(further)
    x = WarmProx(problem)(v, 0.8)
    best = objective(problem, x, v, 0.8)
    for size in (1e-2, 1e-1):
        for move in (complex_normal(rng, SHAPE), x, 1j * x, v - x):
            for sign in (-1, 1):
                other = (x + np.float32(sign * size) * move).astype(np.complex64)
                assert objective(problem, other, v, 0.8) > best * (1 - 1e-7)


def test_turns_with_the_angle_of_the_image(rng, further):
    v = complex_normal(rng, SHAPE)
    turn = np.complex64(np.exp(0.7j))
    turned, base = (WarmProx(problem_of(further))(t * v, 0.8) for t in (turn, np.complex64(1)))
    assert relative_error(turned, turn * base) < 1e-4


def test_scales_with_the_image(rng, further):
    v = complex_normal(rng, SHAPE)
    base = WarmProx(problem_of(further))(v, 0.8)
    assert relative_error(WarmProx(problem_of(further))(100 * v, 80.0), 100 * base) < 1e-4


def test_warm_start_saves_steps_and_keeps_the_end(rng, further):
    v = complex_normal(rng, SHAPE)
    prox = WarmProx(problem_of(further))
    first = prox(v, 0.8)
    cold = prox.steps
    again = prox(v, 0.8)
    assert prox.steps < cold
    assert relative_error(again, first) < 2e-3


def test_wavelet_alone_has_a_closed_form(rng):
    """Orthonormal: shrink the details, leave the coarse image."""
    from csiq.solvers import wavelet

    v = complex_normal(rng, (2, 8, 8, 16))
    x = WarmProx(problem_of([Wavelet(0.5)], lamda_abs=0.0, shape=v.shape))(v, 0.8)
    expected = []
    for volume in v:
        c = wavelet.forward(volume)
        shrunk = c * np.maximum(1 - 0.4 / np.abs(c), 0)
        coarse = wavelet.approximation(volume.shape)
        shrunk[coarse] = c[coarse]
        expected.append(wavelet.adjoint(shrunk, volume.shape))
    assert relative_error(x, np.array(expected)) < 1e-3


def test_threads_do_not_change_a_bit(rng, further):
    v = complex_normal(rng, SHAPE)
    one, two = (WarmProx(problem_of(further, threads=n))(v, 0.8) for n in (1, 2))
    assert np.array_equal(one, two)


def test_a_restored_one_goes_on_to_the_bit(rng, further):
    v, w = complex_normal(rng, SHAPE), complex_normal(rng, SHAPE)
    prox, other = WarmProx(problem_of(further)), WarmProx(problem_of(further))
    prox(v, 0.8)
    other.restore({k: x.copy() if isinstance(x, np.ndarray) else x for k, x in prox.state().items()})
    assert np.array_equal(prox(w, 0.5), other(w, 0.5))


def test_an_image_of_zeros_stays(further):
    assert not WarmProx(problem_of(further))(np.zeros(SHAPE, np.complex64), 1.0).any()


def test_a_single_phase(rng, further):
    v = complex_normal(rng, (1, *SHAPE[1:]))
    x = WarmProx(problem_of(further, shape=v.shape))(v, 0.8)
    problem = problem_of(further, shape=v.shape)
    assert objective(problem, x, v, 0.8) < objective(problem, v, v, 0.8)
