"""Which weight to take: the best-graded within bounds, and never on a difference that no reader would see.

A grader can be gamed. It sees each phase by itself, and likes an image without streaks and noise, whether
they were averaged over the phases or not; a weight that makes all phases one image can look best to it.
What holds it:

- the sweep is bounded (:mod:`csiq.tuning.lamdas`);
- a weight that has made the phases one image is left out: neighbouring phases then differ by less than a
  tenth of what they do at the configuration's weight (:data:`LEAST_DIFFERENCE`);
- so is one whose images lie outside the grader's domain while others lie inside, or have no grade;
- two weights closer than 0.25 grade, or than the SD of their difference's error, are not told apart. Of
  those not told apart from the best, the one nearest to the configuration's weight is taken; the
  configuration's own, if it is among them;
- whoever stands at an end of what was allowed is called a bound, not an optimum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from csiq.errors import ModelError
from csiq.history import mean
from csiq.ranking import Comparison, compare
from csiq.tuning.point import Point
from csiq.tuning.sweeping import Sweep

#: Phases that differ by less than this share of what they do at the configuration's weight are one image. A
#: rough sieve on purpose: streaks differ between phases, too, so that less difference is partly a merit.
LEAST_DIFFERENCE = 0.1

Edge = Literal["low", "high"]


@dataclass(frozen=True)
class Choice:
    """The weight that is advised, and why.

    Attributes
    ----------
    lamda : float
    why : str
        In one sentence.
    best : float
        The weight of the highest grade within bounds; not always the one advised.
    top_set : tuple of float
        Weights that are not told apart from ``best``, itself among them.
    home : float
        The weight of the configuration.
    bounds : (float, float)
        Least and greatest weight that could be chosen.
    at_edge : str or None
        "low" or "high" if the advised weight is one of the bounds and not the configuration's own: a bound
        then, no optimum.
    best_at_edge : str or None
        Likewise of ``best``.
    excluded : dict
        Weight -> why it could not be chosen.
    compared : Comparison
        All weights within bounds, in pairs.
    """

    lamda: float
    why: str
    best: float
    top_set: tuple[float, ...]
    home: float
    bounds: tuple[float, float]
    at_edge: Edge | None
    best_at_edge: Edge | None
    excluded: dict[float, str] = field(default_factory=dict)
    compared: Comparison[float] | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is to be said of it at once."""
        if self.at_edge is not None:
            return (
                f"lamda {self.lamda:g} is the {_END[self.at_edge]} that was allowed: a bound, not an "
                "optimum; look at the images before it is used",
            )
        if self.best_at_edge is not None and self.home not in self.top_set:
            return (f"the highest grade lies at the {_END[self.best_at_edge]} that was allowed, a bound",)
        return ()

    def as_json(self) -> dict[str, Any]:
        """Return the entry ``choice`` of ``tune.json``."""
        content = {k: v for k, v in asdict(self).items() if k not in ("compared", "excluded")}
        excluded = [{"lamda": lamda, "why": why} for lamda, why in self.excluded.items()]
        return {**content, "excluded": excluded, "warnings": list(self.warnings)}


_END = {"low": "least weight", "high": "greatest weight"}


@dataclass(frozen=True)
class _MeanGrade:
    """The mean grade of a weight's phases, as :func:`csiq.ranking.compare` wants it."""

    grade: float
    grade_sd: float
    uncertainty: float | None
    in_domain: bool


def choose(sweep: Sweep) -> Choice:
    """Return the weight that is advised; a truth, if one is known, is not looked at.

    Parameters
    ----------
    sweep : Sweep

    Raises
    ------
    ModelError
        If no weight has a grade.
    """
    excluded = excluded_points(sweep)
    allowed = [point for point in sweep.points if point.lamda not in excluded]
    if not allowed:
        raise ModelError("no weight has a grade: nothing to choose by", field="--model")
    compared = compare([p.lamda for p in allowed], [_mean_grade(p) for p in allowed])
    best = max(allowed, key=lambda p: (p.grade, -_distance(p.lamda, sweep.home)))
    top = tuple(p.lamda for p in allowed if not told_apart(compared, best.lamda, p.lamda))
    lamda = min(top, key=lambda each: (_distance(each, sweep.home), each))
    bounds = (allowed[0].lamda, allowed[-1].lamda)
    return Choice(
        lamda=lamda,
        why=_why(lamda, best, top, sweep),
        best=best.lamda,
        top_set=top,
        home=sweep.home,
        bounds=bounds,
        at_edge=_edge(lamda, bounds) if lamda != sweep.home else None,
        best_at_edge=_edge(best.lamda, bounds),
        excluded=excluded,
        compared=compared,
    )


