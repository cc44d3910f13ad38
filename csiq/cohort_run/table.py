"""The scans of a cohort in numbers, one row each, read from their folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from csiq.cohort_run.folder import TABLE, read_cohort_run
from csiq.cohort_run.job import (
    COMPLETE,
    FAILED,
    RUNNING,
    STATES,
    read_outcome,
    run_folder_of,
    run_of,
    state_of,
)
from csiq.errors import CsiqError
from csiq.io.tables import Cell, write_table
from csiq.report.record import Record, read_record

COLUMNS = (
    "scan", "status", "best_phase", "top_set", "grade", "grade_sd", "iterations", "stop_iteration",
    "stop_reason", "plateau", "returned_iteration", "in_domain", "rescan_advised", "warnings", "seconds",
    "code", "error",
)  # fmt: skip


@dataclass(frozen=True)
class ScanRow:
    """One scan of a cohort.

    Attributes
    ----------
    scan, status : str
        Its name, and one of :data:`csiq.cohort_run.job.STATES`.
    raw, config : str
        Base name of the raw file; preset or base name of the configuration, empty for the defaults.
    best_phase : int or None
        From 1; None without grades.
    top_set : tuple of int
        Phases that cannot be told from the best, itself included.
    grade, grade_sd : float or None
        Of the best phase, at the iteration returned.
    iterations : int or None
        Computed so far.
    stop_iteration, stop_reason : int, str or None
    plateau : int or None
        Where the run's plateau rule stopped it, or would have.
    returned_iteration : int or None
    in_domain : bool or None
        Whether the network knows such images, all phases; None if nobody said.
    rescan_advised : bool or None
        None if nobody asked.
    warnings : int
    seconds : float or None
        To read, reconstruct and grade.
    code : int or None
        Exit code that ``csiq recon`` would have had, of a scan that failed.
    error : str or None
        Its error, in one line.
    """

    scan: str
    status: str
    raw: str = ""
    config: str = ""
    best_phase: int | None = None
    top_set: tuple[int, ...] = ()
    grade: float | None = None
    grade_sd: float | None = None
    iterations: int | None = None
    stop_iteration: int | None = None
    stop_reason: str | None = None
    plateau: int | None = None
    returned_iteration: int | None = None
    in_domain: bool | None = None
    rescan_advised: bool | None = None
    warnings: int = 0
    seconds: float | None = None
    code: int | None = None
    error: str | None = None

    def cells(self) -> dict[str, Cell]:
        """Return its row of ``cohort.tsv``."""
        texts = {
            "scan": self.scan,
            "status": self.status,
            "top_set": " ".join(map(str, self.top_set)) or None,
            "error": " ".join(self.error.split()) if self.error else None,
        }
        return {name: texts[name] if name in texts else getattr(self, name) for name in COLUMNS}


def rows_of(folder: Path) -> list[ScanRow]:
    """Return a cohort's scans in the order of its manifest, whatever state they are in.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    ConfigError, RawDataError
        If it is no folder of a cohort of raw scans.
    """
    return [_row(folder, scan) for scan in read_cohort_run(folder)["config"]["scans"]]


def counts_of(rows: list[ScanRow]) -> dict[str, int]:
    """Return how many scans are in each state."""
    return {state: sum(row.status == state for row in rows) for state in STATES}


def write_rows(folder: Path, rows: list[ScanRow]) -> None:
    """Write ``cohort.tsv``."""
    write_table(folder / TABLE, [row.cells() for row in rows], COLUMNS)


def _row(folder: Path, scan: Mapping[str, Any]) -> ScanRow:
    name = str(scan["scan"])
    status = state_of(folder, name)
    row = ScanRow(name, status, str(scan.get("raw") or ""), str(scan.get("config") or ""))
    if status == FAILED:
        error = (read_outcome(folder, name) or {}).get("error") or {}
        return replace(row, code=error.get("code"), error=error.get("line"))
    run_folder = run_folder_of(folder, name)
    try:
        record = read_record(run_folder) if run_of(run_folder) else None
    except CsiqError as error:
        # being written, or damaged: the scan's own report says more
        return replace(row, error=error.one_line() if status != RUNNING else None)
    if record is None:
        return row
    if status != COMPLETE:
        last = record.history.last.iteration if len(record.history) else None
        return replace(row, iterations=last)
    return replace(row, **_found(record))


def _found(record: Record) -> dict[str, Any]:
    """Return what a complete run found."""
    run, ranking, stop = record.run, record.ranking, record.section("stop")
    best = ranking.phases[ranking.best_phase - 1] if ranking is not None and ranking.best_phase else None
    known = [inside for inside in record.section("grading").get("in_domain") or [] if inside is not None]
    returned = set(record.returned)
    rescan = run.get("rescan") or {}
    advised = rescan.get("grade") is not None and rescan["grade"] < rescan.get("min_grade", 0)
    return {
        "best_phase": best.phase if best is not None else None,
        "top_set": tuple(ranking.top_set) if ranking is not None and best is not None else (),
        "grade": best.grade if best is not None else None,
        "grade_sd": best.grade_sd if best is not None else None,
        "iterations": run.get("iterations"),
        "stop_iteration": stop.get("iteration"),
        "stop_reason": stop.get("reason"),
        "plateau": _plateau(record),
        "returned_iteration": returned.pop() if len(returned) == 1 else None,
        "in_domain": all(known) if known else None,
        "rescan_advised": bool(advised) if rescan else None,
        "warnings": len(run.get("warnings") or []),
        "seconds": record.seconds,
    }


def _plateau(record: Record) -> int | None:
    """Return where the grade's plateau rule of this run fired, or would have."""
    stop = record.section("stop")
    if stop.get("reason") == "plateau":
        return int(stop["iteration"])
    found = record.section("counterfactual").get(
        f"grade_plateau_{record.config('stop').get('scope', 'mean')}"
    )
    return int(found) if found is not None else None
