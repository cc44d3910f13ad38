"""Does it help that the rule looks at each scan? Against the best fixed number and the best cost rule.

Both rivals are chosen on other scans, at no more mean time than the default rule takes there with its
grading: of all that afford, the one with the least mean loss of reference quality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from csiq.agreement import bootstrap_interval, spearman
from csiq.evaluation.section import plus_minus, shown
from csiq.stopping import CostPlateau, MaxIter, Rule
from csiq.study.bar import Bar, bar
from csiq.study.curves import Curves
from csiq.study.outcomes import Outcome, outcome, outcomes
from csiq.study.savings import default_rule
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
    follows, interval = follow(own.stops, needed)
    return Adaptivity(
        own=own,
        fixed=rivals[0],
        cost=rivals[1],
        fixed_name=fixed.name if fixed else "",
        cost_name=cost.name if cost else "",
        apart_fixed=_apart(own, rivals[0]),
        apart_cost=_apart(own, rivals[1]),
        needed=needed,
        follows=follows,
        follows_interval=interval,
    )


def follow(stops: np.ndarray, needed: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Return Spearman's correlation of stops and needs with its interval; 0 of stops that never vary."""
    both = np.isfinite(needed)
    nothing = (float("nan"), float("nan"))
    if both.sum() < 3:
        return float("nan"), nothing
    if np.ptp(stops[both]) == 0:
        return 0.0, nothing
    # ranks of a few scans give round numbers: one half is one half, and not a rounding below it
    found = round(float(spearman(stops[both], needed[both])), 12)
    return found, bootstrap_interval(spearman, stops[both], needed[both], level=LEVEL)


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


def _quicker(found: Adaptivity) -> list[str]:
    """Say which rivals are quicker on the test scans and no worse on average: only their worst cases are."""
    ours = spread(found.own.loss, interval=False).mean
    said = []
    for name, rival in ((found.fixed_name, found.fixed), (found.cost_name, found.cost)):
        if rival is None or rival.seconds.mean() >= found.own.seconds.mean():
            continue
        gain = ours - spread(rival.loss, interval=False).mean
        if gain >= 0:
            better = f"better by {shown(gain)}" if gain >= 0.005 else "as good"
            said.append(f"{name} takes {shown(rival.seconds.mean(), 0)} s, images {better} on average")
    if not said:
        return []
    return [
        f"But the rule with its grading takes {shown(found.own.seconds.mean(), 0)} s, and {'; '.join(said)}. "
        "Only their worst cases are worse: where such a number has been tuned for a protocol, the rule saves "
        "no time."
    ]


def verdict(found: Adaptivity, bars: list[Bar], label: str) -> str:
    """Say in words whether adaptivity adds anything here, and if not, on what data it would."""
    missed = [one.what for one in bars if one.met is False]
    if any(one.met is None for one in bars):
        also = f" Not met already: {'; '.join(missed)}." if missed else ""
        return (
            f"{label}: whether adaptivity adds anything cannot be said: there are no scans to choose rivals "
            f"on (--tuning, or not finished), too few scans, or no truth.{also}"
        )
    if not missed:
        helped = f"{label}: adaptivity adds something: all bars against rules that look at no grade are met."
        return " ".join([helped, *_quicker(found)])
    needed = spread(found.needed, interval=False)
    stops = spread(found.own.stops, interval=False)
    return (
        f"{label}: adaptivity adds nothing here that a fixed number of iterations or the cost would not "
        f"give. The scans need {plus_minus(needed.mean, needed.sd, 1)} iterations ({shown(needed.least, 0)} "
        f"to {shown(needed.most, 0)}), the rule stops at {plus_minus(stops.mean, stops.sd, 1)}. A rule that "
        "looks at each scan can only gain where needs differ between scans by more than its own scatter: "
        "in a queue of mixed matrices, coils, samplings and penalty weights, where no number of iterations "
        "was tuned."
    )
