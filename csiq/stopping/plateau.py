"""Plateaus of the grade: its steps have become small, against itself, against its scale, or smoothed.

The plateau of the paper ("grade difference < 2 %", 6 +- 2 of 20 iterations) names no denominator, and read
literally it fires at iteration 1 of 0.30 -> 0.305 -> ... -> 1.70. Hence the floor, the patience, the minimum
and the arming of :class:`GradePlateau`.

References
----------
Piccini D, et al. Deep learning to automate reference-free image quality assessment of whole-heart MR
images. Radiology: Artificial Intelligence 2020;2(3):e190123.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Literal

from csiq.errors import ConfigError, nearest
from csiq.stopping.grade_rule import GradeRule, Scope, Track
from csiq.stopping.rule import check_at_least, check_count

#: Width of the scale of grades: 0 (nondiagnostic) to 4 (excellent).
SCALE = 4.0
_MEANS = ("exponential", "median")


@dataclass(frozen=True)
class GradePlateau(GradeRule):
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
    key = "grade_plateau"

    def __post_init__(self) -> None:
        self._check()
        check_at_least("tol", self.tol, 0)
        check_at_least("floor", self.floor, 0)
        check_count("patience", self.patience)

    @property
    def earliest(self) -> int:
        """First iteration that can end ``patience`` steps."""
        return self.patience

    def stands_still(self, track: Track) -> bool:
        """Whether a track ends on small steps."""
        return _ends_on_small_steps(track.grades, self.patience, self.tol, self.floor)

    def sentence(self) -> str:
        """Return the rule in words."""
        return (
            f"the {self._whose()} changed by less than {self.tol:.3g} x max(grade, {self.floor:g}) "
            f"in {self.patience} consecutive iterations"
        )


@dataclass(frozen=True)
class ScalePlateau(GradeRule):
    """The grade no longer changes by what matters on its scale.

    As :class:`GradePlateau`, a step being small when ``|g_k - g_(k-1)| < tol * 4``: what a reader can tell
    apart is the same everywhere on the scale, 0 to 4, and so is the tolerance.

    Parameters
    ----------
    tol : float
        Fraction of the whole scale.
    patience, min_iter, scope
        As of :class:`GradePlateau`.
    """

    tol: float = 0.01
    patience: int = 2
    min_iter: int = 3
    scope: Scope = "mean"
    key = "grade_scale_plateau"

    def __post_init__(self) -> None:
        self._check()
        check_at_least("tol", self.tol, 0)
        check_count("patience", self.patience)

    @property
    def earliest(self) -> int:
        """First iteration that can end ``patience`` steps."""
        return self.patience

    def stands_still(self, track: Track) -> bool:
        """Whether a track ends on small steps."""
        tail = track.grades[-self.patience - 1 :]
        return all(abs(new - old) < self.tol * SCALE for old, new in pairwise(tail))

    def sentence(self) -> str:
        """Return the rule in words."""
        return (
            f"the {self._whose()} changed by less than {self.tol * SCALE:.3g} "
            f"in {self.patience} consecutive iterations"
        )


@dataclass(frozen=True)
class SmoothedPlateau(GradeRule):
    """The smoothed grade no longer changes.

    As :class:`GradePlateau` on smoothed grades, so that one odd iterate neither ends a plateau nor makes
    one.

    Parameters
    ----------
    how : {"exponential", "median"}
        ``exponential``: ``s_k = s_(k-1) + 2 / (span + 1) * (g_k - s_(k-1))``, ``s_0 = g_0``. ``median``: of
        the last ``span`` grades, of those there are at the start.
    span : int
        Grades that count; 1 is no smoothing.
    tol, floor, patience, min_iter, scope
        As of :class:`GradePlateau`.
    """

    how: Literal["exponential", "median"] = "exponential"
    span: int = 3
    tol: float = 0.02
    floor: float = 1.0
    patience: int = 2
    min_iter: int = 3
    scope: Scope = "mean"
    key = "grade_smoothed"

    def __post_init__(self) -> None:
        self._check()
        if self.how not in _MEANS:
            raise ConfigError(f"'{self.how}' is no smoothing", field="how", hint=nearest(self.how, _MEANS))
        check_count("span", self.span)
        check_at_least("tol", self.tol, 0)
        check_at_least("floor", self.floor, 0)
        check_count("patience", self.patience)

    @property
    def name(self) -> str:
        """Key of the rule; the two ways to smooth make two rules."""
        return f"{self.key}{'_median' if self.how == 'median' else ''}_{self.scope}"

    @property
    def earliest(self) -> int:
        """First iteration that can end ``patience`` steps."""
        return self.patience

    def stands_still(self, track: Track) -> bool:
        """Whether a smoothed track ends on small steps."""
        return _ends_on_small_steps(track.grades, self.patience, self.tol, self.floor)

    def looked_at(self, track: Track) -> Track:
        """Return the track with its grades smoothed."""
        return replace(track, grades=tuple(smoothed(track.grades, self.how, self.span)))

    def sentence(self) -> str:
        """Return the rule in words."""
        kind = "running median" if self.how == "median" else "exponential mean"
        return (
            f"the {self._whose()}, smoothed ({kind}, span {self.span}), changed by less than "
            f"{self.tol:.3g} x max(grade, {self.floor:g}) in {self.patience} consecutive iterations"
        )


def smoothed(grades: Sequence[float], how: str, span: int) -> list[float]:
    """Return grades smoothed along the iterations, each by itself and those before it.

    Parameters
    ----------
    grades : sequence of float
    how : {"exponential", "median"}
    span : int
    """
    if how == "median":
        return [median(grades[max(0, k + 1 - span) : k + 1]) for k in range(len(grades))]
    found = [grades[0]] if grades else []
    for grade in grades[1:]:
        found.append(found[-1] + 2 / (span + 1) * (grade - found[-1]))
    return found


def _ends_on_small_steps(grades: Sequence[float], patience: int, tol: float, floor: float) -> bool:
    tail = grades[-patience - 1 :]
    return all(abs(new - old) < tol * max(old, floor) for old, new in pairwise(tail))
