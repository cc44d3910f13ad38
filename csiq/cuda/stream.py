"""Work beside the main stream: grading in a side stream, uploads one phase ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import numpy as np

from csiq.arrays import Array, Device, to_host

T = TypeVar("T")


class SideLine:
    """One thread that does tasks in turn, on a GPU in a stream of its own.

    The thread is started by the first task, and ended by :meth:`close`. A
    thread, because grading waits for numbers on the host now and then: the main thread goes on meanwhile.

    Parameters
    ----------
    device : Device
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="csiq-side")
        self._stream: Any = None

    def submit(self, task: Callable[[], T]) -> Future[T]:
        """Do a task after all that was launched on the current stream so far; return at once.

        What the task reads must not change meanwhile: hand it copies.
        """
        ready = self._record()

        def beside() -> T:
            """Do the task on the stream beside, once what was queued before it is ready."""
            with self._on_stream(ready):
                return task()

        return self._pool.submit(beside)

    def close(self) -> None:
        """Wait for the task in hand, drop those that have not begun, and end the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _record(self) -> Any:
        if not self._device.is_gpu:
            return None
        import cupy

        event = cupy.cuda.Event(disable_timing=True)
        event.record()
        return event

    def _on_stream(self, ready: Any) -> AbstractContextManager[None]:
        return _streams(self, ready) if self._device.is_gpu else nullcontext()


@contextmanager
def _streams(line: SideLine, ready: Any) -> Iterator[None]:
    """Let CuPy and, where it has CUDA, torch work on the line's stream, once ``ready`` has passed."""
    import cupy
    import torch

    index = line._device.index
    with cupy.cuda.Device(index):
        if line._stream is None:
            line._stream = cupy.cuda.Stream(non_blocking=True)
        line._stream.wait_event(ready)
        theirs: AbstractContextManager[Any] = nullcontext()
        if torch.cuda.is_available():
            theirs = torch.cuda.stream(torch.cuda.ExternalStream(line._stream.ptr, device=index))
        try:
            with line._stream, theirs:
                yield
        finally:
            # memory goes back to the pools of the main stream: nothing may still be reading it
            line._stream.synchronize()


class PhaseUploads:
    """Arrays of all phases in the host's memory, on the device when it is their turn.

    For kernels that do not fit: ``uploads[phase]`` is the phase's array on the device, and the next phase's
    begins to travel in a stream of its own while this one is worked with. Two arrays live on the device; the
    one handed out is overwritten at the call after the next.

    Parameters
    ----------
    arrays : array, (n_phases, ...)
        NumPy; on a GPU page-locked copies are made of it.
    xp : module
        cupy, or numpy to go through the same motions without a device.
    """

    def __init__(self, arrays: np.ndarray, xp: Any = np) -> None:
        self.shape, self.dtype = arrays.shape, arrays.dtype
        self._xp = xp
        self._host = _page_locked(arrays, xp)
        self._slots = [xp.empty(self.shape[1:], self.dtype) for _ in range(2)]
        self._holds: list[int | None] = [None, None]
        self._turn = 0
        on_gpu = xp is not np
        self._stream: Any = xp.cuda.Stream(non_blocking=True) if on_gpu else None
        self._arrived: list[Any] = [xp.cuda.Event(disable_timing=True) if on_gpu else None for _ in range(2)]

    def __len__(self) -> int:
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Array]:
        return (self[phase] for phase in range(len(self)))

    def __getitem__(self, phase: int) -> Array:
        if not 0 <= phase < len(self):
            raise IndexError(phase)
        if phase not in self._holds:
            self._upload(phase, self._turn)
        slot = self._holds.index(phase)
        if self._stream is not None:
            self._xp.cuda.get_current_stream().wait_event(self._arrived[slot])
        # the other slot is read by work that is already in the current stream, before this phase's
        self._turn, following = 1 - slot, (phase + 1) % len(self)
        if following not in self._holds:
            self._upload(following, self._turn)
        return self._slots[slot]

    def _upload(self, phase: int, slot: int) -> None:
        self._holds[slot] = phase
        if self._stream is None:
            self._slots[slot][...] = self._host[phase]
            return
        done = self._xp.cuda.Event(disable_timing=True)
        done.record()
        self._stream.wait_event(done)
        self._slots[slot].set(self._host[phase], stream=self._stream)
        self._arrived[slot].record(self._stream)


def _page_locked(arrays: Array, xp: Any) -> np.ndarray:
    if xp is np:
        return to_host(arrays)
    memory = xp.cuda.alloc_pinned_memory(arrays.nbytes)
    host: np.ndarray = np.frombuffer(memory, arrays.dtype, arrays.size).reshape(arrays.shape)
    host[...] = to_host(arrays)
    return host
