"""What the rules on grades share: whose grade, when it has left its start, and what a missing grade does."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from csiq.errors import ConfigError, nearest
from csiq.history import History, noise_floor
from csiq.stopping.cost import ARMING_COST, relative_fall
from csiq.stopping.rule import check_count

Scope = Literal["mean", "best", "all"]
SCOPES: tuple[Scope, ...] = ("mean", "best", "all")

#: A grade has left its start once it moved this far: two fifths of what readers can tell apart.
ARMING_GRADE = 0.10
_WHOSE = {"mean": "mean grade", "best": "best phase's grade", "all": "grade of every phase"}


@dataclass(frozen=True)
class Track:
    """One grade along the iterations.

    Attributes
    ----------
    grades : tuple of float
        From iteration 0 on.
    noise : tuple of float
        How far each may be off by the choice of patches (:func:`csiq.history.noise_floor`).
    """

    grades: tuple[float, ...]
    noise: tuple[float, ...]


def tracks(history: History, scope: Scope) -> list[Track]:
    """Return the grades a rule of this scope looks at.

    ``mean``: one track, the mean over phases. ``best``: one, the best phase at each iteration. ``all``: one a
    phase.
    """
    steps = history.steps
    if scope == "mean":
        return [Track(tuple(s.mean_grade for s in steps), tuple(s.grade_noise for s in steps))]
    if scope == "best":
        return [_best(history)]
    return [
        Track(tuple(s.grades[p] for s in steps), tuple(noise_floor(s.grade_sds[p : p + 1]) for s in steps))
        for p in range(history.n_phases)
    ]


def _best(history: History) -> Track:
    best = [max(range(len(s.grades)), key=s.grades.__getitem__) for s in history.steps]
    pairs = list(zip(history.steps, best, strict=True))
    return Track(
        tuple(s.grades[p] for s, p in pairs), tuple(noise_floor(s.grade_sds[p : p + 1]) for s, p in pairs)
    )


class GradeRule(ABC):
    """A rule on grades; a child says when one track stands still.

    It fires at an iteration ``k >= min_iter`` where every track of its scope stands still and is armed: the
    track has moved by at least 0.10 from its start, or the cost fell by less than 0.1 % in step k. A flat
    start (0.0, 0.0, 0.0, ...) with a falling cost is no plateau. A grade that is not a number switches the
    rule off for good: it never stops a run.
    """

    min_iter: int
    scope: Scope
    reason = "plateau"
    uses_grades = True
    #: Key in ``run.json`` without the scope.
    key: ClassVar[str]

    @property
    def name(self) -> str:
        """Key of the rule, with its scope."""
        return f"{self.key}_{self.scope}"

    @property
    @abstractmethod
    def earliest(self) -> int:
        """First iteration at which there are grades enough."""

    @abstractmethod
    def stands_still(self, track: Track) -> bool:
        """Whether a track stands still at its end."""

    def looked_at(self, track: Track) -> Track:
        """Return the track that the rule looks at: arming and standing still are of the same curve."""
        return track

    def fires(self, history: History) -> bool:
        """Whether the rule fires at the last iteration of ``history``."""
        k = len(history) - 1
        if k < max(self.min_iter, self.earliest) or self.why_off(history):
            return False
        cost_stands = relative_fall(history, k) < ARMING_COST
        return all(
            (cost_stands or _has_left_start(track.grades)) and self.stands_still(track)
            for track in map(self.looked_at, tracks(history, self.scope))
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

    def _check(self) -> None:
        """Refuse a scope or a first iteration that cannot be."""
        if self.scope not in SCOPES:
            raise ConfigError(f"'{self.scope}' is no scope", field="scope", hint=nearest(self.scope, SCOPES))
        check_count("min_iter", self.min_iter)

    def _whose(self) -> str:
        return _WHOSE[self.scope]


def _has_left_start(grades: tuple[float, ...]) -> bool:
    return any(abs(grade - grades[0]) >= ARMING_GRADE for grade in grades)
