"""How long everything took, as it was measured, and what was graded outside the network's domain."""

from __future__ import annotations

from typing import Any

import numpy as np

from csiq.evaluation.section import Section, Table, shown
from csiq.study.curves import Curves
from csiq.study.material import Material
from csiq.study.steady import median_of_known

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
    for what, clock in (("an iteration", "recon_s"), ("grading an iterate", "grading_s")):
        each = {s: _step(study.test[s], clock) for s in solvers}
        body.append((what, *(shown(each[s], 2) for s in solvers)))
        data.append({"stage": what, **each})
    note = (
        "Medians over scans, wall seconds of one thread each; several processes at once slow each other "
        "down. Grading: every phase of every iterate. Truth: reference quality and NRMSE of the same, "
        "measured between the iterations on a clock of its own; it is in no other number of this page. The "
        "last two rows are medians over all iterations of all scans: every second of a rule on this page "
        "is their multiple, so that what else the machine did does not count."
    )
    head = ("stage", *(study.label(s) for s in solvers))
    table = Table("seconds", "Seconds a scan", head, body, data, note)
    domain = {solver: outside_share(curves) for solver, curves in study.test.items()}
    lead = tuple(
        f"{study.label(s)}: {shown(100 * outside, 1)} % of the graded images lie outside the network's "
        "training domain."
        for s, outside in domain.items()
        if np.isfinite(outside)
    ) + tuple(
        f"{study.label(s)}: {shown(100 * curves.disturbed, 1)} % of the iterations took more than three "
        "times the median."
        for s, curves in study.test.items()
        if curves.disturbed > 0
    )
    numbers: dict[str, Any] = {"seconds": found, "outside_domain": domain}
    return Section("Seconds and domain", lead, [table], (), numbers, "times")


def _seconds(curves: Curves) -> dict[str, float]:
    return {stage: median_of_known(values) for stage, values in curves.seconds.items()}


def _step(curves: Curves, clock: str) -> float:
    return float(np.diff(curves.joint[clock], axis=1).max(initial=0.0))


def outside_share(curves: Curves) -> float:
    """Return the share of images outside the training domain; nan if nobody said."""
    said = curves.images["in_domain"]
    known = said[np.isfinite(said)]
    return float(np.mean(known == 0)) if known.size else float("nan")
