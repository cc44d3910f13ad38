"""The GPU's normal operator, on a CPU: the same driver, in array operations and in emulated kernels."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.cuda import toeplitz
from csiq.cuda.toeplitz import ArraySteps, Buffers, FusedSteps, planes_of, sum_of_coils
from csiq.errors import ShapeError
from csiq.nufft import doubled_shape
from tests.helpers import complex_normal, relative_error

SHAPES = [(6, 8, 10), (5, 7, 9), (1, 12, 10), (8, 6, 1)]


def problem(rng, shape, n_coils=5):
    kernel = rng.uniform(0.1, 1, doubled_shape(shape)).astype(np.float32)
    return complex_normal(rng, shape), complex_normal(rng, (n_coils, *shape)), kernel


def in_double(volume, smaps, kernel):
    """Return the same by whole FFTs of the doubled grid in double precision."""
    out = np.zeros(volume.shape, complex)
    inside = tuple(slice(n) for n in volume.shape)
    for smap in smaps:
        padded = np.zeros(kernel.shape, complex)
        padded[inside] = smap.astype(complex) * volume
        out += smap.conj() * np.fft.ifftn(kernel * np.fft.fftn(padded))[inside]
    return out


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_array_steps_match_double_precision(rng, shape, batch):
    volume, smaps, kernel = problem(rng, shape)
    # float32 FFTs of some hundred points
    assert (
        relative_error(sum_of_coils(volume, smaps, kernel, batch=batch), in_double(volume, smaps, kernel))
        < 1e-6
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batch", [1, 3])
def test_compiled_kernels_match_double_precision(emulated, monkeypatch, rng, shape, batch):
    monkeypatch.setattr(toeplitz, "steps_of", lambda xp: FusedSteps())
    volume, smaps, kernel = problem(rng, shape)
    # slabs of one plane, so that there are several
    buffers = Buffers.allocate(np, shape, batch, slab_bytes=1)
    ours = sum_of_coils(volume, smaps, kernel, batch=batch, buffers=buffers)
    assert relative_error(ours, in_double(volume, smaps, kernel)) < 1e-6


@pytest.mark.parametrize("step", ["pad_first", "crop_first", "pad_plane", "multiply", "crop_plane"])
def test_each_kernel_does_what_its_array_step_does(emulated, rng, step):
    spectrum, smaps = complex_normal(rng, (8, 3, 5, 6)), complex_normal(rng, (3, 4, 5, 6))
    volume, work = complex_normal(rng, (4, 5, 6)), complex_normal(rng, (10, 2 * 3, 12))
    kernel = rng.uniform(0, 1, (2, 10, 12)).astype(np.float32)
    arguments = {
        "pad_first": (spectrum, smaps, volume),
        "crop_first": (volume, spectrum, smaps, np.float32(0.3)),
        "pad_plane": (work, spectrum[2:4]),
        "multiply": (work, kernel, 3),
        "crop_plane": (spectrum[2:4], work),
    }[step]
    written = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
    getattr(ArraySteps(), step)(*arguments)
    getattr(FusedSteps(), step)(*written)
    np.testing.assert_allclose(written[0], arguments[0], rtol=1e-5, atol=1e-5)


def test_rows_beyond_the_largest_grid_are_done_too(emulated, monkeypatch, rng):
    from csiq.cuda import kernels

    monkeypatch.setattr(kernels, "_MAX_ROWS", 3)
    monkeypatch.setattr(toeplitz, "steps_of", lambda xp: FusedSteps())
    volume, smaps, kernel = problem(rng, (6, 8, 10))
    assert (
        relative_error(sum_of_coils(volume, smaps, kernel, batch=2), in_double(volume, smaps, kernel)) < 1e-6
    )


def test_buffers_are_reused_and_leave_no_trace(rng):
    shape = (6, 8, 10)
    buffers = Buffers.allocate(np, shape, 2, slab_bytes=8 * 2 * 16 * 20 * 4)
    assert buffers.planes == 4
    held = buffers.spectrum, buffers.work
    first = problem(rng, shape)
    alone = sum_of_coils(*first, batch=2)
    sum_of_coils(*problem(rng, shape), batch=2, buffers=buffers)
    again = sum_of_coils(*first, batch=2, buffers=buffers)
    assert np.array_equal(alone, again)
    assert held[0] is buffers.spectrum
    assert held[1] is buffers.work


def test_the_slab_never_exceeds_its_bytes_and_divides_the_doubled_axis():
    shape = (208, 208, 208)
    for batch in (1, 2, 4, 12):
        planes = planes_of(shape, batch)
        assert 416 % planes == 0
        assert planes * batch * 416 * 416 * 8 <= toeplitz.SLAB_BYTES
    # no slab below one plane
    assert planes_of(shape, 100) == 1


def test_traffic_of_a_cube_counts_what_the_steps_touch():
    voxels = 8 * 10**3
    # maps, volume and spectrum; the way back; pad and crop of slabs with the kernel; FFTs; product
    passes = (1 + 1 + 2) + (1 + 1 + 2) + (2 * 2 + 4 + 8 + 4) + 4 * (2 + 4 + 8) + 2 * 8
    assert toeplitz.traffic_bytes((10, 10, 10), 1, 1) == passes * voxels
    # two coils in one batch share the volume, the sum and the kernel
    shared = 1 + 2 + 4
    assert toeplitz.traffic_bytes((10, 10, 10), 2, 2) == (2 * passes - shared) * voxels


def test_shapes_that_do_not_fit_are_refused(rng):
    volume, smaps, kernel = problem(rng, (4, 4, 4))
    with pytest.raises(ShapeError, match="do not fit"):
        sum_of_coils(volume, smaps, kernel[:4], batch=1)
    with pytest.raises(ShapeError, match="expected buffers"):
        sum_of_coils(volume, smaps, kernel, batch=1, buffers=Buffers.allocate(np, (4, 4, 6), 1))
