"""What fits on a GPU: how many coils at a time, how large a slab, and what stays in the host's memory.

With V the bytes of a complex volume, K those of a phase's kernel (float32 on the doubled grid), D those of a
complex doubled grid, M the samples of all spokes of one coil, P phases, C coils and b coils at a time, the
peaks are

- iterating: ``n_volumes P V + kernels + maps + 2 (b 2V + slab) + reserve``. Twice, because cuFFT may want a
  work area as large as what it transforms;
- setting up: ``kernels + maps + 2 P V + 16 C M + 32 M + 2 D + (D/2 + D/2 + K) + reserve``: gridded images,
  k-space plain and weighted, positions (12 bytes as given, 12 as angles), weights and their order, the
  NUFFT's grid and its work area, and a kernel being made (half spectrum, a copy of it, the real result).

``kernels`` is P K, or 2 K if they wait on the host; ``maps`` is C V, or b V. On the host k-space comes over
one coil of a phase at a time: 16 M / P instead of 16 C M.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from csiq.cuda.toeplitz import SLAB_BYTES, planes_of
from csiq.errors import ResourceError
from csiq.failures import is_out_of_memory, with_less
from csiq.nufft import doubled_shape

__all__ = [
    "GpuPlan",
    "GpuProblem",
    "free_bytes",
    "is_out_of_memory",
    "plan_gpu",
    "release_pools",
    "with_back_off",
]

T = TypeVar("T")

#: Sets of volumes alive at once: right-hand side, two iterates and their normal images, gradient and momentum
#: points old and new, dual, move, a temporary, the kept copy, and the copy that is graded beside.
N_VOLUMES = 14
#: torch's and cuFFT's own, the grader's activations (18 slices), compiled kernels.
RESERVE = 1 << 30
#: Share of the free memory that is used: pools leave gaps.
_USABLE = 0.95
_HINT = "try --coils 4, --matrix or --phases 2, or --device cpu"

_log = logging.getLogger("csiq")


@dataclass(frozen=True)
class GpuProblem:
    """The sizes that memory depends on.

    Attributes
    ----------
    shape : (int, int, int)
        Voxels, z y x.
    n_phases, n_coils : int
    n_samples : int
        Samples of all spokes together, of one coil.
    n_volumes : int
        Sets of volumes alive at once.
    """

    shape: tuple[int, int, int]
    n_phases: int
    n_coils: int
    n_samples: int = 0
    n_volumes: int = N_VOLUMES


@dataclass(frozen=True)
class GpuPlan:
    """How a problem is laid out on a GPU.

    Attributes
    ----------
    problem : GpuProblem
    coil_batch : int
        Coils at a time.
    slab_bytes : int
        Of the doubled grid worked on at a time, at most.
    kernels_on_device, smaps_on_device, kspace_on_device : bool
        Else they wait in the host's memory and are copied over phase by phase, batch by batch, coil by coil.
    """

    problem: GpuProblem
    coil_batch: int
    slab_bytes: int = SLAB_BYTES
    kernels_on_device: bool = True
    smaps_on_device: bool = True
    kspace_on_device: bool = True

    @property
    def resident_bytes(self) -> int:
        """Kernels and maps."""
        problem, doubled = self.problem, math.prod(doubled_shape(self.problem.shape))
        kernels = problem.n_phases if self.kernels_on_device else min(2, problem.n_phases)
        maps = problem.n_coils if self.smaps_on_device else self.coil_batch
        return 4 * doubled * kernels + 8 * math.prod(problem.shape) * maps

    @property
    def buffer_bytes(self) -> int:
        """The coil images doubled along z, the slab, and as much again for cuFFT."""
        shape = self.problem.shape
        doubled = doubled_shape(shape)
        spectrum = 8 * doubled[0] * self.coil_batch * shape[1] * shape[2]
        planes = planes_of(shape, self.coil_batch, self.slab_bytes)
        return 2 * (spectrum + 8 * planes * self.coil_batch * doubled[1] * doubled[2])

    @property
    def iteration_bytes(self) -> int:
        """Peak while iterations run."""
        problem = self.problem
        volumes = 8 * math.prod(problem.shape) * problem.n_phases
        return problem.n_volumes * volumes + self.resident_bytes + self.buffer_bytes + RESERVE

    @property
    def setup_bytes(self) -> int:
        """Peak while kernels are made."""
        problem, doubled = self.problem, math.prod(doubled_shape(self.problem.shape))
        coils = problem.n_coils if self.kspace_on_device else 1 / problem.n_phases
        samples = math.ceil(problem.n_samples * (16 * coils + 32))
        making = 2 * 8 * doubled + 8 * doubled + 4 * doubled
        gridded = 2 * 8 * math.prod(problem.shape) * problem.n_phases
        return self.resident_bytes + gridded + samples + making + RESERVE

    @property
    def peak_bytes(self) -> int:
        """The larger of the two."""
        return max(self.iteration_bytes, self.setup_bytes)

    def smaller(self) -> GpuPlan | None:
        """Return the plan with half the coils at a time and half the slab; None at one coil."""
        if self.coil_batch == 1:
            return None
        return replace(self, coil_batch=_half(self.coil_batch), slab_bytes=max(1, self.slab_bytes // 2))


def plan_gpu(problem: GpuProblem, free_bytes: int, coil_batch: int | None = None) -> GpuPlan:
    """Return the plan that fits: as much on the device, then as many coils at a time, as there is room for.

    Parameters
    ----------
    problem : GpuProblem
    free_bytes : int
        Free memory of the device.
    coil_batch : int, optional
        At most so many coils at a time.

    Raises
    ------
    ResourceError
        If not even one coil at a time fits, with everything else on the host.
    """
    room = _USABLE * free_bytes
    plan = None
    for plan in _candidates(problem, min(coil_batch or problem.n_coils, problem.n_coils)):
        if plan.peak_bytes <= room:
            return plan
    least = plan.peak_bytes if plan is not None else 0
    raise ResourceError(
        f"needs at least {least / 1e9:.1f} GB on the GPU, {free_bytes / 1e9:.1f} GB free",
        field="memory",
        hint=_HINT,
    )


def _candidates(problem: GpuProblem, most: int) -> Iterator[GpuPlan]:
    """Yield plans from the fastest to the smallest."""
    # k-space is needed once, kernels every iteration but one at a time, maps in every phase
    for on_device in ((True, True, True), (True, True, False), (False, True, False), (False, False, False)):
        kernels, smaps, kspace = on_device
        batch = most
        while True:
            yield GpuPlan(
                problem,
                batch,
                kernels_on_device=kernels,
                smaps_on_device=smaps,
                kspace_on_device=kspace,
            )
            if batch == 1:
                break
            batch = _half(batch)


def _half(batch: int) -> int:
    return -(-batch // 2)


def with_back_off(run: Callable[[GpuPlan], T], plan: GpuPlan, release: Callable[[], None] | None = None) -> T:
    """Return ``run(plan)``; where memory runs out, with half the coils at a time, and so on.

    Parameters
    ----------
    run : callable
        Called with a plan; it must start from nothing each time.
    plan : GpuPlan
    release : callable, optional
        Gives unused memory back before another try; the blocks of CuPy's and torch's pools by default.

    Raises
    ------
    ResourceError
        If one coil at a time does not fit either.
    """

    def between(before: GpuPlan, less: GpuPlan) -> None:
        """Say how many coils there are now, and give unused memory back."""
        _log.warning(
            "GPU memory ran out: %d coils at a time instead of %d", less.coil_batch, before.coil_batch
        )
        (release or release_pools)()

    refusal = ResourceError("the GPU's memory ran out", field="memory", hint=_HINT)
    return with_less(run, plan, GpuPlan.smaller, between, refusal)


def release_pools() -> None:
    """Give the unused blocks of CuPy's and torch's memory pools back to the device."""
    import cupy
    import torch

    cupy.get_default_memory_pool().free_all_blocks()
    cupy.get_default_pinned_memory_pool().free_all_blocks()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def free_bytes(device: Any) -> int:
    """Return the memory a run can have: what is free, and what CuPy's pool holds unused.

    Parameters
    ----------
    device : Device
        A GPU.
    """
    import cupy

    with cupy.cuda.Device(device.index):
        return int(cupy.cuda.runtime.memGetInfo()[0]) + int(cupy.get_default_memory_pool().free_bytes())
