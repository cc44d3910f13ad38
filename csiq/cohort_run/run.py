"""The whole of ``csiq cohort run``: the manifest checked, scans handed out, what failed named at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csiq.cohort.database import Progress
from csiq.cohort.following import failure, followed
from csiq.cohort_run.folder import RECORD, described, open_folder
from csiq.cohort_run.job import (
    COMPLETE,
    FAILED,
    INTERRUPTED,
    RUNNING,
    ScanJob,
    is_finished,
    log_of,
    write_outcome,
)
from csiq.cohort_run.places import (
    environments,
    overbooked,
    threads_each,
    visible_gpus,
    with_memory_share,
    workers_here,
)
from csiq.cohort_run.report import write_report
from csiq.cohort_run.request import DASK, CohortRequest, HowToRun, models_of
from csiq.cohort_run.scan import reconstruct_scan
from csiq.errors import ResourceError
from csiq.io.held_folder import write_record
from csiq.workers.apart import ProcessDied
from csiq.workers.cluster import ClusterEngine, connected
from csiq.workers.engine import Call, Engine, WorkerLost
from csiq.workers.here import LocalEngine

#: How often a scan may end its process, and how often it may lose its worker, before it counts as failed. The
#: first is mostly the scan's own doing, the second mostly not.
DEATHS, LOSSES = 2, 4


@dataclass(frozen=True)
class Plan:
    """What is about to be done.

    Attributes
    ----------
    jobs : tuple of ScanJob
        Still to be done.
    total : int
        Scans of the manifest.
    place : str
        Where, in words.
    warning : str or None
    """

    jobs: tuple[ScanJob, ...]
    total: int
    place: str
    warning: str | None = None


@dataclass(frozen=True)
class Listening:
    """Who is told how it goes.

    Attributes
    ----------
    plan : callable
        Told once, before the first scan starts.
    step : callable
        Told of each scan that ended.
    """

    plan: Callable[[Plan], None] = lambda plan: None
    step: Callable[[Progress], None] = lambda step: None


def check_cohort(request: CohortRequest) -> tuple[list[ScanJob], dict[str, Any]]:
    """Check everything that can be checked before work starts; return the scans and what the cohort is of.

    Raises
    ------
    CsiqError
        With the first configuration, or all of the manifest's lines, that are not in order.
    """
    jobs = request.jobs()
    models = models_of({job.config.sha256(): job.config for job in jobs}.values())
    return jobs, described(request.manifest, jobs, models)


def run_cohort(
    request: CohortRequest, how: HowToRun | None = None, listening: Listening | None = None
) -> dict[str, Any]:
    """Reconstruct every scan of a manifest into a folder of its own, or go on with that.

    Parameters
    ----------
    request : CohortRequest
    how : HowToRun, optional
    listening : Listening, optional

    Returns
    -------
    dict
        What ``cohort-run.json`` says.

    Raises
    ------
    ManifestError
        With all problems of the manifest.
    CohortError
        If some scans failed; the others are finished, the page is written.
    ResourceError
        If the scheduler is lost, the disk is full.
    OutputError
        If the folder is in use, not empty, or holds other scans.
    """
    how, listening = how or HowToRun(), listening or Listening()
    jobs, config = check_cohort(request)
    # a scheduler that does not answer must not leave a folder behind
    with (
        _connection(jobs, how) as client,
        open_folder(request.folder, config, overwrite=how.overwrite, resume=how.resume),
    ):
        write_record(request.folder / RECORD, config, RUNNING)
        status = INTERRUPTED
        try:
            failed, tried = _work(request.folder, jobs, how, listening, client)
            missing = [job for job in jobs if not is_finished(job)]
            status = COMPLETE if not missing else FAILED if failed else INTERRUPTED
        finally:
            record = write_record(request.folder / RECORD, config, status)
            write_report(request.folder)
    if failed:
        hint = "the others are kept; --resume tries these again"
        raise failure(request.folder, failed, f"{tried} scans", hint)
    return record


@contextmanager
def _connection(jobs: Sequence[ScanJob], how: HowToRun) -> Iterator[Any]:
    """Give a client of the scheduler; None where none is needed."""
    if how.engine != DASK or (not how.overwrite and all(is_finished(job) for job in jobs)):
        yield None
        return
    with connected(str(how.scheduler)) as client:
        yield client


def _work(
    folder: Path, jobs: Sequence[ScanJob], how: HowToRun, listening: Listening, client: Any
) -> tuple[list[str], int]:
    left = [job for job in jobs if not is_finished(job)]
    if not left:
        listening.plan(Plan((), len(jobs), "nothing is left to do"))
        return [], 0
    with _engine(left, len(jobs), how, listening, client) as (engine, todo, workers):
        steps = _steps(engine, todo, fail_fast=how.fail_fast)

        def noted(made: int) -> dict[str, Any]:
            return {"scans": made, "engine": how.engine, "workers": workers}

        return followed(folder, steps, listening.step, noted)


@contextmanager
def _engine(
    left: Sequence[ScanJob], total: int, how: HowToRun, listening: Listening, client: Any
) -> Iterator[tuple[Engine, Sequence[ScanJob], int]]:
    call = Call(reconstruct_scan, log_of)
    if how.engine == DASK:
        with ClusterEngine(call, client) as cluster:
            workers = len(client.nthreads())
            place = f"on {_counted(workers, 'worker')} of {how.scheduler}"
            warning = None if workers else "no worker is there yet: `dask worker` starts one; waiting"
            listening.plan(Plan(tuple(left), total, place, warning))
            yield cluster, left, workers
        return
    gpus = visible_gpus(left)
    workers = workers_here(how.workers, len(left), gpus)
    threads = threads_each(workers)
    place = f"in {_counted(workers, 'process', 'es')} of {_counted(threads, 'thread')}"
    place += f", {_counted(len(gpus), 'GPU')}" if gpus else ""
    listening.plan(Plan(tuple(left), total, place, overbooked(left, workers)))
    with LocalEngine(call, environments(workers, gpus), threads) as engine:
        yield engine, with_memory_share(left, workers, gpus), workers


def _steps(engine: Engine, jobs: Sequence[ScanJob], *, fail_fast: bool) -> Iterator[Progress]:
    """Hand out scans and yield as each ends; one whose process or worker died is tried again at the end."""
    started, done = time.monotonic(), 0
    deaths, losses = Counter[str](), Counter[str]()
    for job in jobs:
        engine.submit(job)
    while done < len(jobs):
        ended = engine.next_ended()
        job, outcome, error = ended.item, ended.value, ended.error
        deaths[job.name] += isinstance(error, ProcessDied)
        losses[job.name] += isinstance(error, WorkerLost)
        died = isinstance(error, ProcessDied | WorkerLost)
        if died and deaths[job.name] < DEATHS and losses[job.name] < LOSSES:
            engine.submit(job)
            continue
        seconds = time.monotonic() - started
        if error is not None:
            outcome = write_outcome(job, seconds, _explained(error, deaths[job.name], losses[job.name]))
        done += 1
        why = (outcome.get("error") or {}).get("line")
        yield Progress(job.name, done, len(jobs), seconds, Failed(why) if why else None)
        if why and fail_fast:
            return


def _counted(n: int, what: str, plural: str = "s") -> str:
    return f"{n} {what}{plural if n != 1 else ''}"


class Failed(Exception):
    """A scan failed; its message is the error line of its outcome."""


def _explained(error: Exception, deaths: int, losses: int) -> Exception:
    if isinstance(error, ProcessDied):
        times = f"{deaths} times: " if deaths > 1 else ""
        hint = "fewer --workers or --coil-batch 1, if it was memory; the scan's csiq.log may say more"
        return ResourceError(f"{times}{error}", hint=hint)
    if isinstance(error, WorkerLost):
        return ResourceError(f"{losses} times: {error}", hint="see the logs of the workers")
    return error
