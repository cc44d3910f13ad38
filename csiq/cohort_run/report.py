"""``cohort.html``: the scans of a cohort on one page, with ``cohort.tsv`` beside it, whatever their state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from csiq._version import __version__
from csiq.cohort_run.folder import PAGE, TABLE, read_cohort_run
from csiq.cohort_run.job import COMPLETE, FAILED, STATES, run_folder_of
from csiq.cohort_run.pictures import phases_figure, plateaus_figure
from csiq.cohort_run.table import ScanRow, counts_of, rows_of, write_rows
from csiq.evaluation.page import render
from csiq.evaluation.section import Picture, Section, Table, shown
from csiq.io.atomic import write_text
from csiq.quality.origin import graded_by
from csiq.report.record import read_record
from csiq.report.verdict import RESEARCH_USE, duration

_STOPS = {
    "plateau": "grade",
    "max_iter": "iterations",
    "time_limit": "time",
    "solver_converged": "solver",
}


def write_report(folder: Path) -> Path:
    """Write the page and the table of a cohort and return the page's path; it may be running.

    Raises
    ------
    ConfigError, RawDataError
        If it is no folder of a cohort of raw scans.
    ResourceError
        If they cannot be written.
    """
    record, rows = read_cohort_run(folder), rows_of(folder)
    write_rows(folder, rows)
    write_text(folder / PAGE, page_of(folder, record, rows))
    return folder / PAGE


def page_of(folder: Path, record: dict[str, Any], rows: list[ScanRow]) -> str:
    """Return the page of a cohort."""
    sections = [_scans(folder, rows)]
    if any(row.best_phase for row in rows):
        sections += [_phases(rows), _plateaus(rows)]
    if any(row.status == FAILED for row in rows):
        sections.append(_failures(folder, rows, str(record["config"].get("manifest"))))
    return render(sections, _about(folder, record, rows))


def _graded_by(folder: Path, rows: list[ScanRow]) -> list[str]:
    """Return where the grades of a cohort come from, each network once."""
    graded = [run_folder_of(folder, row.scan) for row in rows if row.grade is not None]
    return list(dict.fromkeys(graded_by(read_record(path).section("model")) for path in graded))


def _about(folder: Path, record: dict[str, Any], rows: list[ScanRow]) -> dict[str, Any]:
    counts, manifest = counts_of(rows), str(record["config"].get("manifest"))
    left = len(rows) - counts[COMPLETE] - counts[FAILED]
    notes = [f"{counts[FAILED]} of {len(rows)} scans failed: see Failures."] if counts[FAILED] else []
    if left:
        notes.append(
            f"{left} of {len(rows)} scans are not finished: csiq cohort run {manifest} --resume goes on."
        )
    return {
        "program": "csiq cohort",
        "title": f"A cohort of {len(rows)} scan{'s' if len(rows) != 1 else ''}",
        "subject": manifest,
        "use": " ".join([RESEARCH_USE, *_graded_by(folder, rows)]),
        "tiles": [(str(counts[state]), state) for state in STATES if counts[state]],
        "notes": notes,
        "command": f"csiq cohort run {manifest}",
        "provenance": [("csiq", __version__), ("scans", len(rows)), ("manifest", manifest)],
        "hashes": sorted(
            {("configuration, SHA-256", scan["config_sha256"]) for scan in record["config"]["scans"]}
            | {
                ("network, SHA-256", scan["model_sha256"])
                for scan in record["config"]["scans"]
                if scan.get("model_sha256")
            }
        ),
        "foot": f"Every row of this page is in {TABLE}; each scan's own page is linked from its name.",
    }


def _scans(folder: Path, rows: list[ScanRow]) -> Section:
    head = (
        "scan",
        "status",
        "best phase",
        "grade",
        "stopped at",
        "by",
        "plateau",
        "returned",
        "time",
        "remarks",
    )
    body = [_cells(row) for row in rows]
    note = (
        "Best phase: in brackets those that cannot be told from it (less than 0.25 of a grade). Grade: that "
        "of the best phase, with its SD over patches. Plateau: where the grade's rule stopped the run, or "
        "would have. Outside the domain: the network "
        "has not seen such images, and the grade may mean little. A dash: not known."
    )
    caption = "Scans, in the order of the manifest"
    links = [_link(folder, row.scan) for row in rows]
    words = (1, 2, 5, 9)
    data = [row.cells() for row in rows]
    table = Table("scans", caption, head, body, data, note, words, links, [_keys(row) for row in rows])
    return Section("Scans", (), [table])


def _cells(row: ScanRow) -> tuple[str, ...]:
    others = [str(phase) for phase in row.top_set if phase != row.best_phase]
    best = f"{row.best_phase}" if row.best_phase else "–"
    grade = f"{shown(row.grade)} ± {shown(row.grade_sd)}" if row.grade is not None else "–"
    return (
        row.scan,
        row.status,
        f"{best} ({', '.join(others)})" if others else best,
        grade,
        _number(row.stop_iteration if row.stop_iteration is not None else row.iterations),
        _STOPS.get(row.stop_reason or "", row.stop_reason or "–"),
        _number(row.plateau),
        _number(row.returned_iteration),
        duration(row.seconds) if row.seconds is not None else "–",
        "; ".join(_remarks(row)) or "–",
    )


def _keys(row: ScanRow) -> tuple[float | str | None, ...]:
    """Return what the cells of a scan are sorted by."""
    stopped = row.stop_iteration if row.stop_iteration is not None else row.iterations
    return (
        row.scan,
        row.status,
        row.best_phase,
        row.grade,
        stopped,
        row.stop_reason,
        row.plateau,
        row.returned_iteration,
        row.seconds,
        "; ".join(_remarks(row)) or None,
    )


def _remarks(row: ScanRow) -> list[str]:
    found = []
    if row.status == FAILED:
        found.append("see Failures")
    elif row.error:
        found.append("its numbers cannot be read")
    if row.rescan_advised:
        found.append("rescan advised")
    if row.in_domain is False:
        found.append("outside the domain")
    if row.warnings:
        found.append(f"{row.warnings} warning{'s' if row.warnings != 1 else ''}")
    return found


def _number(value: int | None) -> str:
    return "–" if value is None else str(value)


def _link(folder: Path, name: str) -> str | None:
    page = run_folder_of(folder, name) / "report.html"
    return page.relative_to(folder).as_posix() if page.is_file() else None


def _phases(rows: list[ScanRow]) -> Section:
    counted = best_phase_counts(rows)
    body = [(f"phase {c['phase']}", str(c["best"]), str(c["alone"]), str(c["in_top_set"])) for c in counted]
    head = ("", "best", "clearly best", "not worse than the best")
    note = (
        "Best: highest grade. Clearly best: every other phase is worse by 0.25 of a grade or more. Not "
        "worse: less than that below the best; phases of one scan may share this place."
    )
    table = Table("best-phases", "How often each phase is best", head, body, counted, note)
    alt = "Bars: how many scans have each phase as their best, clearly or with others"
    picture = Picture("best-phases", phases_figure(counted), alt, "Best phase of each scan", counted, share=2)
    return Section("Best phases", (_graded(rows),), [table, picture])


def _graded(rows: Sequence[ScanRow]) -> str:
    """Return how many scans are counted, and of how many the grades may mean little."""
    graded = [row for row in rows if row.best_phase]
    total = f"{len(graded)} graded scan{'s' if len(graded) != 1 else ''}"
    outside = sum(row.in_domain is False for row in graded)
    if not outside:
        return f"{total}."
    return f"{total}, {outside} of them outside the domain: which phase is best means little there."


def best_phase_counts(rows: Sequence[ScanRow]) -> list[dict[str, int]]:
    """Return, for each phase, in how many scans it is best, clearly best, and not worse than the best."""
    graded = [row for row in rows if row.best_phase]
    last = max((max(row.best_phase or 1, *row.top_set) for row in graded), default=0)
    return [
        {
            "phase": phase,
            "best": sum(row.best_phase == phase for row in graded),
            "alone": sum(row.top_set == (phase,) for row in graded),
            "in_top_set": sum(phase in row.top_set for row in graded),
        }
        for phase in range(1, last + 1)
    ]


def _plateaus(rows: list[ScanRow]) -> Section:
    counted = plateau_counts(rows)
    graded = [row for row in rows if row.status == COMPLETE and row.best_phase]
    none = sum(row.plateau is None for row in graded)
    lead = f"{len(graded) - none} of {len(graded)} graded scans came to a plateau" + (
        f"; {none} did not within their iterations." if none else "."
    )
    if not counted:
        return Section("Plateaus", (lead,))
    alt = "Histogram of the iteration at which the grade came to its plateau"
    caption = "Iteration of the plateau: scans it stopped, and scans it would have"
    picture = Picture("plateaus", plateaus_figure(counted), alt, caption, counted, share=2)
    return Section("Plateaus", (lead,), [picture])


def plateau_counts(rows: Sequence[ScanRow]) -> list[dict[str, int]]:
    """Return how many scans the plateau rule stopped at each iteration, and how many it would have."""
    known = [row for row in rows if row.plateau is not None]
    if not known:
        return []
    at = [int(row.plateau or 0) for row in known]
    stopped = [row.stop_reason == "plateau" for row in known]
    return [
        {
            "iteration": k,
            "stopped": sum(i == k and s for i, s in zip(at, stopped, strict=True)),
            "would_have": sum(i == k and not s for i, s in zip(at, stopped, strict=True)),
        }
        for k in range(min(at), max(at) + 1)
    ]


def _failures(folder: Path, rows: list[ScanRow], manifest: str) -> Section:
    failed = [row for row in rows if row.status == FAILED]
    body = [(row.scan, row.raw, _number(row.code), row.error or "–") for row in failed]
    logs = [run_folder_of(folder, row.scan) / "csiq.log" for row in failed]
    links = [log.relative_to(folder).as_posix() if log.is_file() else None for log in logs]
    order = [(row.scan, row.raw, row.code, row.error) for row in failed]
    head = ("scan", "raw file", "exit code", "error")
    note = "The name leads to the scan's log. Exit code: what csiq recon of that scan alone ends with."
    table = Table("failures", "Scans without a result", head, body, [], note, (1, 3), links, order)
    again = f"csiq cohort run {manifest} --resume tries them again."
    lead = f"{len(failed)} of {len(rows)} scans failed; {again}"
    return Section("Failures", (lead,), [table])
