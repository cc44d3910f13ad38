"""``tune.html``: the choice in words, the curve, the images and the table, in one page that works offline.

No script; a content security policy that allows its own style (by hash) and images in the page alone.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from markupsafe import Markup

from csiq.history import mean
from csiq.io.atomic import write_text
from csiq.report.plots import data_uri
from csiq.report.template import beside, policy_hash, template
from csiq.report.verdict import duration
from csiq.tuning.choice import Choice
from csiq.tuning.folder import PAGE, image_name
from csiq.tuning.point import Point
from csiq.tuning.sweeping import Sweep


def write_page(folder: Path, sweep: Sweep, choice: Choice, content: dict[str, Any]) -> Path:
    """Write the page of a sweep; its pictures lie in the folder already.

    Parameters
    ----------
    folder : Path
    sweep : Sweep
    choice : Choice
    content : dict
        Of ``tune.json``.
    """
    target = folder / PAGE
    write_text(target, render(folder, sweep, choice, content))
    return target


def render(folder: Path, sweep: Sweep, choice: Choice, content: dict[str, Any]) -> str:
    """Return the page as text."""
    style = beside("csiq.report", "report.css") + beside("csiq.tuning", "tune.css")
    curve = (folder / "tune.svg").read_bytes()
    return template("csiq.tuning", "tune.html").render(
        style=Markup(style),
        style_hash=policy_hash(style),
        subject=content["input"]["name"],
        lamda=f"{choice.lamda:g}",
        why=choice.why,
        use=content["use"],
        notes=[*choice.warnings, *(w for w in content["warnings"] if w not in choice.warnings)],
        command=content["command"],
        curve=data_uri(curve, "image/svg+xml"),
        truth=_truth_words(content["truth"]),
        knows_truth=sweep.knows_truth,
        columns=_columns(sweep),
        legend=_legend(sweep, choice),
        rows=[_row(point, sweep, choice) for point in sweep.points],
        images=[_image(folder, point, choice) for point in sweep.points if _has_image(folder, point)],
        provenance=_provenance(content),
    )


def _columns(sweep: Sweep) -> list[str]:
    truth = ["NRMSE", "reference"] if sweep.knows_truth else []
    return ["iterations", "stopped by", "grade", "of each phase", "phases differ", *truth, "time"]


def _legend(sweep: Sweep, choice: Choice) -> str:
    """Return what is seen on the curve; what it does not show is not told."""
    same = choice.lamda == sweep.home
    words = [
        "Circle and solid line: the advised weight, the configuration's own."
        if same
        else "Circle and solid line: the advised weight; dashed: the configuration's own.",
        "Dotted: the bounds. Blue band: grades a reader would not tell from the best.",
        "Grey and crosses: what could not be chosen." if choice.excluded else "",
        "Difference of phases: relative to the images; 0 is one image.",
        "NRMSE, reference quality: against the truth, means over the phases." if sweep.knows_truth else "",
    ]
    return " ".join(filter(None, words))


def _row(point: Point, sweep: Sweep, choice: Choice) -> dict[str, Any]:
    cells = [
        str(point.iterations),
        point.stop_reason.replace("_", " "),
        _shown(point.grade, 2),
        " ".join(_shown(grade, 2) for grade in point.grades),
        _shown(point.phase_difference, 3),
        *([_shown(mean(point.nrmse), 3), _shown(mean(point.reference), 2)] if sweep.knows_truth else []),
        duration(point.seconds),
    ]
    return {
        "lamda": f"{point.lamda:g}",
        "cells": cells,
        "note": _note(point.lamda, choice),
        "chosen": point.lamda == choice.lamda,
    }


def _note(lamda: float, choice: Choice) -> str:
    if lamda in choice.excluded:
        return choice.excluded[lamda]
    words = [
        *(["advised"] if lamda == choice.lamda else []),
        *(["the configuration's own"] if lamda == choice.home else []),
        *(["highest grade"] if lamda == choice.best else []),
    ]
    told = [] if words or lamda not in choice.top_set else ["not told from the best"]
    return ", ".join([*words, *told])


def _has_image(folder: Path, point: Point) -> bool:
    return (folder / image_name(point.lamda)).is_file()


def _image(folder: Path, point: Point, choice: Choice) -> dict[str, str]:
    note = _note(point.lamda, choice)
    return {
        "uri": data_uri((folder / image_name(point.lamda)).read_bytes(), "image/png"),
        "alt": f"lamda {point.lamda:g}: a slice of the first and of the last phase",
        "caption": f"lamda {point.lamda:g}, grade {_shown(point.grade, 2)}{': ' if note else ''}{note}",
    }


def _truth_words(truth: dict[str, Any] | None) -> list[str]:
    """Return what the truth says of the choice, in sentences."""
    if truth is None:
        return []
    found = ["The truth of this simulated scan was not used to choose."]
    if truth["nrmse_lost"] is not None:
        found.append(
            f"The least NRMSE lies at {truth['nrmse_best_lamda']:g}; at the advised weight it is "
            f"{100 * truth['nrmse_lost']:.0f} % higher."
        )
    if truth["reference_lost"] is not None:
        found.append(
            f"The highest reference quality lies at {truth['reference_best_lamda']:g}; the advised weight "
            f"has {truth['reference_lost']:.2f} less."
        )
    return found


def _provenance(content: dict[str, Any]) -> list[tuple[str, str]]:
    model, solver = content["model"], content["config"]["solver"]
    return [
        ("model", str(model["name"])),
        ("solver", f"{solver['solver']}, at most {solver['max_iter']} iterations"),
        ("device", f"{content['device']}, {content['threads']} threads"),
        ("time of this call", duration(float(content["seconds"].get("total", math.nan)))),
        ("csiq", content["csiq"]),
        ("raw file, SHA-256", str(content["input"]["sha256"])),
        ("model, SHA-256", str(model["sha256"]) or "none"),
    ]


def _shown(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"
