"""``report.html``: one self-contained page, derived from the files of a run folder alone.

It works offline and under a content security policy that allows nothing but its own style (by hash) and
images that lie in the page itself. There is no script in it.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from csiq.history import THRESHOLD, noise_floor
from csiq.ranking import Ranking, words_of
from csiq.report.breathing import Breathing, breathing_figure, read_breathing
from csiq.report.command import command_of, toml_of
from csiq.report.facts import data_facts, gating_facts, hashes, number, provenance
from csiq.report.figures import curves_figure, ranking_figure
from csiq.report.images import images_of
from csiq.report.plots import marks_of, picture
from csiq.report.record import Record, read_record
from csiq.report.verdict import (
    duration,
    join,
    phase_name,
    research_use,
    rule_sentence,
    verdict_of,
)

#: The page never gets larger than this.
MAX_BYTES = 5_000_000


def write_report(folder: str | Path, run: dict[str, Any] | None = None) -> Path:
    """Write ``report.html`` of a run folder and return its path.

    Reads ``run.json``, ``curves.tsv``, ``respiration.tsv`` and ``phase-N.nii.gz`` as far as they are there,
    so a run that is still going or was interrupted has a page too.

    Parameters
    ----------
    folder : path
    run : dict, optional
        What ``run.json`` is about to say; the file itself is read by default.

    Raises
    ------
    CsiqError
        If the folder is none of csiq, one of its files is damaged, or the page cannot be written.
    """
    from csiq.io.atomic import atomic_write

    record = read_record(folder, run)
    target = record.folder / "report.html"
    page = render(record)
    with atomic_write(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return target


def render(record: Record) -> str:
    """Return the page of a run."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.PackageLoader("csiq.report", "templates"),
    )
    style = resources.files("csiq.report").joinpath("templates", "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # the style is ours and its hash stands in the policy; everything else on the page is escaped
    return environment.get_template("report.html").render(
        style=Markup(style), style_hash=digest, **context_of(record)
    )


def context_of(record: Record) -> dict[str, Any]:
    """Return what the template shows."""
    run, ranking = record.run, record.ranking
    breathing = read_breathing(record.folder / "respiration.tsv")
    scan_name = record.section("input").get("name") or "scan"
    return {
        "title": f"csiq: {scan_name}",
        "scan_name": scan_name,
        "running": run.get("status") == "running",
        "verdict": verdict_of(run, record.history, ranking),
        "research_use": research_use(record.history),
        "key_figures": list(_key_figures(record)),
        "curves": _curves(record) if len(record.history) else None,
        "images": images_of(record, ranking),
        "ranking": _ranking(record, ranking) if ranking else None,
        "breathing": _breathing(record, breathing) if breathing and breathing.is_known else None,
        "warnings": list(run.get("warnings") or []),
        "data": list(data_facts(record)),
        "command": run.get("command") or command_of(run),
        "provenance": list(provenance(record)),
        "hashes": list(hashes(record)),
        "seconds": [(name, duration(s)) for name, s in record.section("seconds").items() if s is not None],
        "config": toml_of(record.section("config")),
    }


def _key_figures(record: Record) -> Iterable[dict[str, str]]:
    stop, ranking = record.section("stop"), record.ranking
    if ranking and ranking.best_phase:
        best = ranking.phases[ranking.best_phase - 1]
        noise = noise_floor([math.nan if best.grade_sd is None else best.grade_sd])
        yield {"number": f"{best.grade:.2f} ± {noise:.2f}", "what": "grade of the best phase, 0 to 4"}
    if stop.get("iteration") is not None:
        at_most = record.config("solver").get("max_iter")
        what = f"iterations of at most {at_most}" if at_most else "iterations"
        yield {"number": f"{len(record.history) - 1}", "what": what}
    if record.returned:
        yield {"number": join(sorted(set(record.returned))), "what": "iteration returned"}
    fraction = record.section("scan").get("nyquist_fraction")
    if fraction is not None:
        yield {"number": f"{100 * fraction:.0f} %", "what": "of the spokes Nyquist asks for"}
    seconds = [s for s in record.section("seconds").values() if s is not None]
    if seconds:
        device = record.run.get("device")
        yield {"number": duration(sum(seconds)), "what": f"in all{f', on {device}' if device else ''}"}


def _curves(record: Record) -> dict[str, Any]:
    history, marks = record.history, marks_of(record)
    chosen = record.returned[0] if record.returned else len(history) - 1
    return {
        "picture": picture(lambda width: curves_figure(history, marks, (width, 4.4 if width > 6 else 4.2))),
        "graded": history.is_graded,
        "noise": history.steps[chosen].grade_noise if history.is_graded else 0.0,
        "rules": list(_rules(record)) if history.is_graded else [],
        "phases": range(1, history.n_phases + 1),
        "rows": [
            {
                "returned": step.iteration in record.returned,
                "cells": [
                    step.iteration,
                    *(f"{value:.5g}" for value in (step.cost, step.cost_data, step.cost_penalty)),
                    *(number(grade) for grade in step.grades),
                ],
            }
            for step in history.steps
        ],
    }


def _rules(record: Record) -> Iterable[dict[str, Any]]:
    own = record.section("stop").get("rule")
    for name, iteration in record.section("counterfactual").items():
        computed = iteration is not None and iteration < len(record.history)
        sentence = rule_sentence(record.run, name)
        yield {
            "own": name == own,
            "sentence": sentence[:1].upper() + sentence[1:],
            "iteration": "not reached" if iteration is None else iteration,
            "grade": number(record.history.steps[iteration].mean_grade) if computed else "–",
        }


def _ranking(record: Record, ranking: Ranking) -> dict[str, Any]:
    noise = [noise_floor([math.nan if p.grade_sd is None else p.grade_sd]) for p in ranking.phases]
    n_phases = len(ranking.phases)
    height = 1.25 + (0.34 if n_phases <= 12 else 0.2) * n_phases
    return {
        "picture": picture(lambda width: ranking_figure(ranking, noise, (width, height))),
        "threshold": THRESHOLD,
        "rows": [
            {
                "phase": p.phase,
                "name": phase_name(record.run, p.phase, n_phases),
                "rank": "–" if p.rank is None else p.rank,
                "grade": number(p.grade),
                "sd": number(p.grade_sd),
                "delta": number(p.delta_to_best),
                "words": words_of(p.grade),
                "top": p.indistinguishable_from_best,
            }
            for p in ranking.by_rank
        ],
        "numbers": [p.phase for p in ranking.phases],
        "pairs": _pair_table(ranking) if n_phases > 1 else [],
    }


def _pair_table(ranking: Ranking) -> list[dict[str, Any]]:
    signed = {(p.a, p.b): (p.difference, p.verdict) for p in ranking.pairs}
    numbers = [p.phase for p in ranking.phases]
    return [{"phase": a, "cells": [_pair_cell(a, b, signed) for b in numbers]} for a in numbers]


def _pair_cell(
    a: int, b: int, signed: Mapping[tuple[int, int], tuple[float | None, str | None]]
) -> dict[str, str]:
    if a == b:
        return {"kind": "self", "text": "·", "word": ""}
    difference, verdict = signed[min(a, b), max(a, b)]
    if difference is None:
        return {"kind": "", "text": "–", "word": ""}
    own = "a" if a < b else "b"
    word = "equal" if verdict == "equal" else "better" if verdict == own else "worse"
    return {
        "kind": "equal" if verdict == "equal" else "",
        "text": number(difference if own == "a" else -difference, "+.2f"),
        "word": word,
    }


def _breathing(record: Record, breathing: Breathing) -> dict[str, Any]:
    gating = record.section("gating")
    oriented = gating.get("orientation") in (None, "end-expiration-up")
    label = "displacement (a.u.)\nup: expiration" if oriented else "signal (a.u.)"
    caption = (
        "Every dot is a heartbeat or spoke, coloured by its phase; dashed: the edges of the bins."
        if breathing.n_phases > 1
        else "Every dot is a heartbeat or spoke; there is one phase, so nothing was binned."
    )
    draw = partial(breathing_figure, breathing, label)
    return {
        "title": "Breathing" if oriented else "Gating",
        "picture": picture(lambda width: draw((width, 3.0 if width > 6 else 2.8))),
        "caption": caption,
        "facts": list(gating_facts(gating, breathing)),
    }
