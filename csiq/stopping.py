"""When to stop, and which iteration to hand out: rules over a :class:`History` of costs and grades.

A rule looks at a history and says whether it fires at the last iteration there. It holds numbers only and
keeps no state, so the same rule decides a running reconstruction and, afterwards, where it would have
stopped one that went on.

The plateau of the paper ("grade difference < 2 %", 6 +- 2 of 20 iterations) names no denominator, and read
literally it fires at iteration 1 of 0.30 -> 0.305 -> ... -> 1.70. Hence the floor, the patience, the minimum
and the arming of :class:`GradePlateau`.

References
----------
Piccini D, et al. Deep learning to automate reference-free image quality assessment of whole-heart MR
images. Radiology: Artificial Intelligence 2020;2(3):e190123.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, Protocol

from csiq.errors import ConfigError, nearest
from csiq.history import History, mean

Scope = Literal["mean", "best", "all"]
Return = Literal["best", "last", "best-per-phase"]

#: A grade has left its start once it moved this far: two fifths of what readers can tell apart.
ARMING_GRADE = 0.10
#: The cost has stopped falling once a step lowers it by less than this fraction.
ARMING_COST = 1e-3

# ---------------------------------------------------------------- rules


class Rule(Protocol):
    """What every rule offers.

    ``name`` is its key in ``run.json``, ``reason`` the word of ``stop.reason``.
    """

    @property
    def name(self) -> str:
        """Key of the rule."""

    @property
    def reason(self) -> str:
        """Why a run that it stops has stopped: plateau, max_iter, time_limit or nan."""

    def fires(self, history: History) -> bool:
        """Whether the rule fires at the last iteration of ``history``."""

    def sentence(self) -> str:
        """Return the rule in words."""


@dataclass(frozen=True)
class GradePlateau:
    """The grade no longer changes.

    A step k is small when ``|g_k - g_(k-1)| < tol * max(g_(k-1), floor)``. The rule fires at an iteration
    ``k >= min_iter`` that ends ``patience`` consecutive small steps, once it is armed: the grade has moved by
    at least 0.10 from its start, or the cost fell by less than 0.1 % in step k. A flat start (0.0, 0.0,
    0.0, ...) with a falling cost is no plateau.

    A grade that is not a number switches the rule off for good: it never stops a run.

    Parameters
    ----------
    tol : float
        Fraction of the grade.
    floor : float
        Least grade that ``tol`` refers to, so that 2 % of a grade near 0 does not become a hair.
    patience : int
        Small steps in a row.
    min_iter : int
        First iteration at which it may fire.
    scope : {"mean", "best", "all"}
        Whose grade: the mean over phases, the best phase at each iteration, or each phase by itself (then
        every one must be armed and take small steps).
    """

    tol: float = 0.02
    floor: float = 1.0
    patience: int = 2
    min_iter: int = 3
    scope: Scope = "mean"
    reason = "plateau"

    def __post_init__(self) -> None:
        if self.scope not in ("mean", "best", "all"):
            raise ConfigError(f"'{self.scope}' is no scope", field="scope", hint=nearest(self.scope, SCOPES))
        for name in ("tol", "floor"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"expected a number >= 0, got {value}", field=f"plateau_{name}")
        for name in ("patience", "min_iter"):
            if getattr(self, name) < 1:
                raise ConfigError(f"expected at least 1, got {getattr(self, name)}", field=name)

    @property
    def name(self) -> str:
        """Key of the rule, with its scope."""
        return f"grade_plateau_{self.scope}"

    def sentence(self) -> str:
        """Return the rule in words."""
        whose = {"mean": "mean grade", "best": "best phase's grade", "all": "grade of every phase"}[
            self.scope
        ]
        return (
            f"the {whose} changed by less than {self.tol:.3g} x max(grade, {self.floor:g}) "
            f"in {self.patience} consecutive iterations"
        )

    def fires(self, history: History) -> bool:
        """Whether the plateau is reached at the last iteration of ``history``."""
        k = len(history) - 1
        if k < max(self.min_iter, self.patience) or self.why_off(history):
            return False
        cost_stands = _relative_fall(history, k) < ARMING_COST
        return all(
            (cost_stands or _has_left_start(curve)) and self._ends_on_small_steps(curve)
            for curve in self._curves(history)
        )

    def why_off(self, history: History) -> str | None:
        """Return why the rule is switched off, or None while it works."""
        for step in history.steps:
            for phase, grade in enumerate(step.grades, start=1):
                if not math.isfinite(grade):
                    return (
                        f"phase {phase} has no grade at iteration {step.iteration}: "
                        "the plateau rule is off, the run goes on to its other limits"
                    )
        return None

    def _curves(self, history: History) -> list[list[float]]:
        if self.scope == "all":
            return [[step.grades[p] for step in history.steps] for p in range(history.n_phases)]
        combine = max if self.scope == "best" else mean
        return [[combine(step.grades) for step in history.steps]]

    def _ends_on_small_steps(self, grades: list[float]) -> bool:
        tail = grades[-self.patience - 1 :]
        return all(abs(new - old) < self.tol * max(old, self.floor) for old, new in pairwise(tail))


SCOPES: tuple[Scope, ...] = ("mean", "best", "all")


def _has_left_start(grades: list[float]) -> bool:
    return any(abs(grade - grades[0]) >= ARMING_GRADE for grade in grades)


def _relative_fall(history: History, k: int) -> float:
    """Return the fraction by which step k lowered the cost; nan (never small) where a cost is not finite."""
    before, after = history.steps[k - 1].cost, history.steps[k].cost
    if not (math.isfinite(before) and math.isfinite(after)):
        return math.nan
    return (before - after) / before if before > 0 else 0.0


@dataclass(frozen=True)
class CostPlateau:
    """The cost no longer falls: less than ``tol`` of itself in ``patience`` consecutive steps."""

    tol: float = ARMING_COST
    patience: int = 2
    min_iter: int = 3
    name = "cost_plateau"
    reason = "plateau"

    def fires(self, history: History) -> bool:
        """Whether the cost stands still at the last iteration of ``history``."""
        k = len(history) - 1
        if k < max(self.min_iter, self.patience):
            return False
        return all(_relative_fall(history, j) < self.tol for j in range(k - self.patience + 1, k + 1))

    def sentence(self) -> str:
        """Return the rule in words."""
        return (
            f"the cost fell by less than {self.tol:.3g} of itself in {self.patience} consecutive iterations"
        )


@dataclass(frozen=True)
class MaxIter:
    """The iterations asked for are done; iteration 0 is not counted."""

    max_iter: int = 20
    name = "max_iter"
    reason = "max_iter"

    def fires(self, history: History) -> bool:
        """Whether the last iteration of ``history`` is the last one allowed."""
        return len(history) > self.max_iter

    def sentence(self) -> str:
        """Return the rule in words."""
        return f"all {self.max_iter} iterations were done"


@dataclass(frozen=True)
class TimeLimit:
    """The time is used up; looked at between iterations, and never before the first is done.

    Parameters
    ----------
    seconds : float
        Limit of the whole run.
    before_s : float
        Seconds spent before iteration 0 (loading, gating, coils).
    """

    seconds: float
    before_s: float = 0.0
    name = "time_limit"
    reason = "time_limit"

    def fires(self, history: History) -> bool:
        """Whether reconstruction and grading have used the time up."""
        if len(history) < 2:
            return False
        return self.before_s + history.last.recon_s + history.last.grading_s >= self.seconds

    def sentence(self) -> str:
        """Return the rule in words."""
        return f"the time limit of {self.seconds:g} s was reached"


@dataclass(frozen=True)
class NotFinite:
    """The cost is no longer a number: the reconstruction has broken down."""

    name = "nan"
    reason = "nan"

    def fires(self, history: History) -> bool:
        """Whether the last cost is nan or infinite."""
        return bool(history.steps) and not math.isfinite(history.last.cost)

    def sentence(self) -> str:
        """Return the rule in words."""
        return "the cost was no longer a finite number"


@dataclass(frozen=True)
class Stop:
    """Where a run stopped and why: the ``stop`` entry of ``run.json``.

    Attributes
    ----------
    iteration : int
    reason : str
        plateau, max_iter, time_limit, interrupted or nan.
    rule : str, optional
        Name of the rule that fired; None when a person or a signal stopped the run.
    """

    iteration: int
    reason: str
    rule: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return the object written to ``run.json``."""
        return {"iteration": self.iteration, "reason": self.reason, "rule": self.rule}


