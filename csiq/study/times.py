"""How long everything took, as it was measured, and what was graded outside the network's domain."""

from __future__ import annotations

from typing import Any

import numpy as np

from csiq.evaluation.section import Section, Table, shown
from csiq.study.curves import Curves
from csiq.study.material import Material
from csiq.study.spread import spread

#: Stages in their order; the truth is on a clock of its own and no part of a reconstruction.
_STAGES = ("load", "coils", "gating", "setup", "recon", "grading", "truth")


def section(study: Material) -> Section:
    """Return the part on seconds and domain."""
    solvers = study.solvers
    found = {solver: _seconds(curves) for solver, curves in study.test.items()}
    body, data = [], []
    for stage in _STAGES:
        body.append((stage, *(shown(found[s].get(stage, float("nan")), 1) for s in solvers)))
        data.append({"stage": stage, **{s: found[s].get(stage, float("nan")) for s in solvers}})
    each = {s: found[s].get("recon", float("nan")) / study.test[s].last for s in solvers}
    body.append(("an iteration", *(shown(each[s], 2) for s in solvers)))
    data.append({"stage": "an iteration", **each})
    note = (
        "Means over scans, one thread each; several processes at once slow each other down. Grading: every "
        "phase of every iterate. Truth: reference quality and NRMSE of the same, measured between the "
        "iterations on a clock of its own; it is in no other number of this page."
    )
    head = ("stage", *(study.label(s) for s in solvers))
    table = Table("seconds", "Seconds a scan", head, body, data, note)
    domain = {solver: outside_share(curves) for solver, curves in study.test.items()}
    lead = tuple(
        f"{study.label(s)}: {shown(100 * outside, 1)} % of the graded images lie outside the network's "
        "training domain."
        for s, outside in domain.items()
        if np.isfinite(outside)
    )
    numbers: dict[str, Any] = {"seconds": found, "outside_domain": domain}
    return Section("Seconds and domain", lead, [table], (), numbers, "times")


def _seconds(curves: Curves) -> dict[str, float]:
    return {stage: spread(values, interval=False).mean for stage, values in curves.seconds.items()}


def outside_share(curves: Curves) -> float:
    """Return the share of images outside the training domain; nan if nobody said."""
    said = curves.images["in_domain"]
    known = said[np.isfinite(said)]
    return float(np.mean(known == 0)) if known.size else float("nan")
