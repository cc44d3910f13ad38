"""CuPy and cufinufft for machines without a GPU: NumPy and finufft, as strict about whose array it is."""

from __future__ import annotations

import sys
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

DEVICE = 1  # not the first: work for it must not land there


class ndarray(np.ndarray):
    """An array of "CuPy": it does not mix with NumPy's, and belongs to the device that was current."""

    __module__ = "cupy"

    def __array_finalize__(self, parent: Any) -> None:
        assert _current.index == DEVICE, "made for another device"

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **more: Any) -> Any:
        _refuse_numpy(inputs)
        if out is not None:
            more["out"] = tuple(plain(array) for array in out)
        found = getattr(ufunc, method)(*(plain(array) for array in inputs), **more)
        return out[0] if out is not None else _ours(found)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        raise TypeError(f"numpy.{function.__name__} of a CuPy array")

    def __getitem__(self, key: Any) -> Any:
        _refuse_numpy(key if isinstance(key, tuple) else (key,))
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        _refuse_numpy((key, value))
        super().__setitem__(key, value)

    def take(self, indices: Any, axis: int) -> Any:  # type: ignore[override]
        _refuse_numpy((indices,))
        return super().take(indices, axis)

    @property
    def device(self) -> Any:  # type: ignore[override]
        return SimpleNamespace(id=DEVICE)

    def get(self) -> np.ndarray:
        return plain(self).copy()


class Current(threading.local):
    """The device that is current in a thread, the first until it says otherwise."""

    index = 0


class Device:
    """A device as a context."""

    def __init__(self, index: int) -> None:
        self.id = index

    def __enter__(self) -> None:
        self.before, _current.index = _current.index, self.id

    def __exit__(self, *_: object) -> None:
        _current.index = self.before


class Plan:
    """cufinufft's plan of a type 2."""

    def __init__(self, kind: int, shape: tuple[int, ...], *, gpu_device_id: int, **options: Any) -> None:
        import finufft

        assert gpu_device_id == DEVICE
        self.plan = finufft.Plan(kind, shape, nthreads=1, **options)

    def setpts(self, *angles: Any) -> None:
        assert all(type(angle) is ndarray for angle in angles)
        self.plan.setpts(*(plain(angle) for angle in angles))

    def execute(self, image: Any) -> Any:
        assert type(image) is ndarray
        assert image.flags.c_contiguous
        return _ours(self.plan.execute(plain(image)))


_current = Current()


def plain(array: Any) -> Any:
    """Return NumPy's view of an array."""
    return array.view(np.ndarray) if type(array) is ndarray else array


def _ours(array: Any) -> Any:
    return array.view(ndarray) if isinstance(array, np.ndarray) else array


def _refuse_numpy(arrays: Any) -> None:
    if any(type(array) is np.ndarray and array.ndim for array in arrays):
        raise TypeError("an array of NumPy among those of CuPy")


def stand_in(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    """Let ``import cupy`` find the stand-in, and cufinufft, or SigPy alone."""
    import sigpy

    cupy: Any = ModuleType("cupy")
    cupy.ndarray, cupy.minimum = ndarray, np.minimum
    cupy.asarray = lambda array: array if type(array) is ndarray else _ours(np.array(array))
    cupy.ascontiguousarray = lambda array: _ours(np.ascontiguousarray(plain(array)))
    cupy.zeros = lambda shape, dtype: _ours(np.zeros(shape, dtype))
    cupy.get_default_memory_pool = lambda: SimpleNamespace(free_all_blocks=lambda: None)
    cupy.cuda = SimpleNamespace(Device=Device)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    cufinufft: Any = ModuleType("cufinufft")
    cufinufft.Plan = Plan
    monkeypatch.setitem(sys.modules, "cufinufft", cufinufft if library == "cufinufft" else None)
    nufft = sigpy.nufft

    def on_numpy(image: Any, coord: Any, **options: Any) -> Any:
        assert library == "sigpy"
        assert type(image) is type(coord) is ndarray
        return _ours(nufft(plain(image), plain(coord), **options))

    monkeypatch.setattr(sigpy, "nufft", on_numpy)
