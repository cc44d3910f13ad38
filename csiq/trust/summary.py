"""All experiments of a folder in one readable page, with tables and a picture beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from csiq.agreement import spearman
from csiq.io.atomic import write_text
from csiq.io.tables import write_json, write_table
from csiq.trust import controls
from csiq.trust.controls import conclusions, explained, partial_rank
from csiq.trust.held_out import against_formula
from csiq.trust.mechanisms import IMPERFECT, MECHANISMS
from csiq.trust.ordering import ordering_of
from csiq.trust.outside_metrics import ranks_with
from csiq.trust.page import LEVELS, METRICS, OBSERVER_BAR, Found, page
from csiq.trust.record import Record, Rows


def write(folder: Path, record: Record, grader: Any, others: Mapping[str, str] | None = None) -> Found:
    """Write ``summary.md``, ``summary.json`` and a table an experiment of what a grader has finished.

    Parameters
    ----------
    folder : Path
    record : Record
    grader : Any
        With ``name`` and ``sha256``.
    others : mapping of str to str, optional
        SHA-256 of the networks of ``shuffled`` and ``without``.

    Returns
    -------
    dict
        What ``summary.json`` says.
    """
    shas = {"without-levels": (others or {}).get("without", ""), "": str(grader.sha256)}
    rows = {name: record.all_rows(name, shas.get(name, shas[""])) for name in (*LEVELS, *_OTHER)}
    for name in ("shuffled", "without"):
        rows[f"{name}-test"] = record.all_rows(f"{name}-test", (others or {}).get(name, ""))
    kept = {name: found for name, found in rows.items() if found}
    for name, found in kept.items():
        write_table(folder / f"{name}.tsv", found, list(dict.fromkeys(k for row in found for k in row)))
    result = summarised(kept)
    write_json(folder / "summary.json", {"grader": grader.name, "sha256": grader.sha256, **result})
    write_text(folder / "summary.md", page(str(grader.name), result))
    if any(name in kept for name in LEVELS):
        from csiq.trust.figure import draw_levels, save

        for name in LEVELS:
            if name in kept:
                save(draw_levels(kept[name]), folder / f"{name}.png")
    return result


def summarised(rows: Mapping[str, Rows]) -> Found:
    """Return the numbers of each experiment.

    Parameters
    ----------
    rows : mapping of str to list of dict
        Experiment to its rows.
    """
    found: Found = {}
    for name in LEVELS:
        if name in rows:
            found[name] = _levels(rows[name])
    for name in ("controls", "controls-second"):
        if name in rows:
            found[name] = _changes(rows[name], "control")
        if f"{name}-heat" in rows:
            found[f"{name}-heat"] = _heat(rows[f"{name}-heat"])
    if "observer" in rows:
        found["observer"] = _observer(rows["observer"])
    if "invariance" in rows:
        found["invariance"] = _changes(rows["invariance"], "change_of")
    for name in ("test", "shuffled-test", "without-test"):
        if name in rows:
            found[name] = _test(rows[name])
    if "outside" in rows:
        found["outside"] = _outside(rows["outside"])
    return found


_OTHER = (
    "controls",
    "controls-second",
    "controls-heat",
    "controls-second-heat",
    "invariance",
    "test",
    "outside",
    "observer",
)


def _levels(rows: Rows) -> Found:
    orders = ordering_of(rows)
    found: Found = {}
    for name, order in orders.items():
        mine = [row for row in rows if row["mechanism"] == name]
        found[name] = {**asdict(order), "passed": order.passed, "levels": len(MECHANISMS[name].levels)}
        if "reference" in mine[0]:
            by_formula = {c: ordering_of(mine, c)[name] for c in _formulas(mine)}
            found[name]["formulas"] = {
                c: {"median": one.median, "worst": one.worst} for c, one in by_formula.items()
            }
            found[name]["against_formula"] = asdict(against_formula(mine))
            found[name]["outside"] = {metric: within(mine, metric) for metric in METRICS if metric in mine[0]}
    return found


def within(rows: Rows, metric: str) -> float:
    """Return Spearman between grade and a metric within a case, the median over cases; NaN without any."""
    found = []
    for case in dict.fromkeys(row["case"] for row in rows):
        mine = [row for row in rows if row["case"] == case]
        found.append(float(spearman(_column(mine, "grade"), _column(mine, metric))))
    known = [value for value in found if np.isfinite(value)]
    return float(np.median(known)) if known else float("nan")


def _observer(rows: Rows) -> Found:
    cases = list(dict.fromkeys(str(row["case"]) for row in rows))
    each = [within([row for row in rows if row["case"] == case], "auc") for case in cases]
    middle = float(np.nanmedian(each)) if np.isfinite(each).any() else float("nan")
    return {
        "n": len(cases),
        "median": middle,
        "worst": float(min(each)),
        "passed": bool(middle >= OBSERVER_BAR),
    }


def _changes(rows: Rows, column: str) -> Found:
    found: Found = {}
    for name in dict.fromkeys(str(row[column]) for row in rows):
        mine = [row for row in rows if row[column] == name]
        change = np.array([_number(row["change"]) for row in mine])
        found[name] = {
            "n": len(mine),
            "mean": float(change.mean()),
            "least": float(change.min()),
            "most": float(change.max()),
            "n_passed": sum(int(row["passed"] or 0) for row in mine),
        }
    return found


def _heat(rows: Rows) -> Found:
    found: Found = {}
    for fill in dict.fromkeys(str(row["fill"]) for row in rows):
        auc, enriched = (
            np.array([_number(row[name]) for row in rows if row["fill"] == fill])
            for name in ("auc", "enriched")
        )
        found[fill] = {
            "n": len(auc),
            "auc": float(np.mean(auc)),
            "least_auc": float(np.min(auc)),
            "enriched": float(np.mean(enriched)),
            "passed": bool(np.mean(auc) >= controls.POINTS),
        }
    return found


def _test(rows: Rows) -> Found:
    grade, reference, motion = (_column(rows, name) for name in ("grade", "reference", "residual_mm"))
    given = [_column(rows, name) for name in ("snr", "sampling")]
    found: Found = {
        "n": len(rows),
        "r2": explained(grade, reference),
        "motion_given_snr_and_spokes": partial_rank(grade, motion, given),
        "formula_and_motion_given_these": partial_rank(reference, motion, given),
        "conclusions": [
            asdict(c) for c in conclusions(rows, [c for c in _formulas(rows) if c.startswith("latent_")])
        ],
    }
    for kind in IMPERFECT:
        mine = [dict(row, case="all") for row in rows if kind in str(row["imperfections"]).split(",")]
        if len(mine) > 2:
            found[f"images with {kind}"] = asdict(against_formula(mine))
    clean = [dict(row, case="all") for row in rows if str(row["imperfections"]) == "none"]
    if len(clean) > 2:
        found["images without imperfections"] = asdict(against_formula(clean))
    return found


def _outside(rows: Rows) -> Found:
    grades, formula = ranks_with(rows), ranks_with(rows, "reference")
    return {
        str(one["metric"]): {**one, "formula": other["spearman"]}
        for one, other in zip(grades, formula, strict=True)
    }


def _formulas(rows: Rows) -> list[str]:
    return [name for name in rows[0] if name == "reference" or name.startswith("latent_")]


def _column(rows: Rows, name: str) -> list[float]:
    return [_number(row[name]) for row in rows]


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
