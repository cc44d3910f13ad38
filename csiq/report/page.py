"""``report.html``: one self-contained page, derived from the files of a run folder.

It works offline and under a content security policy that allows nothing but its own style and script (by
hash) and images that lie in the page itself. Without scripts it says and shows the same, but for the
iterations that were not returned.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from markupsafe import Markup

from csiq.report import svg
from csiq.report.acquired import acquired_of
from csiq.report.breathing import Breathing, read_breathing
from csiq.report.charts import breathing_chart
from csiq.report.command import command_of, toml_of
from csiq.report.curves import curves_of
from csiq.report.encoding import BUDGET
from csiq.report.facts import data_facts, gating_facts, hashes, number, provenance, stage_facts
from csiq.report.health import checks_of
from csiq.report.images import images_of
from csiq.report.options import ReportOptions
from csiq.report.ranked import ranking_of
from csiq.report.record import Record, read_record
from csiq.report.requested import requested
from csiq.report.shadow import shadow_of, truth_of
from csiq.report.template import beside, policy_hash, template
from csiq.report.verdict import duration, join, research_use, verdict_of

#: The page never gets larger than this.
MAX_BYTES = 5_000_000
#: Seconds after which the page of a run that is going on loads itself again.
RELOAD_S = 10
#: In the order in which they need each other.
SCRIPTS = ("curves.js", "images.js", "place.js")


def write_report(
    folder: str | Path, run: dict[str, Any] | None = None, options: ReportOptions | None = None
) -> Path:
    """Write ``report.html`` of a run folder and return its path.

    Reads ``run.json``, ``curves.tsv``, ``ranking.json``, ``respiration.tsv``, ``phase-N.nii.gz`` and
    ``iterates/`` as far as they are there, so a run that is still going or was interrupted has a page too.

    Parameters
    ----------
    folder : path
    run : dict, optional
        What ``run.json`` is about to say; the file itself is read by default.
    options : ReportOptions, optional
        What is shown on request: heat maps, coronary arteries along given centrelines.

    Raises
    ------
    CsiqError
        If the folder is none of csiq, one of its files is damaged, or the page cannot be written.
    """
    from csiq.io.atomic import atomic_write

    record = read_record(folder, run)
    target = record.folder / "report.html"
    page = render(record, options)
    with atomic_write(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return target


def render(record: Record, options: ReportOptions | None = None) -> str:
    """Return the page of a run; its pictures are made smaller until it is below the limit."""
    options = options or ReportOptions()
    content = context_of(record, options)
    page, budget = "", BUDGET
    while budget > BUDGET / 10:
        content["images"] = images_of(record, record.ranking, budget, options.latest)
        content["told"] = told_of(record, content)
        page = _filled(content)
        if len(page.encode()) <= MAX_BYTES:
            break
        budget = budget * 2 // 3
    return page


def _filled(content: dict[str, Any]) -> str:
    style = beside("csiq.report", "report.css")
    script = '"use strict";\n' + "\n".join(beside("csiq.report", name) for name in SCRIPTS)
    return template("csiq.report", "report.html", trim=True).render(
        style=Markup(style),
        style_hash=policy_hash(style),
        script=Markup(script),
        script_hash=policy_hash(script),
        **content,
    )


def context_of(record: Record, options: ReportOptions) -> dict[str, Any]:
    """Return what the template shows, but for the slices."""
    run, ranking = record.run, record.ranking
    breathing = read_breathing(record.folder / "respiration.tsv")
    scan_name = record.section("input").get("name") or "scan"
    at_most = record.config("solver").get("max_iter")
    return {
        "title": f"csiq: {scan_name}",
        "scan_name": scan_name,
        "running": run.get("status") == "running",
        "reload": RELOAD_S,
        "so_far": f"{max(len(record.history) - 1, 0)}" + (f" of at most {at_most}" if at_most else ""),
        "verdict": verdict_of(run, record.history, ranking),
        "research_use": research_use(run, record.history),
        "key_figures": list(_key_figures(record)),
        "curves": curves_of(record),
        "ranking": ranking_of(record, ranking),
        "breathing": _breathing(record, breathing) if breathing and breathing.is_known else None,
        "shadow": shadow_of(record),
        "truth": truth_of(record),
        "acquired": acquired_of(record),
        "checks": checks_of(record),
        "warnings": list(run.get("warnings") or []),
        "data": list(data_facts(record)),
        "command": run.get("command") or command_of(run),
        "provenance": list(provenance(record)),
        "hashes": list(hashes(record)),
        "seconds": list(stage_facts(record)),
        "config": toml_of(record.section("config")),
        **requested(record, options),
    }


def told_of(record: Record, content: dict[str, Any]) -> dict[str, Any]:
    """Return what the script is told: numbers of every iteration, and the pictures of saved iterates."""
    images = content["images"]
    return {
        "phases": [f"phase {p}" for p in range(1, record.history.n_phases + 1)],
        "rows": [
            {
                "grades": [number(grade) for grade in step.grades],
                "cost": f"{step.cost:.4g}",
                "seconds": duration(step.recon_s + step.grading_s),
            }
            for step in record.history.steps
        ],
        "returned": list(record.returned),
        "start": content["curves"]["start"] if content["curves"] else 0,
        "iterations": images["iterations"] if images else [],
        "frames": images["frames"] if images else {},
        "reload": RELOAD_S if content["running"] else 0,
    }


def _key_figures(record: Record) -> Iterable[dict[str, str]]:
    stop, ranking = record.section("stop"), record.ranking
    if ranking and ranking.best_phase:
        best = ranking.phases[ranking.best_phase - 1]
        known = record.section("grading").get("interval") or []
        interval = known[ranking.best_phase - 1] if len(known) == len(ranking.phases) else None
        sure = f"; 90 % interval {interval[0]:.2f} to {interval[1]:.2f}" if interval else ""
        yield {"number": f"{best.grade:.2f}", "what": f"grade of the best phase, 0 to 4{sure}"}
    if stop.get("iteration") is not None:
        at_most = record.config("solver").get("max_iter")
        what = f"iterations of at most {at_most}" if at_most else "iterations"
        yield {"number": f"{len(record.history) - 1}", "what": what}
    if record.returned:
        yield {"number": join(sorted(set(record.returned))), "what": "iteration returned"}
    fraction = record.section("scan").get("nyquist_fraction")
    if fraction is not None:
        yield {"number": f"{100 * fraction:.0f} %", "what": "of the spokes Nyquist asks for"}
    if record.seconds is not None:
        device = record.run.get("device")
        where = f", on {device}" if device else ""
        yield {"number": duration(record.seconds), "what": f"to read, reconstruct and grade{where}"}


def _breathing(record: Record, breathing: Breathing) -> dict[str, Any]:
    gating = record.section("gating")
    oriented = gating.get("orientation") in (None, "end-expiration-up")
    label = "signal (SD), up: expiration" if oriented else "signal (SD)"
    unit = "SD: the signal has mean 0 and standard deviation 1; it is no distance."
    caption = (
        "Every dot is a heartbeat or spoke, coloured by its phase; dashed: the edges of the bins."
        if breathing.n_phases > 1
        else "Every dot is a heartbeat or spoke; there is one phase, so nothing was binned."
    )
    return {
        "title": "Breathing" if oriented else "Gating",
        "wide": breathing_chart(breathing, label, svg.WIDE),
        "narrow": breathing_chart(breathing, label, svg.NARROW),
        "phases": range(1, breathing.n_phases + 1),
        "caption": f"{caption} {unit}",
        "facts": list(gating_facts(gating, breathing)),
    }
