"""Each penalty's operator: adjoint, norm, edges; and the loops against the formulas for a GPU."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import pywt

from csiq.errors import ConfigError
from csiq.solvers import PhaseTV, SpatialTV, Wavelet, _penalty_arrays, _penalty_numba, build_problem, wavelet
from tests.helpers import complex_normal, relative_error

PENALTIES = [PhaseTV(0.3), SpatialTV(0.3), Wavelet(0.3)]
SHAPES = [(4, 8, 9, 10), (1, 1, 16, 33), (2, 3, 24, 1), (3, 50, 1, 7)]


@pytest.fixture(params=PENALTIES, ids=lambda p: p.name)
def penalty(request):
    return request.param


@pytest.mark.parametrize("shape", SHAPES)
def test_adjoint_and_norm(penalty, rng, shape):
    """<K u, v> = <u, K^H v>; no volume is stretched by more than the bound."""
    for part in penalty.parts(complex_normal(rng, shape)):
        forward = penalty.forward(part)
        assert forward.shape == penalty.coefficients_shape(part.shape)
        dual = complex_normal(rng, forward.shape)
        back = penalty.adjoint(dual, part.shape)
        assert back.shape == part.shape
        here, there = np.vdot(forward, dual), np.vdot(part, back)
        assert abs(here - there) <= 1e-5 * np.linalg.norm(forward) * np.linalg.norm(dual) + 1e-6
        assert np.linalg.norm(back) ** 2 <= penalty.norm2(part.shape) * np.linalg.norm(dual) ** 2 * (1 + 1e-5)


@pytest.mark.parametrize("penalty", [PhaseTV(1), SpatialTV(1)], ids=lambda p: p.name)
def test_norm_is_nearly_reached(penalty):
    """A chequerboard is what differences stretch most: a bound of 4 an axis is not far too large."""
    signs = (-1.0) ** np.indices((16, 16, 16, 16)).sum(axis=0)
    part = penalty.parts(signs.astype(np.complex64))[0]
    ratio = np.linalg.norm(penalty.forward(part)) ** 2 / np.linalg.norm(part) ** 2
    assert 0.9 * penalty.norm2(part.shape) < ratio <= penalty.norm2(part.shape)


def test_spatial_differences_end_at_the_edge():
    """A ramp from 1 to n costs n - 1 a line; a circular difference would count the way back as well."""
    ramp = np.broadcast_to(np.arange(1, 7, dtype=np.complex64), (1, 4, 5, 6))
    assert SpatialTV(1.0).value(ramp) == pytest.approx(4 * 5 * 5, rel=1e-6)
    assert SpatialTV(1.0).value(np.ones((2, 4, 5, 6), np.complex64)) == 0


def test_spatial_modulus_runs_over_axes_and_the_complex_plane(rng):
    volumes = complex_normal(rng, (2, 4, 5, 6))
    padded = np.pad(volumes.astype(np.complex128), ((0, 0), (0, 1), (0, 1), (0, 1)), mode="edge")
    steps = [np.diff(padded, axis=axis)[:, :4, :5, :6] for axis in (1, 2, 3)]
    expected = np.sqrt(sum(np.abs(s) ** 2 for s in steps)).sum()
    assert SpatialTV(1.0).value(volumes) == pytest.approx(expected, rel=1e-6)


def test_an_axis_of_length_one_has_no_differences(rng):
    slice_ = complex_normal(rng, (2, 1, 6, 7))
    assert SpatialTV(1.0).coefficients_shape((1, 6, 7)) == (2, 1, 6, 7)
    assert SpatialTV(1.0).norm2((1, 6, 7)) == 8
    turned = SpatialTV(1.0).value(slice_.transpose(0, 2, 1, 3))
    assert SpatialTV(1.0).value(slice_) == pytest.approx(turned, rel=1e-6)


@pytest.mark.filterwarnings("ignore:Level value")
@pytest.mark.parametrize("shape", [(32, 48, 40), (32, 32, 64)])
def test_wavelet_is_that_of_pywavelets(rng, shape):
    volume = complex_normal(rng, shape)
    theirs, _ = pywt.coeffs_to_array(pywt.wavedecn(volume, "db4", mode="periodization", level=3))
    assert relative_error(wavelet.forward(volume), theirs) < 1e-6


@pytest.mark.parametrize("shape", [(32, 48, 40), (1, 37, 20), (8, 9, 50), (7, 1, 3)])
def test_wavelet_keeps_energy_and_undoes_itself(rng, shape):
    """Also where an axis is padded, too short to be halved, or of length 1."""
    volume = complex_normal(rng, shape)
    coefficients = wavelet.forward(volume)
    assert np.linalg.norm(coefficients) == pytest.approx(np.linalg.norm(volume), rel=1e-5)
    assert relative_error(wavelet.adjoint(coefficients, shape), volume) < 1e-5


def test_the_coarse_image_is_not_penalised():
    """A constant has no details, but for those that padding makes."""
    constant = np.full((1, 16, 16, 16), 2 + 1j, np.complex64)
    assert Wavelet(1.0).value(constant) < 1e-4 * np.abs(constant).sum()
    assert np.linalg.norm(wavelet.forward(constant[0])) > 1


def test_value_turns_and_scales(penalty, rng):
    volumes = complex_normal(rng, (3, 8, 9, 10))
    turn = np.complex64(3 * np.exp(0.9j))
    assert penalty.value(turn * volumes) == pytest.approx(3 * penalty.value(volumes), rel=1e-5)
    assert penalty.value(volumes, threads=1) == penalty.value(volumes, threads=2)


def test_weights(small):
    assert SpatialTV(0.5).scaled(4) == SpatialTV(2.0)
    with pytest.raises(ConfigError, match="wavelet: expected a weight"):
        Wavelet(-1.0)
    for twice in ([SpatialTV(1), SpatialTV(2)], [PhaseTV(1)]):
        with pytest.raises(ConfigError, match="each penalty once"):
            build_problem(small.model, small.kspace, small.dcf, 0.02, penalties=twice)
    problem = build_problem(
        small.model, small.kspace, small.dcf, 0.02, penalties=[SpatialTV(0), Wavelet(0.01)]
    )
    assert problem.further == (Wavelet(0.01 * np.abs(problem.gridded).max()),)


def test_formulas_for_a_gpu_agree_with_the_loops(rng):
    """The form that runs on a GPU, here on NumPy arrays."""
    a, b, q, u = (complex_normal(rng, (3, 500)) for _ in range(4))
    loops, arrays = _penalty_numba, _penalty_arrays
    assert arrays.modulus_sum(a) == pytest.approx(loops.modulus_sum(a), rel=1e-5)
    lines, smooth, points = [], [], []
    for module in (loops, arrays):
        smooth.append(a.copy())
        module.normalise(smooth[-1], 0.01)
        lines.append(np.empty((3, 500), np.float32))
        module.quadratic(a, b, lines[-1])
        points.append((q.copy(), u.copy()))
    assert relative_error(smooth[1], smooth[0]) < 1e-6
    assert relative_error(lines[1], lines[0]) < 1e-6
    for t in (0.0, 0.7):
        assert arrays.along_line(lines[0], t, 0.1) == pytest.approx(
            loops.along_line(lines[0], t, 0.1), rel=1e-4
        )
    sums = [m.dual_step(a, *point, 0.3, 0.8, 0.4) for m, point in zip((loops, arrays), points, strict=True)]
    assert sums[1] == pytest.approx(sums[0], rel=1e-4)
    for theirs, ours in zip(*points, strict=True):
        assert relative_error(ours, theirs) < 1e-5


@pytest.mark.parametrize("name", ["analyse", "synthesise"])
def test_filters_for_a_gpu_agree_with_the_loops(rng, name):
    for n, inner in itertools.product((8, 18), (1, 6)):
        lines = rng.standard_normal((3, n, inner)).astype(np.float32)
        outs = [np.empty_like(lines), np.empty_like(lines)]
        for module, out in zip((_penalty_numba, _penalty_arrays), outs, strict=True):
            getattr(module, name)(lines, wavelet.LOW, wavelet.HIGH, wavelet.SHIFT, out)
        assert relative_error(outs[1], outs[0]) < 1e-5
