"""Devices, and dot products that do not lose digits."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from csiq.arrays import Device, choose_device, gpu_count, norm2, to_device, to_host, to_torch, vdot, xp_of
from csiq.errors import DeviceError, ShapeError
from tests.helpers import complex_normal


def test_dot_products_accumulate_in_double_precision(rng):
    a = complex_normal(rng, (300, 1000))
    assert vdot(a, a).real == pytest.approx(np.sum(np.abs(a.astype(np.complex128)) ** 2), rel=1e-12)
    # in single precision the small entries would drown: 1e8 + 1 = 1e8
    b = np.array([1e4] + [1.0] * 200_000, np.complex64)
    assert norm2(b) == 1e8 + 200_000
    with pytest.raises(ShapeError, match="no dot product"):
        vdot(a, a[:5])


def test_host_arrays_stay_where_they_are(rng):
    x = complex_normal(rng, (3, 4))
    assert to_device(x, Device()) is x
    assert to_host(x) is x
    assert xp_of(x) is np
    real = np.abs(x)
    tensor = to_torch(real)
    tensor[0, 0] = 7
    assert real[0, 0] == 7  # shared memory


def test_cpu_by_name():
    assert str(choose_device("cpu")) == "cpu"
    with pytest.raises(DeviceError, match="'tpu' is no device"):
        choose_device("tpu")


def fake_cupy(monkeypatch, *, works: bool, count: int = 2):
    """Put a CuPy in place that imports fine and may or may not work."""

    class CUDARuntimeError(RuntimeError):
        pass

    def zeros(*args, **kwargs):
        if not works:
            raise CUDARuntimeError("cudaErrorInsufficientDriver")

    cupy = types.ModuleType("cupy")
    runtime = types.SimpleNamespace(CUDARuntimeError=CUDARuntimeError, getDeviceCount=lambda: count)
    cupy.cuda = types.SimpleNamespace(is_available=lambda: True, runtime=runtime)
    cupy.zeros = zeros
    monkeypatch.setitem(sys.modules, "cupy", cupy)


def test_a_cupy_that_only_looks_fine_is_not_believed(monkeypatch):
    fake_cupy(monkeypatch, works=False)
    assert gpu_count() == 0
    assert choose_device("auto") == Device()
    with pytest.raises(DeviceError, match="'cuda:0' is not there; found: no GPU") as error:
        choose_device("cuda:0")
    assert error.value.exit_code == 5


def test_gpus_by_number(monkeypatch):
    fake_cupy(monkeypatch, works=True)
    assert choose_device("auto") == choose_device("cuda") == Device(0)
    assert choose_device("cuda:1") == Device(1)
    with pytest.raises(DeviceError, match="found: cuda:0, cuda:1"):
        choose_device("cuda:2")
