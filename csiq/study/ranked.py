"""Is the ranking right? Verdicts and signs of pairs, and what the choice of the best phase is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from csiq.agreement import bootstrap_interval
from csiq.evaluation.section import Section, Table, shown, span
from csiq.history import THRESHOLD
from csiq.study.bar import Bar, bar, bars_table
from csiq.study.curves import Curves
from csiq.study.material import Material
from csiq.study.outcomes import Outcome, outcome
from csiq.study.savings import default_rule
from csiq.study.spread import Share, Spread, share, spread

#: Differences of reference quality that must get the right verdict, and the right sign.
_CLEAR, _SEEN = 0.5, THRESHOLD
_SIGN, _VERDICT, _ALONE = 0.95, 0.90, 0.90
#: Ways to choose a phase that the grade shall beat.
_RIVALS = ("always 1", "always 2", "least motion")
#: Level of the paired interval that has to exclude 0.
_LEVEL = 0.95


@dataclass(frozen=True)
class Verdicts:
    """How pairs of phases of one scan are told apart, against reference quality.

    Attributes
    ----------
    given : Share
        Pairs with a verdict: grades at least 0.25 apart.
    sign : Share
        Of these, those with the right sign.
    clear : Share
        Of pairs whose references differ by more than 0.5, those with the right verdict.
    alone : Share
        Of pairs whose references differ by more than 0.25, those with the right sign, verdict or not.
    """

    given: Share
    sign: Share
    clear: Share
    alone: Share


def pair_differences(values: np.ndarray) -> np.ndarray:
    """Return a - b of every pair of phases, a < b: (n_scans, n_pairs).

    Parameters
    ----------
    values : float array, (n_scans, n_phases)
    """
    pairs = list(combinations(range(values.shape[1]), 2))
    return np.stack([values[:, a] - values[:, b] for a, b in pairs], axis=1)


def verdicts(grade: np.ndarray, reference: np.ndarray) -> Verdicts:
    """Return how pairs are told apart.

    Parameters
    ----------
    grade, reference : float array, (n_scans, n_phases)
    """
    seen, true = pair_differences(grade), pair_differences(reference)
    known = np.isfinite(seen) & np.isfinite(true)
    seen, true = np.where(known, seen, 0.0), np.where(known, true, 0.0)
    same, told = np.sign(seen) == np.sign(true), np.abs(seen) >= THRESHOLD
    return Verdicts(
        given=share(told, known),
        sign=share(same, known & told),
        clear=share(same & told, known & (np.abs(true) > _CLEAR)),
        alone=share(same, known & (np.abs(true) > _SEEN)),
    )


@dataclass(frozen=True)
class Choice:
    """A way to choose the phase that is shown first.

    Attributes
    ----------
    regret : Spread
        Reference quality of the best phase less that of the chosen one.
    right : Share
        How often it is the best.
    saved : float
        Mean regret of this way less that of choosing by grade; 0 of the grade itself.
    low, high : float
        Paired 95 % bootstrap interval of ``saved``.
    """

    regret: Spread
    right: Share
    saved: float
    low: float
    high: float


def choices(curves: Curves, stopped: Outcome | None = None) -> dict[str, Choice]:
    """Return ways to choose a phase at the last iteration.

    Parameters
    ----------
    curves : Curves
    stopped : Outcome, optional
        Choose among the images that a rule hands out instead.

    Returns
    -------
    dict of str to Choice
        ``grade`` first; ``always 1``, ``always 2``; ``least motion``: least spread of the breathing signal in
        its bin, as a scanner could know it; ``least true motion``: of the heart's true place, which nobody
        knows outside a simulation.
    """
    of = (
        (curves.grade[:, -1], curves.reference[:, -1])
        if stopped is None
        else (stopped.grade, stopped.reference)
    )
    grade, reference = of
    ways = {
        "grade": grade,
        "always 1": np.eye(curves.n_phases)[[0] * len(curves)],
        "always 2": np.eye(curves.n_phases)[[min(1, curves.n_phases - 1)] * len(curves)],
        "least motion": -curves.motion["signal_sd"],
        "least true motion": -curves.motion["heart_sd_mm"],
    }
    known = np.isfinite(reference).all(axis=1) & np.isfinite(ways["grade"]).all(axis=1)
    regrets = {name: regret(reference[known], merit[known]) for name, merit in ways.items()}
    return {name: _choice(regrets[name], regrets["grade"]) for name in ways}


def regret(reference: np.ndarray, merit: np.ndarray) -> np.ndarray:
    """Return what is lost by taking the phase of most merit: (n_scans,), nan where no merit is known.

    Parameters
    ----------
    reference : float array, (n_scans, n_phases)
    merit : float array, (n_scans, n_phases)
        The first of equals is taken.
    """
    known = np.isfinite(merit).all(axis=1)
    chosen = np.where(known, np.argmax(np.where(np.isfinite(merit), merit, -np.inf), axis=1), 0)
    lost = reference.max(axis=1) - reference[np.arange(len(reference)), chosen]
    return np.where(known, lost, np.nan)


def _choice(own: np.ndarray, by_grade: np.ndarray) -> Choice:
    both = np.isfinite(own) & np.isfinite(by_grade)
    more = own[both] - by_grade[both]
    low = high = float("nan")
    if len(more) > 1:
        low, high = bootstrap_interval(_means, more, level=_LEVEL)
    known = own[np.isfinite(own)]
    saved = float(more.mean()) if len(more) else float("nan")
    return Choice(spread(own), share(known <= 0), saved, low, high)


def _means(values: np.ndarray) -> np.ndarray:
    return np.asarray(values.mean(axis=-1))


def ranking_bars(found: Verdicts, ways: Mapping[str, Choice], label: str) -> list[Bar]:
    """Return the bars of a solver; true motion is for comparison alone, as no scanner knows it."""

    def of(what: str, one: Share, least: float) -> Bar:
        """Return the bar of a share that shall be at least ``least``."""
        asked, met, interval = f"≥ {100 * least:.0f}\u00a0%", one.share >= least, (one.low, one.high)
        return bar(what, label, one.share, asked, met=met, interval=interval, percent=True)

    bars = [
        of(f"Sign right, given a verdict (grades {THRESHOLD} apart or more)", found.sign, _SIGN),
        of(f"Right verdict, of pairs whose references differ by more than {_CLEAR}", found.clear, _VERDICT),
        of(f"Sign right, of pairs whose references differ by more than {_SEEN}", found.alone, _ALONE),
    ]
    for name in _RIVALS:
        one = ways[name]
        said = f"Regret saved by choosing by grade, against “{name}” (95 % interval)"
        bars.append(
            bar(said, label, one.saved, "interval above 0", met=one.low > 0, interval=(one.low, one.high))
        )
    return bars


def section(study: Material) -> Section:
    """Return the part on the ranking."""
    told = {s: verdicts(c.grade[:, -1], c.reference[:, -1]) for s, c in study.test.items()}
    ways = {s: choices(c) for s, c in study.test.items()}
    bars = [b for s in study.solvers for b in ranking_bars(told[s], ways[s], study.label(s))]
    ends = {s: outcome(c, default_rule()) for s, c in study.test.items()}
    handed = {s: (verdicts(end.grade, end.reference), choices(study.test[s], end)) for s, end in ends.items()}
    items = [
        bars_table("bars-ranking", "Ranking: what is asked", bars),
        *(_choices_table(study.label(s), s, ways[s]) for s in study.solvers),
    ]
    lead = tuple(
        f"{study.label(s)}: {shown(100 * one.given.share, 0)} % of {one.given.of} pairs get a verdict (90 % "
        f"interval {span(100 * one.given.low, 100 * one.given.high, 0)}), the others are called equal. Last "
        "iteration; all pairs of phases of one scan; the truth is reference quality. "
        f"{_handed_words(*handed[s])}"
        for s, one in told.items()
    )
    numbers: dict[str, Any] = {
        s: {
            "verdicts": told[s],
            "choices": ways[s],
            "handed_out": dict(zip(("verdicts", "choices"), handed[s], strict=True)),
        }
        for s in study.solvers
    }
    return Section("Is the ranking right?", lead, items, (), {**numbers, "bars": bars}, "ranking")


def _handed_words(found: Verdicts, ways: Mapping[str, Choice]) -> str:
    """Say the same of the images that the default rule hands out: no bar, but what a run would show."""
    sign, clear, alone = (f"{one.right} of {one.of}" for one in (found.sign, found.clear, found.alone))
    saved = ", ".join(f"{shown(ways[name].saved, 3)} (“{name}”)" for name in _RIVALS)
    return (
        f"Of the images that the default rule hands out {shown(100 * found.given.share, 0)} % of pairs get "
        f"one, {sign} with the right sign; of pairs whose references differ by more than {_CLEAR} {clear} "
        f"get the right verdict, by more than {_SEEN} {alone} the right sign; regret saved: {saved}."
    )


def _choices_table(label: str, solver: str, ways: Mapping[str, Choice]) -> Table:
    body, data = [], []
    for name, one in ways.items():
        saved = "–" if name == "grade" else f"{shown(one.saved, 3)}\n{span(one.low, one.high, 3)}"
        share_right = f"{shown(100 * one.right.share, 0)} %"
        body.append((name, shown(one.regret.mean, 3), shown(one.regret.most, 2), share_right, saved))
        row = {"way": name, "regret": one.regret.mean, "regret_most": one.regret.most}
        data.append({**row, "right": one.right.share, "saved": one.saved, "low": one.low, "high": one.high})
    head = ("choice", "mean regret", "largest", "is the best phase", "saved by the grade")
    note = (
        "Regret: reference quality of the best phase less that of the chosen one. Least motion: least "
        "spread of the breathing signal within the phase. Least true motion needs the simulation's truth: "
        "for comparison alone."
    )
    return Table(f"choices-{solver}", f"Choosing the best phase: {label}", head, body, data, note)
