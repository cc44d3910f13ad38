"""How far a cohort is, from its folder alone: works while it runs, and after whatever ended it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from csiq.cohort.following import runs_of
from csiq.cohort_run.folder import read_cohort_run
from csiq.cohort_run.job import COMPLETE, FAILED, INTERRUPTED, RUNNING
from csiq.cohort_run.table import counts_of, rows_of
from csiq.io import lock


def status_of(folder: Path) -> dict[str, Any]:
    """Return where a cohort of raw scans stands.

    Returns
    -------
    dict
        ``status`` (``running``, ``complete``, ``failed``: some are, ``interrupted``), ``manifest``, ``of``
        and ``scans`` (how many are in each state), ``running`` (name and iterations so far),
        ``interrupted`` (names), ``failed`` (name, exit code, error line), ``runs`` (each time it was worked
        on).

    Raises
    ------
    ConfigError, RawDataError
        If it is no folder of a cohort of raw scans.
    """
    record, rows = read_cohort_run(folder), rows_of(folder)
    counts = counts_of(rows)
    going = lock.is_held(folder) or counts[RUNNING]
    ended = COMPLETE if counts[COMPLETE] == len(rows) else INTERRUPTED
    if not going and counts[COMPLETE] + counts[FAILED] == len(rows) and counts[FAILED]:
        ended = FAILED
    return {
        "status": RUNNING if going else ended,
        "manifest": record["config"].get("manifest"),
        "of": len(rows),
        "scans": counts,
        "running": [
            {"scan": row.scan, "iterations": row.iterations} for row in rows if row.status == RUNNING
        ],
        "interrupted": [row.scan for row in rows if row.status == INTERRUPTED],
        "failed": [
            {"scan": row.scan, "code": row.code, "error": row.error} for row in rows if row.status == FAILED
        ],
        "runs": runs_of(folder),
    }
