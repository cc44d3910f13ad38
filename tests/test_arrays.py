"""Devices, and dot products that do not lose digits."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from csiq.arrays import (
    Device,
    choose_device,
    combined,
    default_threads,
    gpu_count,
    norm2,
    run_tasks,
    to_device,
    to_host,
    to_torch,
    use_threads,
    vdot,
    xp_of,
)
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


@pytest.mark.parametrize("size", [1, 1000, 600_001])
def test_sums_of_arrays(rng, size):
    a, b, c = (complex_normal(rng, (size,)) for _ in range(3))
    expected = 2 * a - 0.5 * b + 3 * c
    assert np.allclose(combined((2, a), (-0.5, b), (3, c)), expected, atol=1e-5)
    assert combined((2, a), (-0.5, b), (3, c), out=a) is a
    assert np.allclose(a, expected, atol=1e-5)
    assert np.allclose(combined((2, a)), 2 * a)


def test_sums_do_not_depend_on_the_number_of_threads(rng):
    a, b = complex_normal(rng, (3, 300_000)), complex_normal(rng, (3, 300_000))
    found = []
    for threads in (1, 2, 5):
        use_threads(threads)
        found.append((vdot(a, b), norm2(a)))
    use_threads(None)
    assert found[0] == found[1] == found[2]


def test_tasks_of_a_task_do_not_wait_for_each_other():
    done = []

    def task():
        run_tasks([lambda: done.append(1)] * 3, 2)

    run_tasks([task] * 4, 2)
    assert len(done) == 12


def test_threads_of_the_pool_leave_torch_as_it_was():
    import torch

    use_threads(2)
    seen = []
    run_tasks([lambda: seen.append(torch.get_num_threads())] * 3, 3)
    assert seen == [1, 1, 1]  # no team behind a thread of ours
    assert torch.get_num_threads() == 2
    use_threads(None)
    assert torch.get_num_threads() == default_threads()


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
