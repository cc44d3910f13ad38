"""Every operator against a direct Fourier sum and the dot-test."""

from __future__ import annotations

import numpy as np
import pytest
import sigpy

from csiq.errors import ShapeError
from csiq.nufft import Nufft
from csiq.operators import ForwardModel, PhaseDifference
from csiq.toeplitz import ToeplitzNormal
from tests.helpers import assert_adjoint, complex_normal, dense_fourier, relative_error

SHAPES = [(6, 6, 6), (5, 6, 7), (1, 8, 8), (8, 6, 4), (1, 7, 9)]


def random_coords(rng, shape, n_phases=3, n_spokes=13, n_samples=12):
    """Return different numbers of random spokes a phase, inside the band of the grid."""
    half = np.array(shape) / 2
    sizes = [n_spokes + p for p in range(n_phases)]
    coords = [(rng.uniform(-1, 1, (s, n_samples, 3)) * half).astype(np.float32) for s in sizes]
    if shape[0] == 1:
        for coord in coords:
            coord[..., 0] = 0
    return coords


@pytest.fixture(params=SHAPES, ids=str)
def problem(request, rng):
    shape = request.param
    coords = random_coords(rng, shape)
    smaps = complex_normal(rng, (2, *shape))
    return shape, coords, smaps


def dense_model(coords, smaps):
    """Return the matrix of each phase: coils stacked, direct sums, double precision."""
    shape = smaps.shape[1:]
    for coord in coords:
        fourier = dense_fourier(coord, shape)
        yield np.stack([fourier * smap.ravel().astype(np.complex128) for smap in smaps])


def test_nufft_equals_the_direct_sum(problem, rng):
    shape, coords, _ = problem
    nufft, dense = Nufft(coords[0], shape), dense_fourier(coords[0], shape)
    image, samples = complex_normal(rng, shape), complex_normal(rng, coords[0].shape[:2])
    # float32 positions and sums: 1e-5 is the bar of the engine
    assert relative_error(nufft.forward(image).ravel(), dense @ image.ravel()) < 1e-5
    assert relative_error(nufft.adjoint(samples).ravel(), dense.conj().T @ samples.ravel()) < 1e-5


def test_a_wrong_sign_would_be_seen(problem, rng):
    """The comparison above can fail: against the conjugate sum it does."""
    shape, coords, _ = problem
    image = complex_normal(rng, shape)
    wrong = dense_fourier(-coords[0], shape) @ image.ravel()
    assert relative_error(Nufft(coords[0], shape).forward(image).ravel(), wrong) > 0.5


def test_nufft_is_sigpys_convention(rng):
    coord = (rng.uniform(-8, 8, (50, 3))).astype(np.float32)
    image = complex_normal(rng, (16, 16, 16))
    theirs = sigpy.nufft(image, coord, oversamp=2, width=6)
    assert relative_error(Nufft(coord, (16, 16, 16)).forward(image), theirs) < 5e-5


def test_forward_model_equals_the_direct_sum(problem, rng):
    _, coords, smaps = problem
    model = ForwardModel(coords, smaps)
    volumes = complex_normal(rng, tuple(model.ishape))
    kspace = model(volumes)
    for phase, dense in enumerate(dense_model(coords, smaps)):
        expected = dense @ volumes[phase].ravel()
        got = kspace[:, model.spokes[phase]].reshape(expected.shape)
        assert relative_error(got, expected) < 1e-5


def test_forward_model_has_its_adjoint(problem, rng):
    _, coords, smaps = problem
    model = ForwardModel(coords, smaps)
    assert_adjoint(model, rng)
    assert model.H.H is model


def test_toeplitz_equals_the_dense_normal_matrix(problem, rng):
    _, coords, smaps = problem
    model = ForwardModel(coords, smaps)
    weights = rng.uniform(0, 2, (model.oshape[1], model.oshape[2])).astype(np.float32)
    normal = model.normal_operator(weights)
    volumes = complex_normal(rng, tuple(model.ishape))
    got = normal(volumes)
    for phase, dense in enumerate(dense_model(coords, smaps)):
        w = weights[model.spokes[phase]].ravel()
        expected = sum(d.conj().T @ (w * (d @ volumes[phase].ravel())) for d in dense)
        assert relative_error(got[phase].ravel(), expected) < 1e-5
    assert_adjoint(normal, rng)


