"""Where scans run: which GPUs there are, how many processes, and each one's share of cores and memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec

from csiq.arrays import default_threads, gpu_count
from csiq.cohort_run.job import ScanJob
from csiq.errors import DeviceError
from csiq.plan import available_memory
from csiq.workers.apart import Apart, ProcessDied

#: Without a GPU: a reconstruction gains little from more threads, and each takes its memory.
CORES_EACH = 4


def visible_gpus(jobs: Sequence[ScanJob]) -> list[str]:
    """Return the GPUs that scans may use, as ``CUDA_VISIBLE_DEVICES`` calls them.

    None are counted where a configuration names its device: that is then the user's business.

    Raises
    ------
    DeviceError
        If CuPy ends the process that asks it.
    """
    if any(job.config.run.device not in ("auto", "cuda") for job in jobs) or find_spec("cupy") is None:
        return []
    # in a process of its own: asking leaves a context in the GPU's memory
    try:
        count = int(Apart(_count_gpus, None).result())
    except ProcessDied as error:
        what = f"CuPy does not count the GPUs: {error}"
        raise DeviceError(what, field="--device", hint="--device cpu goes without them") from None
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    named = [name for name in named if name]
    return (named or [str(i) for i in range(count)])[:count]


def _count_gpus(nothing: None) -> int:
    return gpu_count()


def environments(workers: int, gpus: Sequence[str]) -> list[dict[str, str]]:
    """Return the environment of each worker: with GPUs each sees one, in turn."""
    return [{"CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]} if gpus else {} for i in range(workers)]


def workers_here(wanted: int | None, n_jobs: int, gpus: Sequence[str]) -> int:
    """Return how many processes are to work on so many scans."""
    usual = len(gpus) or max(1, default_threads() // CORES_EACH)
    return max(1, min(wanted or usual, n_jobs))


def threads_each(workers: int) -> int:
    """Return a worker's share of the cores."""
    return max(1, default_threads() // workers)


def with_memory_share(jobs: Sequence[ScanJob], workers: int, gpus: Sequence[str]) -> list[ScanJob]:
    """Return jobs that may take their share of the memory that is free now, unless a limit was set.

    Each of several processes that start together would count all of it as its own. The memory of a GPU is
    not shared.
    """
    free = available_memory()
    if workers == 1 or gpus or not free:
        return list(jobs)
    share = f"{free // workers}B"
    return [job if job.config.run.max_memory else _limited(job, share) for job in jobs]


def _limited(job: ScanJob, share: str) -> ScanJob:
    run = replace(job.config.run, max_memory=share)
    return replace(job, config=replace(job.config, run=run))


def overbooked(jobs: Sequence[ScanJob], workers: int) -> str | None:
    """Return a warning where configurations ask for more threads than there are cores."""
    most = max((job.config.run.threads or 0 for job in jobs), default=0)
    cores = default_threads()
    if most * workers <= max(cores, most):
        return None
    return f"{workers} processes of {most} threads are more than the {cores} cores"
