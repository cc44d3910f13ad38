"""``curves.png`` of a run folder, what is marked on its curves, and data URIs."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from csiq.report.figures import Marks, curves_figure, save
from csiq.report.record import Record, read_record


def write_curves(folder: str | Path, run: dict[str, Any] | None = None) -> Path:
    """Write ``curves.png`` of a run folder from its tables, and return its path.

    Parameters
    ----------
    folder : path
    run : dict, optional
        What ``run.json`` is about to say; the file itself is read by default.

    Raises
    ------
    CsiqError
        If the folder is none of csiq, a table is damaged, or the file cannot be written.
    """
    from csiq.errors import RawDataError
    from csiq.io.atomic import atomic_write

    record = read_record(folder, run)
    if not len(record.history):
        raise RawDataError("has no curves yet", file=record.folder, field="curves.tsv")
    target = record.folder / "curves.png"
    with atomic_write(target) as temporary:
        save(curves_figure(record.history, marks_of(record)), temporary, "png")
    return target


def marks_of(record: Record) -> Marks:
    """Return what is marked on the curves: where the run stopped, or would have, and what it returned."""
    stop = record.section("stop")
    stopped = stop.get("reason") == "plateau"
    plateau = stop.get("iteration") if stopped else None
    if plateau is None:
        name = f"grade_plateau_{record.config('stop').get('scope', 'mean')}"
        plateau = record.section("counterfactual").get(name)
    return Marks(plateau=plateau, returned=record.returned, stopped=stopped)


def data_uri(content: bytes, kind: str) -> str:
    """Return bytes as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
