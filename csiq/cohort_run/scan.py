"""What happens in the process of one scan."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any

from csiq.cohort_run.job import ScanJob, log_of, write_outcome
from csiq.errors import CsiqError
from csiq.io.lock import SILENT_S, FolderInUse

_log = logging.getLogger("csiq")


def reconstruct_scan(job: ScanJob, threads: int) -> dict[str, Any]:
    """Reconstruct a scan into its folder, from where an earlier attempt stopped, as ``csiq recon`` does.

    The results are in the folder, and how it ended in the scan's outcome, before this returns.

    Parameters
    ----------
    job : ScanJob
    threads : int
        Where the configuration says nothing.

    Returns
    -------
    dict
        The outcome.
    """
    started = time.monotonic()
    job.outcome.unlink(missing_ok=True)
    try:
        _reconstruct(job, threads)
    except Exception as error:
        _write_down(job, error)
        return write_outcome(job, time.monotonic() - started, error)
    return write_outcome(job, time.monotonic() - started)


def _reconstruct(job: ScanJob, threads: int) -> None:
    from csiq.run_scan import run

    config = job.config
    if config.run.threads is None:
        config = replace(config, run=replace(config.run, threads=threads))
    deadline = time.monotonic() + SILENT_S + 30
    while True:
        try:
            run(config, job.raw, job.run_folder, resume=True)
            return
        except FolderInUse:
            # of an attempt that is about to end, or whose machine is gone
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def _write_down(job: ScanJob, error: Exception) -> None:
    """Add an error to the scan's log; a run writes its own, but some come before there is a run."""
    handler = logging.FileHandler(log_of(job), encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    _log.addHandler(handler)
    try:
        _log.error("failed: %s", error, exc_info=not isinstance(error, CsiqError))
    finally:
        _log.removeHandler(handler)
        handler.close()