def excluded_points(sweep: Sweep) -> dict[float, str]:
    """Return the weights that cannot be chosen, each with the reason."""
    found: dict[float, str] = {}
    home = next((p for p in sweep.points if p.lamda == sweep.home), None)
    known_domain = any(p.in_domain for p in sweep.points)
    for point in sweep.points:
        reason = _reason(point, home, known_domain)
        if reason is not None:
            found[point.lamda] = reason
    return found


def _reason(point: Point, home: Point | None, known_domain: bool) -> str | None:
    if point.stop_reason == "nan":
        return "the cost was not finite"
    if not math.isfinite(point.grade):
        return "a phase has no grade"
    if known_domain and not point.in_domain:
        return "outside the training domain of the model, others lie inside"
    if home is None or not point.phase_difference < LEAST_DIFFERENCE * home.phase_difference:
        return None
    share = 100 * point.phase_difference / home.phase_difference
    return f"the phases have become one image: they differ by {share:.0f} % of what they do at {home.lamda:g}"


def told_apart(compared: Comparison[float], a: float, b: float) -> bool:
    """Return whether the grades of two weights differ by 0.25 and by the SD of their difference's error.

    Parameters
    ----------
    compared : Comparison
    a, b : float
        Two of its labels.
    """
    if a == b:
        return False
    at = next(k for k, pair in enumerate(compared.pairs) if {pair.a, pair.b} == {a, b})
    difference, sd = compared.pairs[at].difference, compared.preferences.pairs[at].difference_sd
    return difference is not None and abs(difference) >= max(compared.threshold, sd or 0.0)


def _mean_grade(point: Point) -> _MeanGrade:
    return _MeanGrade(point.grade, point.grade_sd, point.uncertainty, point.in_domain)


def _distance(lamda: float, home: float) -> float:
    """Return how far a weight is from home, in e-folds; equal ratios to either side are equally far."""
    return round(abs(math.log(lamda / home)), 3)


def _edge(lamda: float, bounds: tuple[float, float]) -> Edge | None:
    if bounds[0] == bounds[1]:
        return None
    return "low" if lamda == bounds[0] else "high" if lamda == bounds[1] else None


def _why(lamda: float, best: Point, top: Sequence[float], sweep: Sweep) -> str:
    here = f"grade {sweep.at(lamda).grade:.2f}"
    others = len(top) - 1
    if lamda == sweep.home == best.lamda:
        rest = f"; {others} other{'s' * (others > 1)} cannot be told from it" if others else ""
        return f"the configuration's own weight is graded best ({here}){rest}"
    beaten = f"no weight is better than {lamda:g} by what a reader would see"
    if lamda == sweep.home:
        own_grade = f"{sweep.at(lamda).grade:.2f}"
        return f"{beaten}: the best ({best.lamda:g}) has grade {best.grade:.2f}, {lamda:g} has {own_grade}"
    own = _own(sweep)
    if lamda == best.lamda:
        return f"{here}, the best{own}"
    return (
        f"{here}, not told from the best ({best.lamda:g}, {best.grade:.2f}) and nearest to the "
        f"configuration's {sweep.home:g}{own}"
    )


def _own(sweep: Sweep) -> str:
    home = next((p for p in sweep.points if p.lamda == sweep.home), None)
    if home is None or not math.isfinite(home.grade):
        return ""
    return f"; the configuration's own has {home.grade:.2f}"


def truth_of(sweep: Sweep, choice: Choice) -> dict[str, Any] | None:
    """Return what the truth says of the choice: the weights it would take, and what the choice loses.

    Returns
    -------
    dict or None
        ``nrmse_best_lamda``, ``nrmse_lost`` (over the least, less 1), ``reference_best_lamda``,
        ``reference_lost``; None if no truth was known.
    """
    if not sweep.knows_truth:
        return None
    errors = {p.lamda: mean(p.nrmse) for p in sweep.points if math.isfinite(mean(p.nrmse))}
    qualities = {p.lamda: mean(p.reference) for p in sweep.points if math.isfinite(mean(p.reference))}
    least = min(errors, key=errors.__getitem__, default=None)
    most = max(qualities, key=qualities.__getitem__, default=None)
    chosen = choice.lamda
    return {
        "nrmse_best_lamda": least,
        "nrmse_lost": errors[chosen] / errors[least] - 1 if least is not None and chosen in errors else None,
        "reference_best_lamda": most,
        "reference_lost": qualities[most] - qualities[chosen]
        if most is not None and chosen in qualities
        else None,
    }
