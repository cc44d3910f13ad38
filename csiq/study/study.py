"""The whole of ``csiq study``: numbers first, scan after scan, then analysis, tables, figures and the page.

A further part of the page is a function of :class:`csiq.study.material.Material` that returns a
:class:`csiq.evaluation.section.Section`, and a line in :data:`PARTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from csiq.arrays import choose_device
from csiq.cohort.following import Running, failure, followed
from csiq.errors import ModelError
from csiq.evaluation.page import render
from csiq.evaluation.section import Section
from csiq.evaluation.study import write_items
from csiq.io.atomic import write_text
from csiq.io.held_folder import write_record
from csiq.io.tables import read_json
from csiq.pipeline import load_grader
from csiq.study import (
    adaptive_page,
    evolution,
    links,
    overhead,
    phases,
    plateaus,
    preference,
    ranked,
    savings,
    times,
)
from csiq.study.about import USE, about, bars_of, calibrated_section, summary_section
from csiq.study.estimate import TimeNeeded, time_needed
from csiq.study.folder import PAGE, RECORD, open_finished, open_folder
from csiq.study.material import Material, read_material
from csiq.study.record import folder_of, is_finished
from csiq.study.request import StudyRequest
from csiq.study.scans import TESTING, StudyScan, choose_scans
from csiq.study.work import SCANS, Listener, jobs_of, work_through

#: Parts of the page in their order, after the summary of the bars.
PARTS: tuple[Callable[[Material], Section], ...] = (
    evolution.section,
    phases.section,
    plateaus.section,
    links.section,
    preference.section,
    savings.section,
    adaptive_page.section,
    ranked.section,
    overhead.section,
    times.section,
)


def run_study(
    request: StudyRequest,
    folder: str | Path,
    running: Running,
    listen: Listener = lambda step: None,
    foretell: Callable[[TimeNeeded, int], None] = lambda needed, jobs: None,
) -> dict[str, Any]:
    """Reconstruct every scan that is not finished, then write tables, figures and the page.

    Parameters
    ----------
    request : StudyRequest
    folder : path
        For ``study.html``, ``study.json``, tables, figures, and the numbers of each scan and solver.
    running : Running
    listen : callable, optional
        Told of each scan that is finished.
    foretell : callable, optional
        Told before anything starts how long it will take, and of how many scans.

    Returns
    -------
    dict
        The content of ``study.json``.

    Raises
    ------
    CohortError
        If some scans failed; the page shows the others.
    CsiqError
        If cohort, model or folder are not in order.
    """
    folder = Path(folder)
    scans = choose_scans(request)
    model = _model_of(request)
    config, setting = request.described(model), replace(request.setting, sha256=model["sha256"])
    with open_folder(folder, config, overwrite=running.overwrite, resume=running.resume):
        roles = {scan.name: scan.role for scan in scans}
        # whoever kills it can still have the page of what is there
        write_record(folder / RECORD, config, "running", roles=roles)
        jobs = jobs_of(folder, scans, request.solvers, setting.sha256)
        if jobs:
            foretell(time_needed(jobs, setting, running.workers), len(jobs))
        steps = work_through(folder, jobs, setting, running.workers)
        failed, _ = followed(folder, steps, listen, lambda made: {"scans": made, "workers": running.workers})
        record: dict[str, Any] = {}
        if not failed or _has_curves(folder, scans, request.solvers):
            record = _write(folder, config, roles, "incomplete" if failed else "complete")
    if failed:
        hint = "the page shows the others; --resume tries these again"
        raise failure(folder, failed, f"{len(jobs)} scans", hint)
    return record


def _has_curves(folder: Path, scans: Sequence[StudyScan], solvers: Sequence[str]) -> bool:
    """Return whether any test scan is finished with any solver."""
    return any(
        is_finished(folder_of(folder / SCANS, scan.name, solver))
        for scan in scans
        for solver in solvers
        if scan.role == TESTING
    )


def report_study(folder: str | Path) -> dict[str, Any]:
    """Write tables, figures and page anew from the numbers that are there.

    Raises
    ------
    CsiqError
        If there is no study, nothing of it is finished, or a record is damaged.
    """
    folder = Path(folder)
    with open_finished(folder) as config:
        before = read_json(folder / RECORD)
        roles = {str(k): str(v) for k, v in before.get("roles", {}).items()}
        return _write(folder, config, roles, None)


def _model_of(request: StudyRequest) -> dict[str, str]:
    setting = request.setting
    grader = load_grader(setting.config(request.solvers[0]), choose_device(setting.device))
    if grader is None:
        raise ModelError("a study grades every iterate", field="--model", hint="see csiq model list")
    return {"name": grader.name, "sha256": grader.sha256}


def _write(folder: Path, config: dict[str, Any], roles: dict[str, str], status: str | None) -> dict[str, Any]:
    """Write tables, figures, page and record; the status follows from what is missing if it is not given."""
    overhead.measured_once(folder)
    material = replace(read_material(folder, config, roles), monitor=read_json(folder / overhead.FILE))
    sections = [part(material) for part in PARTS]
    bars = bars_of(sections)
    sections = [summary_section(material, bars), *sections, calibrated_section(material)]
    drawn = {name: svg for section in sections for name, svg in write_items(folder, section, USE).items()}
    write_text(folder / PAGE, render(sections, about(material, bars), drawn))
    missing = {s: material.missing(s, TESTING) for s in config["solvers"]}
    if status is None:
        status = "incomplete" if any(missing.values()) else "complete"
    return write_record(
        folder / RECORD,
        config,
        status,
        use=USE,
        roles=roles,
        missing=missing,
        n={solver: len(curves) for solver, curves in material.test.items()},
        n_tuning={solver: len(curves) for solver, curves in material.tuning.items()},
        bars=bars,
        **{section.key: section.numbers for section in sections if section.key},
        differences_from_paper=[d for section in sections for d in section.differences],
    )
