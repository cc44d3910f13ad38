"""Does it help that the rule looks at each scan? Against the best fixed number and the best cost rule.

Both rivals are chosen on other scans, at no more mean time than the default rule takes there with its
grading: of all that afford, the one with the least mean loss of reference quality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from csiq.agreement import bootstrap_interval, spearman
from csiq.evaluation.section import Picture, Section, Table, plus_minus, shown, span
from csiq.stopping import CostPlateau, MaxIter, Rule
from csiq.study.adaptive_figures import needed_figure, trade_figure
from csiq.study.bar import Bar, bar, bars_table
from csiq.study.curves import Curves
from csiq.study.material import Material
from csiq.study.outcomes import Outcome, outcome, outcomes, percentile_95
from csiq.study.savings import default_rule, rule_row
from csiq.study.spread import LEVEL, phase_mean, spread

#: A scan needs the iterations until its reference quality is within this of its best.
NEAR_BEST = 0.1
_FOLLOWS = 0.5


@dataclass(frozen=True)
class Rival:
    """A rule that looks at no grade, chosen on other scans.

    Attributes
    ----------
    name : str
    rule : Rule
    """

    name: str
    rule: Rule


@dataclass(frozen=True)
class Adaptivity:
    """The default rule against its rivals, on test scans.

    Attributes
    ----------
    own : Outcome
    fixed, cost : Outcome or None
        None without scans to choose them on, or if none affords so little time.
    fixed_name, cost_name : str
        Which was chosen.
    apart_fixed, apart_cost : (float, float)
        90 % interval of the default rule's 95th percentile less the rival's.
    needed : float64 array, (n_scans,)
        First iteration within 0.1 of the scan's best reference quality.
    follows : float
        Spearman's correlation of stop and need over scans.
    follows_interval : (float, float)
    """

    own: Outcome
    fixed: Outcome | None
    cost: Outcome | None
    fixed_name: str
    cost_name: str
    apart_fixed: tuple[float, float]
    apart_cost: tuple[float, float]
    needed: np.ndarray
    follows: float
    follows_interval: tuple[float, float]


def first_near_best(reference: np.ndarray, near: float = NEAR_BEST) -> np.ndarray:
    """Return the first iteration whose mean reference quality is within ``near`` of the scan's best.

    Parameters
    ----------
    reference : float array, (n_scans, n_iterations + 1, n_phases)

    Returns
    -------
    float64 array, (n_scans,)
        nan where nothing is known.
    """
    means = phase_mean(reference)
    found = np.full(len(means), np.nan)
    for i, row in enumerate(means):
        known = np.isfinite(row)
        if known.any():
            found[i] = int(np.argmax(known & (np.where(known, row, -np.inf) >= row[known].max() - near)))
    return found


def fixed_rules(last: int) -> dict[str, Rule]:
    """Return every fixed number of iterations."""
    return {f"iterations({k})": MaxIter(k) for k in range(1, last + 1)}


def cost_rules() -> dict[str, Rule]:
    """Return cost plateaus of many tolerances, with one, two or three small steps."""
    found: dict[str, Rule] = {}
    for patience in (1, 2, 3):
        for tol in np.logspace(-1, -5, 33):
            found[f"cost({tol:.2e}, patience={patience})"] = CostPlateau(float(tol), patience, 1)
    return found


def chosen_rival(tuning: Curves, rules: Mapping[str, Rule], seconds: float) -> Rival | None:
    """Return the rule with the least mean loss among those that take no more than ``seconds`` on average.

    Of equals the quicker one; None if all take longer.
    """
    found = outcomes(tuning, dict(rules), "last")
    keys = {
        name: (spread(one.loss, interval=False).mean, float(one.seconds.mean()))
        for name, one in found.items()
    }
    affordable = {n: k for n, k in keys.items() if k[1] <= seconds and np.isfinite(k[0])}
    if not affordable:
        return None
    name = min(affordable, key=lambda n: affordable[n])
    return Rival(name, rules[name])


def adaptivity(test: Curves, tuning: Curves | None) -> Adaptivity:
    """Return how the default rule does against its rivals."""
    own = outcome(test, default_rule())
    fixed = cost = None
    if tuning is not None:
        seconds = float(outcome(tuning, default_rule()).seconds.mean())
        fixed = chosen_rival(tuning, fixed_rules(tuning.last), seconds)
        cost = chosen_rival(tuning, cost_rules(), seconds)
    rivals = [outcome(test, r.rule, "last") if r is not None else None for r in (fixed, cost)]
    needed = first_near_best(test.reference)
    both = np.isfinite(needed)
    enough = int(both.sum()) > 2
    return Adaptivity(
        own=own,
        fixed=rivals[0],
        cost=rivals[1],
        fixed_name=fixed.name if fixed else "",
        cost_name=cost.name if cost else "",
        apart_fixed=_apart(own, rivals[0]),
        apart_cost=_apart(own, rivals[1]),
        needed=needed,
        follows=float(spearman(own.stops[both], needed[both])) if enough else float("nan"),
        follows_interval=bootstrap_interval(spearman, own.stops[both], needed[both], level=LEVEL)
        if enough
        else (float("nan"), float("nan")),
    )


def _apart(own: Outcome, rival: Outcome | None) -> tuple[float, float]:
    """Return the interval of the difference of two 95th percentiles, scans drawn with all their phases."""
    if rival is None:
        return float("nan"), float("nan")
    known = np.isfinite(own.loss).all(axis=1) & np.isfinite(rival.loss).all(axis=1)
    if known.sum() < 2:
        return float("nan"), float("nan")
    return bootstrap_interval(_tails, own.loss[known].T, paired=(rival.loss[known].T,), level=LEVEL)


def _tails(losses: np.ndarray) -> np.ndarray:
    """Return 95th percentiles over phases and scans, the last two axes."""
    return np.asarray(np.percentile(losses.reshape(*losses.shape[:-2], -1), 95, axis=-1))


def adaptivity_bars(found: Adaptivity, label: str) -> list[Bar]:
    """Return the bars of a solver."""
    bars = []
    for what, rival, apart in (
        ("fixed number", found.fixed, found.apart_fixed),
        ("cost rule", found.cost, found.apart_cost),
    ):
        difference = found.own.tail - rival.tail if rival is not None else float("nan")
        said = f"95th percentile of the loss, less that of the best {what}"
        bars.append(bar(said, label, difference, "≤ 0", met=difference <= 0, interval=apart))
    said = f"Stop follows the first iteration within {NEAR_BEST} of the best (Spearman)"
    met = found.follows >= _FOLLOWS
    bars.append(bar(said, label, found.follows, f"≥ {_FOLLOWS}", met=met, interval=found.follows_interval))
    return bars


def verdict(found: Adaptivity, bars: list[Bar], label: str) -> str:
    """Say in words whether adaptivity adds anything here, and if not, on what data it would."""
    if any(one.met is None for one in bars):
        return (
            f"{label}: whether adaptivity adds anything cannot be said: there are no scans to choose "
            "rivals on "
            "(--tuning), too few scans, or no truth."
        )
    if all(one.met for one in bars):
        return (
            f"{label}: adaptivity adds something here: all bars against rules that look at no grade are met."
        )
    needed = spread(found.needed, interval=False)
    stops = spread(found.own.stops, interval=False)
    return (
        f"{label}: adaptivity adds nothing here that a fixed number of iterations or the cost would not "
        "give. The "
        f"scans need {plus_minus(needed.mean, needed.sd, 1)} iterations ({shown(needed.least, 0)} to "
        f"{shown(needed.most, 0)}), the rule stops at {plus_minus(stops.mean, stops.sd, 1)}. A rule that "
        "looks at "
        "each scan can only gain where needs differ between scans by more than its own scatter: in a "
        "queue of "
        "mixed matrices, coils, samplings and penalty weights, where no number of iterations was tuned."
    )


def section(study: Material) -> Section:
    """Return the part on adaptivity."""
    found = {s: adaptivity(curves, study.tuning.get(s)) for s, curves in study.test.items()}
    bars = {s: adaptivity_bars(one, study.label(s)) for s, one in found.items()}
    items: list[Table | Picture] = [
        bars_table(
            "bars-adaptive", "Against rules that look at no grade", [b for s in bars for b in bars[s]]
        ),
        *(_table(study, s, found[s]) for s in study.solvers),
    ]
    for solver in study.solvers:
        items += _pictures(study, solver, found[solver])
    lead = [verdict(found[s], bars[s], study.label(s)) for s in study.solvers]
    n = {s: len(c) for s, c in study.tuning.items()}
    chosen = (
        f"Rivals were chosen on {max(n.values())} scans of patients who train"
        if n
        else "No rivals were chosen"
    )
    lead.append(
        f"{chosen}, none of whom is tested here: the least mean loss among rules that take no more mean "
        "time than the "
        "default rule with its grading. (The network has seen other images of these patients, so its "
        "grades, and with "
        "them the default rule's time, may be a little better there.)"
        if n
        else f"{chosen}: the study has no scans to tune on."
    )
    numbers: dict[str, Any] = {s: _numbers(one) for s, one in found.items()}
    return Section(
        "Does adaptivity help?",
        tuple(lead),
        items,
        (),
        {**numbers, "bars": [b for s in bars for b in bars[s]]},
        "adaptivity",
    )


def _numbers(found: Adaptivity) -> dict[str, Any]:
    return {
        "tail": found.own.tail,
        "fixed": found.fixed_name or None,
        "fixed_tail": found.fixed.tail if found.fixed else None,
        "cost": found.cost_name or None,
        "cost_tail": found.cost.tail if found.cost else None,
        "tail_best": percentile_95(found.own.loss_best),
        "needed": spread(found.needed),
        "follows": found.follows,
        "follows_interval": found.follows_interval,
    }


def _table(study: Material, solver: str, found: Adaptivity) -> Table:
    curves = study.test[solver]
    body, data = [], []
    for what, name, one, apart in (
        ("default rule", found.own.name, found.own, (float("nan"), float("nan"))),
        ("best fixed number", found.fixed_name, found.fixed, found.apart_fixed),
        ("best cost rule", found.cost_name, found.cost, found.apart_cost),
    ):
        if one is None:
            body.append((what, "–", "–", "–", "–", "–", "–"))
            continue
        row = rule_row(one, curves)
        body.append(
            (
                f"{what}\n{name}",
                shown(row["stop"], 1),
                shown(row["seconds"], 1),
                shown(row["loss"], 3),
                shown(row["loss_95"], 3),
                shown(percentile_95(one.loss_best), 3),
                span(*apart, 3),
            )
        )
        best_95 = {"loss_best_95": percentile_95(one.loss_best)}
        data.append({"what": what, "rule": name, **row, **best_95, "low": apart[0], "high": apart[1]})
    head = (
        "",
        "stops at",
        "seconds",
        "mean loss",
        "95th percentile",
        "the same against the best",
        "default less rival",
    )
    note = (
        "On the test scans. Last column: 90 % bootstrap interval of the difference of 95th "
        "percentiles, scans drawn."
    )
    return Table(f"rivals-{solver}", f"Rivals: {study.label(solver)}", head, body, data, note)


def _pictures(study: Material, solver: str, found: Adaptivity) -> list[Picture]:
    curves, label = study.test[solver], study.label(solver)
    trade = {
        "fixed number": outcomes(curves, fixed_rules(curves.last), "last"),
        "cost rule": outcomes(curves, cost_rules(), "last"),
        "default rule": {found.own.name: found.own},
    }
    rows = [
        {"kind": kind, "rule": name, "seconds": float(one.seconds.mean()), "loss_95": one.tail}
        for kind, of in trade.items()
        for name, one in of.items()
    ]
    needs = [
        {"scan": name, "needed": float(k), "stop": float(stop)}
        for name, k, stop in zip(curves.scans, found.needed, found.own.stops, strict=True)
    ]
    return [
        Picture(
            f"trade-{solver}",
            trade_figure(rows),
            "95th percentile of the loss against mean seconds, for fixed numbers, cost rules and the "
            "default rule",
            f"95th percentile of the loss against mean seconds a scan, {label}: every fixed number of "
            "iterations, cost "
            "rules, and the default rule with its grading. Lower left is better.",
            rows,
            share=2,
        ),
        Picture(
            f"need-{solver}",
            needed_figure(found.needed, found.own.stops),
            "Iteration where the default rule stops against the first one that is good enough",
            f"Where the default rule stops against the first iteration within {NEAR_BEST} of the scan's "
            "best reference "
            f"quality, {label}. Larger dots: more scans.",
            needs,
            share=2,
        ),
    ]
