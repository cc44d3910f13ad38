"""Many trainings: one after the other here, or side by side on a Dask cluster."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from csiq.arrays import use_threads
from csiq.errors import CsiqError, ResourceError
from csiq.training.runs import Listener, TrainingTask, run_training
from csiq.workers.cluster import connected

_ALONE = threading.Lock()
#: A training, and the folder its results go to.
Job = tuple[TrainingTask, Path]


def run_all(
    jobs: Sequence[Job], scheduler: str | None = None, listen: Listener | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Run trainings; yield the number of each and its result as they end.

    What is finished in its folder is not done again.

    Parameters
    ----------
    jobs : sequence of (TrainingTask, Path)
    scheduler : str, optional
        Address of a Dask scheduler whose workers see the same files; here, one after the other, if None.
    listen : callable, optional

    Raises
    ------
    ConfigError
        If Dask is not installed.
    ResourceError
        If the scheduler does not answer.
    """
    if scheduler is None:
        for number, (task, folder) in enumerate(jobs):
            if listen is not None:
                listen({"event": "training", "number": number + 1, "of": len(jobs), "folder": folder.name})
            yield number, run_training(task, folder, listen)
        return
    yield from _on_cluster(jobs, scheduler)


def _on_cluster(jobs: Sequence[Job], scheduler: str) -> Iterator[tuple[int, dict[str, Any]]]:
    with connected(scheduler) as client:
        from distributed import as_completed

        sent = {}
        for number, (task, folder) in enumerate(jobs):
            # the record of what was done lies in the folder before the worker says so
            absolute = replace(task, manifest=task.manifest.resolve(), cache=task.cache.resolve())
            sent[client.submit(_one, absolute, folder.resolve(), pure=False, retries=1)] = number
        for future in as_completed(list(sent)):
            failure = future.exception()
            if failure is not None:
                raise (
                    failure
                    if isinstance(failure, CsiqError)
                    else ResourceError(f"a worker failed: {failure}")
                )
            yield sent[future], future.result()


def _one(task: TrainingTask, folder: Path) -> dict[str, Any]:
    from distributed import get_worker

    # dropout draws from numbers of the whole process: one training at a time, with all threads of the worker
    with _ALONE:
        use_threads(get_worker().state.nthreads)
        return run_training(task, folder)