def test_toeplitz_equals_forward_and_adjoint(rng):
    shape = (24, 20, 22)
    coords = random_coords(rng, shape, n_phases=2, n_spokes=60, n_samples=48)
    model = ForwardModel(coords, complex_normal(rng, (3, *shape)))
    weights = rng.uniform(0, 1, model.oshape[1:]).astype(np.float32)
    volumes = complex_normal(rng, tuple(model.ishape))
    pair = model.H((weights * model(volumes)).astype(np.complex64))
    assert relative_error(model.normal_operator(weights)(volumes), pair) < 1e-5


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_repeats_are_equal_to_the_bit(rng, threads):
    shape = (12, 12, 12)
    coords = random_coords(rng, shape, n_phases=2)
    model = ForwardModel(coords, complex_normal(rng, (4, *shape)), threads=threads)
    volumes = complex_normal(rng, tuple(model.ishape))
    normal = model.normal_operator()
    first = normal(volumes)
    assert all(np.array_equal(normal(volumes), first) for _ in range(5))
    assert np.array_equal(model(volumes), model(volumes))


def test_operators_do_not_change_their_input(problem, rng):
    _, coords, smaps = problem
    model = ForwardModel(coords, smaps)
    volumes = complex_normal(rng, tuple(model.ishape))
    before = volumes.copy()
    model.normal_operator()(volumes)
    model(volumes)
    assert np.array_equal(volumes, before)


def test_phase_difference_is_not_circular(rng):
    ramp = np.arange(1, 5, dtype=np.complex64).reshape(4, 1, 1, 1)
    difference = PhaseDifference(ramp.shape)
    assert np.abs(difference(ramp)).sum() == 3  # SigPy's circular difference gives 6
    assert_adjoint(PhaseDifference((4, 3, 5, 2)), rng)


def test_a_sigpy_app_solves_with_the_model(rng):
    """The Linops live in SigPy: conjugate gradients recover an image from complete data."""
    shape = (6, 6, 6)
    coords = random_coords(rng, shape, n_phases=2, n_spokes=60)
    model = ForwardModel(coords, complex_normal(rng, (2, *shape)))
    volumes = complex_normal(rng, tuple(model.ishape))
    found = sigpy.app.LinearLeastSquares(model, model(volumes), max_iter=200, show_pbar=False).run()
    assert relative_error(found, volumes) < 1e-3


def test_wrong_shapes_are_named(rng):
    with pytest.raises(ShapeError, match="expected maps"):
        ForwardModel([np.zeros((2, 3, 3), np.float32)], np.zeros((4, 4, 4), np.complex64))
    with pytest.raises(ShapeError, match="samples per spoke"):
        ForwardModel(
            [np.zeros((2, 3, 3), np.float32), np.zeros((2, 4, 3), np.float32)],
            np.zeros((1, 4, 4, 4), np.complex64),
        )
    with pytest.raises(ShapeError, match="kernels"):
        ToeplitzNormal(np.zeros((1, 4, 4, 4), np.float32), np.zeros((1, 4, 4, 4), np.complex64))
    with pytest.raises(ShapeError, match="expected an image"):
        Nufft(np.zeros((5, 3), np.float32), (4, 4, 4)).forward(np.zeros((4, 4, 5), np.complex64))


def test_coil_batch_limits_what_is_in_flight_and_nothing_else(rng):
    shape = (8, 8, 8)
    coords = random_coords(rng, shape, n_phases=3)
    smaps = complex_normal(rng, (4, *shape))
    one, free = (ForwardModel(coords, smaps, threads=3, coil_batch=n) for n in (1, None))
    assert (one.threads, free.threads) == (1, 3)
    volumes = complex_normal(rng, tuple(free.ishape))
    assert np.array_equal(one.normal_operator()(volumes), free.normal_operator()(volumes))
