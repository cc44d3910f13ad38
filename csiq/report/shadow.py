"""What stopping by each rule would have saved and lost: the table of a shadow run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from csiq.errors import RawDataError
from csiq.report.curves import rules_of
from csiq.report.facts import number
from csiq.report.record import Record
from csiq.report.verdict import duration

#: Key of ``shadow`` in ``run.json``, its heading in the table, and its name where it stands alone.
_LOSSES = (
    ("grade_lost_last", "grade lost, to last", "grade, to last"),
    ("grade_lost_best", "to best", "grade, to best"),
    ("reference_lost_last", "reference lost, to last", "reference, to last"),
    ("reference_lost_best", "to best", "reference, to best"),
    ("nrmse_lost_last", "NRMSE, to last", "NRMSE, to last"),
    ("nrmse_lost_best", "to best", "NRMSE, to best"),
)


def shadow_of(record: Record) -> dict[str, Any] | None:
    """Return what the page shows of a shadow run; None of any other."""
    rows = [row for row in record.run.get("shadow") or [] if isinstance(row, dict)]
    if not rows:
        return None
    letters = {rule.name: rule.letter for rule in rules_of(record)}
    known = [loss for loss in _LOSSES if any(_is_number(row.get(loss[0])) for row in rows)]
    return {
        "columns": ["rule", "iteration", "saved", *(heading for _, heading, _ in known)],
        "names": ["rule", "iteration", "saved", *(name for _, _, name in known)],
        "truth": any(key.startswith(("reference", "nrmse")) for key, _, _ in known),
        "rows": [
            {
                "letter": letters.get(str(row.get("rule")), ""),
                "cells": list(_cells(row, [key for key, _, _ in known])),
            }
            for row in rows
        ],
    }


def _cells(row: Mapping[str, Any], losses: list[str]) -> Iterator[str]:
    words = str(row.get("sentence") or row.get("rule"))
    late = " (known afterwards)" if row.get("hindsight") and "afterwards" not in words else ""
    yield f"{words[:1].upper()}{words[1:]}{late}"
    yield "not reached" if row.get("iteration") is None else str(row["iteration"])
    saved = row.get("seconds_saved")
    yield duration(saved) if _is_number(saved) else "–"
    for key in losses:
        value = row.get(key)
        if not _is_number(value):
            yield "–"
        elif key.startswith("nrmse"):
            yield f"{number(100 * value, '+.1f')}\u00a0%"
        else:
            yield number(value)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def truth_of(record: Record) -> dict[int, list[str]]:
    """Return reference quality and NRMSE of each iteration, means over the phases; empty without a truth.

    Raises
    ------
    RawDataError
        If ``truth.tsv`` is damaged.
    """
    from csiq.io.tables import read_table

    path = record.folder / "truth.tsv"
    if not path.is_file():
        return {}
    grouped: dict[int, list[Mapping[str, Any]]] = {}
    try:
        for row in read_table(path):
            grouped.setdefault(int(row["iteration"]), []).append(row)
        return {
            k: [number(_mean(rows, "reference")), number(_mean(rows, "nrmse"), ".4f")]
            for k, rows in grouped.items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise RawDataError(f"no table of a truth: {error}", file=path) from None


def _mean(rows: list[Mapping[str, Any]], column: str) -> float:
    return math.fsum(float(row[column]) for row in rows) / len(rows)