def first_to_fire(history: History, rules: Sequence[Rule]) -> Stop | None:
    """Return the stop by the first of ``rules`` that fires at the last iteration; None to go on."""
    for rule in rules:
        if rule.fires(history):
            return Stop(history.last.iteration, rule.reason, rule.name)
    return None


def plateau_rules(rule: GradePlateau) -> tuple[Rule, ...]:
    """Return ``rule`` in each scope, its own first, then the cost plateau: what a run is compared with."""
    others = [replace(rule, scope=scope) for scope in SCOPES if scope != rule.scope]
    return (rule, *others, CostPlateau(patience=rule.patience, min_iter=rule.min_iter))


def counterfactual(history: History, rules: Sequence[Rule]) -> dict[str, int | None]:
    """Return, by name, the iteration at which each rule would have stopped the run.

    None: it would not have stopped it within the iterations that were computed.
    """
    return {
        rule.name: next((k for k in range(len(history)) if rule.fires(history.upto(k))), None)
        for rule in rules
    }


# ---------------------------------------------------------------- which iteration is handed out


def returned_iteration(history: History, how: Return = "best") -> int:
    """Return the one iteration that is handed out for all phases.

    ``best``: the latest among 1..K whose mean grade is within its own noise floor of the best mean grade,
    its cost being finite and not above that of iteration 0. ``last``: the latest whose cost is so. Without
    grades ``best`` is ``last``. 0 if no iteration qualifies: the gridded image is then the best there is.

    An iteration that is chosen later was chosen when it was new, and the choice never goes back: who keeps a
    copy whenever ``returned_iteration(history) == history.last.iteration`` holds the right image at the end.

    Parameters
    ----------
    history : History
    how : {"best", "last"}
    """
    if how not in ("best", "last"):
        raise ConfigError(f"'{how}' does not name one iteration", field="return", hint="best or last")
    sound = [s for s in history.steps[1:] if s.cost <= history.steps[0].cost and math.isfinite(s.cost)]
    graded = [s for s in sound if math.isfinite(s.mean_grade)] if how == "best" else []
    if not graded:
        return sound[-1].iteration if sound else 0
    best = max(step.mean_grade for step in graded)
    return max(step.iteration for step in graded if step.mean_grade >= best - step.grade_noise)


def returned_iterations(history: History, how: Return = "best") -> tuple[int, ...]:
    """Return the iteration handed out for each phase; one and the same unless ``how`` is best-per-phase.

    Parameters
    ----------
    history : History
    how : {"best", "last", "best-per-phase"}
        ``best-per-phase`` chooses for every phase by its own grade. The phases are then from different
        iterates of a coupled problem, and no ranking is made of them.
    """
    if how == "best-per-phase":
        return tuple(returned_iteration(history.of_phase(p)) for p in range(history.n_phases))
    return (returned_iteration(history, how),) * history.n_phases
