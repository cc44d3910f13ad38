"""What a reconstruction will need, said before it starts: memory and time."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from csiq.acquisition import Acquisition
from csiq.arrays import Device, default_threads
from csiq.config import Config, bytes_of
from csiq.errors import ResourceError

_COMPLEX, _REAL = 8, 4
#: Arrays as large as all phases that live at once during an iteration: right-hand side, two iterates and
#: their normal images, gradient and momentum points old and new, dual, move, the kept copy, one on the way.
_VOLUMES_IN_FLIGHT = 12
#: Python, NumPy, torch, numba and the network, loaded.
_PROCESS = 700 << 20


@dataclass(frozen=True)
class Estimate:
    """Memory and time of a reconstruction.

    Attributes
    ----------
    memory_bytes : int
        Peak of the whole process (on a GPU: of the device).
    setup_bytes, iteration_bytes : int
        Peaks while kernels are made, and while iterations run.
    seconds_setup, seconds_per_iteration : float
        Without reading and gating; from a measured transform on this machine.
    available_bytes : int
        Memory that is free now; 0 if unknown.
    loaded_bytes : int
        What of the need is taken already: the scan.
    """

    memory_bytes: int
    setup_bytes: int
    iteration_bytes: int
    seconds_setup: float
    seconds_per_iteration: float
    available_bytes: int
    loaded_bytes: int = 0

    def as_json(self) -> dict[str, float]:
        """Return the numbers for ``--json``."""
        return dict(vars(self))


def estimate(scan: Acquisition, config: Config, device: Device | None = None) -> Estimate:
    """Return what reconstructing ``scan`` will need.

    Parameters
    ----------
    scan : Acquisition
    config : Config
    device : Device, optional
        The CPU by default.
    """
    device = device or Device()
    threads = 1 if device.is_gpu else (config.run.threads or default_threads())
    in_flight = min(threads, config.run.coil_batch or threads)
    n_phases = 1 if config.gating.mode == "selfnav" else config.gating.phases
    n_coils = min(scan.n_coils, config.coils.coils or scan.n_coils)
    voxels = math.prod(scan.geometry.shape)
    doubled = math.prod(2 * n if n > 1 else 1 for n in scan.geometry.shape)
    samples = scan.n_spokes * scan.n_samples
    raw = samples * (scan.n_coils * _COMPLEX + 3 * _REAL)
    kspace = samples * (2 * n_coils * _COMPLEX + 5 * _REAL)
    kernels = n_phases * doubled * _REAL + n_coils * voxels * _COMPLEX
    # a kernel being made: half spectrum, its real transform, and the NUFFT's own doubled grid
    making = min(in_flight, n_phases) * doubled * (_COMPLEX // 2 + _REAL + _COMPLEX)
    setup = raw + kspace + kernels + making + 2 * n_phases * voxels * _COMPLEX
    convolving = in_flight * 5 * voxels * _COMPLEX
    iteration = raw + kernels + convolving + _VOLUMES_IN_FLIGHT * n_phases * voxels * _COMPLEX
    process = 0 if device.is_gpu else _PROCESS
    per_convolution = _seconds_of_convolution(scan.geometry.shape)
    workers = min(in_flight, n_phases * n_coils)
    per_iteration = 1.4 * n_phases * n_coils * per_convolution / workers
    return Estimate(
        memory_bytes=process + max(setup, iteration),
        setup_bytes=process + setup,
        iteration_bytes=process + iteration,
        seconds_setup=3 * per_iteration + 2e-7 * samples * n_coils,
        seconds_per_iteration=per_iteration,
        loaded_bytes=0 if device.is_gpu else raw,
        available_bytes=available_memory(device),
    )


def check_memory(need: Estimate, config: Config) -> None:
    """Refuse to start what will not fit.

    Raises
    ------
    ResourceError
        If the estimate is above ``max_memory``, or above what is free.
    """
    limit = need.available_bytes + need.loaded_bytes if need.available_bytes else 0
    if config.run.max_memory:
        limit = bytes_of(config.run.max_memory)
    if limit and need.memory_bytes > limit and not config.data.force:
        what = "allowed by --max-memory" if config.run.max_memory else "free"
        raise ResourceError(
            f"needs {need.memory_bytes / 1e9:.1f} GB, {limit / 1e9:.1f} GB {what}",
            field="memory",
            hint="try --coils 4, --coil-batch 1, --matrix or --phases 2; --force starts all the same",
        )


def available_memory(device: Device | None = None) -> int:
    """Return the bytes of memory that are free for this process, or on a GPU; 0 if nobody says."""
    if device is not None and device.is_gpu:
        import cupy

        with cupy.cuda.Device(device.index):
            return int(cupy.cuda.runtime.memGetInfo()[0])
    limits = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(int(line.split()[1]) * 1024)
        group = Path("/sys/fs/cgroup")
        top = (group / "memory.max").read_text().strip()
        if top.isdigit():
            statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            # files that were only read are given back when memory is wanted
            used = int((group / "memory.current").read_text()) - int(statistics.get("inactive_file", 0))
            limits.append(int(top) - used)
    except OSError:
        pass
    return max(0, min(limits, default=0))


def _seconds_of_convolution(shape: tuple[int, ...]) -> float:
    """Return the seconds of one Toeplitz convolution, from one of a smaller size: cost N^3 log N."""
    from csiq.convolution import sum_of_coils

    small = tuple(min(n, 32) if shape[0] > 1 else min(n, 128) for n in shape)
    volume = np.ones(small, np.complex64)
    smaps = np.ones((1, *small), np.complex64)
    kernel = np.ones((2 * small[0] if small[0] > 1 else 1, 4, *small[1:]), np.float32)
    sum_of_coils(volume, smaps, kernel)
    started = time.perf_counter()
    sum_of_coils(volume, smaps, kernel)
    seconds = time.perf_counter() - started
    work = [math.prod(s) * math.log2(2 * max(s)) for s in (shape, small)]
    return seconds * work[0] / work[1]
