"""Sums of layers on a GPU's way: with stand-ins for its libraries, against finufft and direct sums."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from csiq.arrays import Device
from csiq.errors import DeviceError, ResourceError
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.anatomy.thorax import BodySize
from csiq.simulate.coils import CoilArray
from csiq.simulate.layer_sums import Samples, add_layer, computing_on, transform_of
from csiq.simulate.layers import Layer
from csiq.simulate.protocol import ScanConfig
from csiq.simulate.sensitivity import Maps, planes, whole
from csiq.simulate.setting import Setting
from csiq.simulate.signal import Scene, moving_kspace
from tests.helpers import relative_error
from tests.simulate.stand_ins import DEVICE, stand_in

GPU = Device(DEVICE)


@pytest.fixture(params=["cufinufft", "sigpy"])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put a library in the place of a GPU's."""
    stand_in(monkeypatch, request.param)
    return str(request.param)


def noise_layer(rng: np.random.Generator, flat: bool) -> tuple[Layer, np.ndarray, Samples]:
    """Return a layer of noise under two loops, and places to hear it."""
    grid = Grid((4 if flat else 26, 22, 30), (2.0, 3.0, 2.5), (4.0, -9.0, 3.0))
    coils = CoilArray.around(BodySize(), 2, rng)
    image = rng.standard_normal(grid.shape).astype(np.float32)
    layer = Layer("nothing", grid, np.ones((1, 1, 1)), Maps.of(coils, grid), image, flat)
    angles = rng.uniform(-3.1, 3.1, (2 if flat else 3, 300)).astype(np.float32)
    where = rng.permutation(400)[:300]
    factor = np.exp(2j * np.pi * rng.random(300)).astype(np.complex64)
    return layer, image, Samples(tuple(angles), where, factor)


def direct(seen: np.ndarray, angles: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return sum_r seen(r) exp(-i angles.r) in double precision."""
    total = seen.astype(np.complex128)[None]
    for angle in reversed(angles):  # the last axis first
        r = np.arange(total.shape[-1]) - total.shape[-1] // 2
        ramp = np.exp(-1j * np.outer(angle.astype(np.float64), r))
        total = (total * ramp.reshape(-1, *[1] * (total.ndim - 2), r.size)).sum(axis=-1)
    return total


@pytest.mark.parametrize("flat", [False, True], ids=["volume", "slice"])
def test_a_layer_is_the_direct_sum_on_a_gpu(rng: np.random.Generator, gpu: str, flat: bool) -> None:
    """And on the CPU: what is added lands where it should, and nowhere else."""
    layer, image, samples = noise_layer(rng, flat)
    before = rng.standard_normal((2, 20, 20)).astype(np.complex64)
    here = before.copy()
    add_layer(here, layer, image, samples, eps=1e-4, threads=2)
    with computing_on(GPU) as xp:
        kspace = xp.asarray(before)
        add_layer(kspace, layer, image, samples, eps=1e-4, threads=2)
        there = kspace.get()
    expected = before.astype(np.complex128)
    for coil in range(2):
        seen = layer.maps.times(coil, image)
        values = direct(seen.mean(axis=0) if flat else seen, samples.angles)
        expected[coil].reshape(-1)[samples.where] += samples.factor * values
    # white noise has all frequencies, the worst there is: the transform's own 1e-4
    assert relative_error(here - before, expected - before) < 1e-4
    assert relative_error(there - before, expected - before) < 1e-4
    untouched = np.setdiff1d(np.arange(400), samples.where)
    assert np.array_equal(there.reshape(2, -1)[:, untouched], before.reshape(2, -1)[:, untouched])


def test_a_scan_by_way_of_a_gpu_is_that_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Painted, moved and heard as a whole, with the heart elsewhere."""
    stand_in(monkeypatch, "cufinufft")
    setting = Setting.of(ScanConfig(seed=4, matrix=16, n_coils=2, n_spokes=60))
    scene = Scene.build(setting.patient, setting.coils, setting.config)
    coord, moved = setting.sampled[:12], np.full(12, 3.0)
    offset = np.linspace(-2, 2, 36).reshape(12, 3)
    ours, theirs = (
        moving_kspace(scene, coord, moved, heart_offset=offset, device=device) for device in (GPU, "cpu")
    )
    assert type(ours) is np.ndarray
    assert ours.dtype == np.complex64
    # both transforms err by up to 1e-4
    assert relative_error(ours, theirs) < 2e-4


def test_all_slices_at_once_are_those_one_by_one(rng: np.random.Generator) -> None:
    grid = Grid((21, 17, 26), (1.3, 2.0, 1.1), (3.0, 1.0, -4.0))
    maps = Maps.of(CoilArray.around(BodySize(), 1, rng), grid)
    one_by_one = np.stack(list(planes(maps.coarse[0], maps.places)))
    assert relative_error(whole(maps.coarse[0], maps.places), one_by_one) < 1e-6
    assert whole(maps.coarse[0], maps.places).dtype == np.complex64


def test_the_cpu_keeps_its_transform(rng: np.random.Generator) -> None:
    """A plan of finufft with the upsampling of before: scans stay the same to the bit."""
    import finufft

    layer, image, samples = noise_layer(rng, False)
    plan = finufft.Plan(2, image.shape, eps=1e-4, isign=-1, dtype="complex64", nthreads=1, upsampfac=1.25)
    plan.setpts(*samples.angles)
    seen = layer.maps.times(1, image)
    assert np.array_equal(transform_of(image.shape, samples.angles, 1e-4)(seen), plan.execute(seen))


def test_memory_that_runs_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "cufinufft")
    with pytest.raises(ResourceError, match="memory of cuda:1") as caught, computing_on(GPU):
        raise MemoryError
    assert "--device cpu" in str(caught.value)
    with pytest.raises(ValueError, match="else"), computing_on(GPU):
        raise ValueError("something else")


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match="cuda:0"), computing_on("cuda:0"):
        pass
