"""What a reconstruction will need, said before it starts: memory and time."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csiq.acquisition import Acquisition
from csiq.arrays import Device, default_threads, return_free_memory
from csiq.clock import seconds_of_parts, setup_seconds
from csiq.config import Config
from csiq.cuda.memory import N_VOLUMES, GpuPlan, GpuProblem, plan_gpu
from csiq.errors import ResourceError
from csiq.footprint import Sizes, stages
from csiq.quantities import bytes_of
from csiq.solvers import solver_named

if TYPE_CHECKING:
    from csiq.quality.assessor import Assessor

#: Terms of an iteration that are sets of volumes, on a GPU too.
_SETS = ("right-hand side", "solver", "penalties' duals", "volumes to return")

#: What is loaded after the scan was read: compiled loops, SciPy's filters, LAPACK's buffers, the network's
#: activations, matplotlib.
_LOADED_LATER = 100 << 20
#: The process before any array, where the system does not say.
_PROCESS = 450 << 20


@dataclass(frozen=True)
class Estimate:
    """Memory and time of a reconstruction.

    Attributes
    ----------
    memory_bytes : int
        Peak of the whole process (on a GPU: of the device).
    setup_bytes, iteration_bytes : int
        Peaks up to the kernels' end, and while iterations run.
    seconds_setup, seconds_per_iteration : float
        Set-up without reading and gating; an iteration with its grades.
    available_bytes : int
        Memory that is free now; 0 if unknown.
    loaded_bytes : int
        What of the need is taken already: the process and the scan.
    process_bytes : int
        What the process takes besides the arrays; 0 on a GPU.
    terms : dict
        Stage -> name -> bytes of the arrays at its peak; empty on a GPU.
    seconds_terms : dict
        Name -> seconds of the parts of an iteration.
    """

    memory_bytes: int
    setup_bytes: int
    iteration_bytes: int
    seconds_setup: float
    seconds_per_iteration: float
    available_bytes: int
    loaded_bytes: int = 0
    process_bytes: int = 0
    terms: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds_terms: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the numbers for ``--json``."""
        return dict(vars(self))


def estimate(
    scan: Acquisition, config: Config, device: Device | None = None, grader: Assessor | None = None
) -> Estimate:
    """Return what reconstructing ``scan`` will need.

    Best called right after reading: what the process takes now, less the scan, counts as the program's own.

    Parameters
    ----------
    scan : Acquisition
    config : Config
    device : Device, optional
        The CPU by default.
    grader : Assessor, optional
        To time a grade with; without one grading is left out.

    Notes
    -----
    Times are those of the CPU, on a GPU too: nothing is started there for an estimate.
    """
    device = device or Device()
    sizes, held = sizes_of(scan, config), scan_bytes(scan)
    seconds = seconds_of_parts(sizes, grader)
    setup = setup_seconds(sizes)
    if device.is_gpu:
        plan = gpu_plan(sizes, config, available_memory(device))
        return Estimate(
            plan.peak_bytes,
            plan.setup_bytes,
            plan.iteration_bytes,
            setup,
            sum(seconds.values()),
            available_memory(device),
            seconds_terms=seconds,
        )
    own = max(resident_bytes() - held, 0) or _PROCESS
    terms = stages(sizes)
    peaks = {stage: own + _LOADED_LATER + sum(parts.values()) for stage, parts in terms.items()}
    iteration = peaks.pop("iteration")
    return Estimate(
        memory_bytes=max(iteration, *peaks.values()),
        setup_bytes=max(peaks.values()),
        iteration_bytes=iteration,
        seconds_setup=setup,
        seconds_per_iteration=sum(seconds.values()),
        available_bytes=available_memory(device),
        loaded_bytes=own + held,
        process_bytes=own + _LOADED_LATER,
        terms=terms,
        seconds_terms=seconds,
    )


def sizes_of(scan: Acquisition, config: Config) -> Sizes:
    """Return what memory and time depend on."""
    solver: Any = solver_named(config.solver.solver)
    penalty = config.penalty
    n_phases = 1 if config.gating.mode == "selfnav" else config.gating.phases
    n_coils = min(scan.n_coils, config.coils.coils or scan.n_coils)
    threads = config.run.threads or default_threads()
    axes = sum(n > 1 for n in scan.geometry.shape)
    return Sizes(
        shape=scan.geometry.shape,
        n_phases=n_phases,
        n_coils=n_coils,
        n_receive=scan.n_coils,
        n_samples=scan.n_spokes * scan.n_samples,
        threads=min(threads, config.run.coil_batch or n_coils * n_phases),
        whitens=scan.noise is not None,
        solver_sets=solver.VOLUME_SETS,
        difference_sets=solver.DIFFERENCE_SETS,
        search_sets=solver.SEARCH_SETS,
        components=(axes,) * (penalty.lamda_spatial_tv > 0) + (1,) * (penalty.lamda_wavelet > 0),
    )


def gpu_plan(sizes: Sizes, config: Config, free_bytes: int) -> GpuPlan:
    """Return how a problem is laid out on a GPU.

    Raises
    ------
    ResourceError
        If not even one coil at a time fits.
    """
    sets = stages(sizes)["iteration"]
    arrays = sum(n for name, n in sets.items() if name in _SETS) / sizes.volumes
    problem = GpuProblem(
        sizes.shape, sizes.n_phases, sizes.n_coils, sizes.n_samples, max(N_VOLUMES, math.ceil(arrays))
    )
    return plan_gpu(problem, free_bytes, config.run.coil_batch)


def scan_bytes(scan: Acquisition) -> int:
    """Return the bytes of a scan's arrays."""
    arrays = [scan.kspace, scan.coord, scan.noise]
    if scan.navigators is not None:
        arrays.append(scan.navigators.kspace)
    return sum(int(array.nbytes) for array in arrays if array is not None)


def resident_bytes() -> int:
    """Return what this process holds in memory; 0 if the system does not say."""
    return_free_memory()
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


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
