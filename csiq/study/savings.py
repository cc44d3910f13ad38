"""What stopping at the default rule saves, and what it costs: the first bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from csiq.evaluation.section import Section, Table, plus_minus, shown
from csiq.stopping import CostGap, GradePlateau, Rule
from csiq.study.bar import Bar, bar, bars_table
from csiq.study.curves import Curves
from csiq.study.material import Material
from csiq.study.outcomes import Outcome, outcome, outcomes
from csiq.study.plateaus import rules
from csiq.study.spread import Share, Spread, share, spread

#: Loss of reference quality that no reader sees, in how many phases at least, and on average.
_NEAR, _SHARE, _MEAN_LOSS, _NRMSE = 0.25, 0.95, 0.05, 0.03


@dataclass(frozen=True)
class Savings:
    """The default rule against iteration 20, and against the iteration where the cost has nearly ended.

    Attributes
    ----------
    stops : Spread
    saved : Spread
        Seconds, both sides graded at every iteration.
    saved_ungraded : Spread
        Seconds against all iterations without a grader: what grading takes is set against what is saved.
    saved_gap : Spread
        Seconds against the cost gap of 1e-2, likewise without a grader.
    saved_share : float
        ``saved_ungraded`` over the seconds of all iterations without a grader.
    near : Share
        Phases within 0.25 of the reference quality of the last iteration.
    loss, loss_best, nrmse_loss : Spread
    """

    stops: Spread
    saved: Spread
    saved_ungraded: Spread
    saved_gap: Spread
    saved_share: float
    near: Share
    loss: Spread
    loss_best: Spread
    nrmse_loss: Spread


def default_rule() -> Rule:
    """Return the rule of ``--stop-on-plateau``."""
    return GradePlateau()


def savings(curves: Curves) -> Savings:
    """Return what the default rule saves and costs."""
    stopped = outcome(curves, default_rule())
    gap = outcome(curves, CostGap(), "last")
    whole, grading = curves.joint["recon_s"][:, -1], curves.joint["grading_s"][:, -1]
    known = np.isfinite(stopped.loss)
    saved = whole - stopped.seconds
    return Savings(
        stops=spread(stopped.stops),
        saved=spread(saved + grading),
        saved_ungraded=spread(saved),
        saved_gap=spread(gap.seconds - stopped.seconds),
        saved_share=float(np.mean(saved) / np.mean(whole)) if np.mean(whole) > 0 else float("nan"),
        near=share(stopped.loss <= _NEAR, known),
        loss=spread(stopped.loss),
        loss_best=spread(stopped.loss_best),
        nrmse_loss=spread(stopped.nrmse_loss),
    )


def savings_bars(found: Savings, label: str) -> list[Bar]:
    """Return the bars of a solver."""
    near, loss, nrmse = found.near, found.loss, found.nrmse_loss

    def seconds(what: str, saved: Spread) -> Bar:
        """Return the bar of a mean saving that shall be above 0 s."""
        interval = (saved.low, saved.high)
        return bar(what, label, saved.mean, "> 0", met=saved.mean > 0, interval=interval, seconds=True)

    return [
        seconds("Seconds saved against 20 iterations without a grader", found.saved_ungraded),
        seconds("Seconds saved against the solver's cost gap 1e-2", found.saved_gap),
        bar(
            "Phases that lose no more than 0.25 of the last iteration's reference quality",
            label,
            near.share,
            "≥ 95\u00a0%",
            met=near.share >= _SHARE,
            interval=(near.low, near.high),
            percent=True,
        ),
        bar(
            "Mean loss of reference quality",
            label,
            loss.mean,
            f"≤ {_MEAN_LOSS}",
            met=loss.mean <= _MEAN_LOSS,
            interval=(loss.low, loss.high),
        ),
        bar(
            "NRMSE, mean change",
            label,
            nrmse.mean,
            "≤ 3\u00a0%",
            met=nrmse.mean <= _NRMSE,
            interval=(nrmse.low, nrmse.high),
            percent=True,
        ),
    ]


def section(study: Material) -> Section:
    """Return the part on what stopping saves and costs."""
    found = {solver: savings(curves) for solver, curves in study.test.items()}
    bars = [b for solver in study.solvers for b in savings_bars(found[solver], study.label(solver))]
    items = [
        bars_table("bars-stopping", "The default rule: what is asked", bars),
        *(_rules_table(study, solver) for solver in study.solvers),
    ]
    lead = tuple(_lead(study.label(solver), one) for solver, one in found.items())
    numbers: dict[str, Any] = {**found, "bars": bars}
    return Section("What stopping saves and costs", lead, items, (), numbers, "stopping")


def _lead(label: str, found: Savings) -> str:
    return (
        f"{label}: the default rule stops at {plus_minus(found.stops.mean, found.stops.sd, 1)}. A scan, "
        f"with its grading, takes {_less(found.saved_ungraded.mean)} than 20 iterations without a grader "
        f"({shown(100 * abs(found.saved_share), 0)} % of them), {_less(found.saved.mean)} than 20 iterations "
        f"that are graded as well, and {_less(found.saved_gap.mean)} than running to the cost gap without a "
        "grader. Reference quality lost: "
        f"{shown(found.loss.mean, 3)} on average against the last iteration, "
        f"{shown(found.loss_best.mean, 3)} against the scan's best one; NRMSE changes by "
        f"{shown(100 * found.nrmse_loss.mean, 1, sign=True)} %."
    )


def _less(saved: float) -> str:
    return f"{shown(abs(saved), 1)} s {'less' if saved >= 0 else 'more'}"


def _rules_table(study: Material, solver: str) -> Table:
    curves = study.test[solver]
    found = outcomes(curves, rules())
    body, data = [], []
    for name, one in found.items():
        row = rule_row(one, curves)
        body.append(
            (
                name,
                shown(row["stop"], 1),
                shown(row["seconds"], 1),
                shown(row["loss"], 3),
                shown(row["loss_95"], 3),
                shown(row["loss_best"], 3),
                f"{shown(100 * row['nrmse_loss'], 1, sign=True)} %",
            )
        )
        data.append({"rule": name, **row})
    head = (
        "rule",
        "stops at",
        "seconds to there",
        "mean loss",
        "95th percentile",
        "loss against the best",
        "NRMSE",
    )
    note = (
        "Means over scans and phases. Seconds: reconstruction after set-up, with grading where the rule "
        "looks at grades. Such a rule hands out the iterate of the best mean grade (the latest that cannot "
        "be told from it), a rule of the cost the one where it stops. Loss: reference quality of the last "
        "iteration less that of the image handed out; negative is better. NRMSE: change against the last "
        "iteration. A scan in which a rule never fires runs to the end. cost_gap knows how the curve ends: "
        "no run can use it."
    )
    return Table(f"rules-{solver}", f"Every rule: {study.label(solver)}", head, body, data, note)


def rule_row(one: Outcome, curves: Curves) -> dict[str, float]:
    """Return the means of one rule."""
    return {
        "stop": float(one.stops.mean()),
        "fired": int(one.fired.sum()),
        "seconds": float(one.seconds.mean()),
        "loss": spread(one.loss, interval=False).mean,
        "loss_95": one.tail,
        "loss_best": spread(one.loss_best, interval=False).mean,
        "nrmse_loss": spread(one.nrmse_loss, interval=False).mean,
    }
