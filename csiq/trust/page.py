"""The summary of all experiments as a page of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from csiq.trust import controls, invariance
from csiq.trust.mechanisms import HELD_OUT
from csiq.trust.ordering import SPENT

Found = dict[str, Any]

#: Experiments made of levels, and what their cases are.
LEVELS = {
    "ordering": "simulated patients of the test part",
    "second": "the second anatomy",
    "held-out": "simulated patients, other mechanisms",
    "held-out-second": "the second anatomy, other mechanisms",
    "conditions-middle": "motion at SNR 22 and 17 % of Nyquist's spokes",
    "conditions-hard": "motion at SNR 12 and 12 % of Nyquist's spokes",
    "without-levels": "a network trained without these imperfections",
}
#: Metrics outside the formula, of each image.
METRICS = ("haarpsi", "ssim", "tracked")
#: Rank correlation of grade and a model observer's area under the curve, at fixed anatomy.
OBSERVER_BAR = 0.8
_NOTE = "Simulated scans and readers, research use only. No human graded these images."


def page(grader: str, found: Found) -> str:
    """Return the page on what :func:`csiq.trust.summary.summarised` found, Markdown."""
    lines = [f"# Trust: {grader}", "", _NOTE, ""]
    for name, what in LEVELS.items():
        if name in found:
            lines += _ordering_lines(name, what, found[name])
    if "observer" in found:
        one = found["observer"]
        lines += [f"## observer: LAD stenosis of 50 %, asked for rho >= {OBSERVER_BAR:g}", ""]
        numbers = (one["n"], one["median"], one["worst"], "yes" if one["passed"] else "no")
        lines += _table(("patients", "median rho of AUC and grade", "worst", "bar met"), [numbers])
    for name in ("controls", "controls-second", "invariance"):
        if name in found:
            limit = invariance.LIMIT if name == "invariance" else controls.LIMIT
            lines += [f"## {name} (limit {limit:g})", ""]
            lines += _table(
                ("what", "cases", "mean change", "least", "most", "passed"),
                [
                    (k, v["n"], v["mean"], v["least"], v["most"], f"{v['n_passed']}/{v['n']}")
                    for k, v in found[name].items()
                ],
            )
    for name in ("controls-heat", "controls-second-heat"):
        if name in found:
            lines += [f"## {name}: coronaries against the rest of the heart", ""]
            cells = [(k, v["n"], v["auc"], v["least_auc"], v["enriched"]) for k, v in found[name].items()]
            lines += _table(
                ("mask", "cases", "mean AUC", "least", "times as many in the hottest tenth"), cells
            )
    for name in ("test", "shuffled-test", "without-test"):
        if name in found:
            lines += _test_lines(name, found[name])
    if "outside" in found:
        lines += ["## outside: metrics that formula and network do not know, test part", ""]
        cells = [
            (k, int(v["n"]), v["spearman"], f"{v['low']:.3f} - {v['high']:.3f}", v["formula"])
            for k, v in found["outside"].items()
        ]
        lines += _table(
            ("metric", "images", "rho with the grade", "90 % interval", "with the formula"), cells
        )
    return "\n".join(lines) + "\n"


def _ordering_lines(name: str, what: str, found: Found) -> list[str]:
    rows = []
    for mechanism, one in found.items():
        seen = "" if mechanism not in HELD_OUT else " (never in training)"
        formula, against = one.get("formulas", {}).get("reference", {}), one.get("against_formula", {})
        rows.append(
            (
                mechanism + seen,
                one["median"],
                one["worst"],
                one["worst_all"],
                one["fall"],
                f"{one['n_judged']} + {one['n_left_out']}",
                one["n_spent"],
                "yes" if one["passed"] else "no",
                formula.get("median"),
                formula.get("worst"),
                ", ".join(_cell(of["median"]) for of in _alternatives(one)) or None,
                against.get("within"),
                against.get("bias"),
                against.get("sd"),
                *(one.get("outside", {}).get(metric) for metric in METRICS),
            )
        )
    heads = (
        *("mechanism", "median rho", "worst", "worst, nothing left out", "fall", "cases + left out"),
        *(f"images < {SPENT:g}", "bar met", "formula: median", "worst"),
        "alternative formulas: medians",
        *("rho with formula within", "bias", "SD"),
        *(f"rho with {metric} within" for metric in METRICS),
    )
    return [f"## {name}: {what}", "", *_table(heads, rows)]


def _alternatives(one: Found) -> list[Found]:
    """Return the order that each formula but the reference gives, as the test part names them."""
    return [of for name, of in one.get("formulas", {}).items() if name != "reference"]


def _test_lines(name: str, found: Found) -> list[str]:
    rows: list[tuple[Any, ...]] = [
        ("images", found["n"]),
        ("R2 with the noise-free reference", found["r2"]),
        ("rank correlation with motion at equal SNR and spokes", found["motion_given_snr_and_spokes"]),
        ("that of the formula", found["formula_and_motion_given_these"]),
    ]
    for one in found["conclusions"]:
        rows += [
            (f"{one['formula']}: Spearman with the grade", one["rho"]),
            (f"{one['formula']}: Spearman with the reference formula", one["rho_formulas"]),
            (f"{one['formula']}: pairs both formulas order, ordered alike by the grade", one["pairs"]),
            (f"{one['formula']}: pairs the formulas dispute", one["disputed"]),
            (f"{one['formula']}: of these with the reference", one["with_reference"]),
        ]
    for key, one in found.items():
        if key.startswith("images "):
            rows += [(f"{key}: n, R2, bias, SD", *(one[k] for k in ("n", "r2", "bias", "sd")))]
    width = max(len(row) for row in rows)
    padded = [(*row, *("",) * (width - len(row))) for row in rows]
    return [f"## {name}", "", *_table(("what", "value", *("",) * (width - 2)), padded)]


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return [*lines, ""]


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
