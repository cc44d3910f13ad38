"""Rules on the trend of the grade over a window: its slope, and whether noise could hide one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Literal

from csiq.errors import ConfigError, nearest
from csiq.stopping.grade_rule import GradeRule, Scope, Track
from csiq.stopping.rule import check_at_least, check_count

_NOISES = ("scatter", "patches")


@dataclass(frozen=True)
class Line:
    """The least-squares line through grades, one an iteration.

    Attributes
    ----------
    slope : float
        Grade an iteration.
    residual : float
        SD of the grades about the line, with n - 2; nan for two grades.
    weights : tuple of float
        The slope is the sum of weight times grade.
    """

    slope: float
    residual: float
    weights: tuple[float, ...]

    @classmethod
    def through(cls, grades: Sequence[float]) -> Line:
        """Return the line through two grades or more."""
        n, middle = len(grades), (len(grades) - 1) / 2
        spread = n * (n * n - 1) / 12
        weights = tuple((j - middle) / spread for j in range(n))
        mean = math.fsum(grades) / n
        slope = math.fsum(w * (g - mean) for w, g in zip(weights, grades, strict=True))
        left = math.fsum((g - mean - slope * (j - middle)) ** 2 for j, g in enumerate(grades))
        return cls(slope, math.sqrt(left / (n - 2)) if n > 2 else math.nan, weights)


@dataclass(frozen=True)
class GradeSlope(GradeRule):
    """The grade has no slope left: ``|slope| < per_iteration``, of a line through the last ``window`` grades.

    Parameters
    ----------
    window : int
        Grades that the line goes through, the last among them.
    per_iteration : float
        Grade an iteration.
    min_iter, scope
        As of :class:`csiq.stopping.GradePlateau`.
    """

    window: int = 4
    per_iteration: float = 0.02
    min_iter: int = 3
    scope: Scope = "mean"
    key = "grade_slope"

    def __post_init__(self) -> None:
        self._check()
        check_count("window", self.window, 2)
        check_at_least("per_iteration", self.per_iteration, 0)

    @property
    def earliest(self) -> int:
        """First iteration that ends a whole window."""
        return self.window - 1

    def stands_still(self, track: Track) -> bool:
        """Whether the line through the end of a track is flat."""
        return abs(Line.through(track.grades[-self.window :]).slope) < self.per_iteration

    def sentence(self) -> str:
        """Return the rule in words."""
        return (
            f"the {self._whose()} changed by less than {self.per_iteration:.3g} an iteration, "
            f"by a line through the last {self.window}"
        )


@dataclass(frozen=True)
class ResolvedPlateau(GradeRule):
    """The grade is known not to change: even with its noise, its slope lies within the tolerance.

    A small step may be luck: noise can hide a change as well as make one. So this rule asks for evidence that
    the change is small (a test of equivalence by two one-sided tests), not for lack of evidence that it is
    large. For the last w grades, with some ``w >= window``,

        |slope| + q * se  <  tol * max(g_k, floor)

    se being the standard error of the slope of their line. A noisy curve needs more iterations; one whose
    noise never resolves the tolerance never stops.

    Parameters
    ----------
    tol : float
        Fraction of the grade, an iteration.
    floor : float
        Least grade that ``tol`` refers to.
    window : int
        Least number of grades.
    level : float
        Confidence of each of the two tests, 0.5 to 1.
    noise : {"scatter", "patches"}
        ``scatter``: se from the grades' scatter about the line, q the quantile of Student's t with w - 2
        degrees of freedom. That is what iterates do not share, curvature of the curve included. ``patches``:
        se from each grade's noise floor as if it were drawn anew at each iteration, q the normal quantile.
        Iterates are graded on the same patches and share most of that error, so this is the cautious bound.
    min_iter, scope
        As of :class:`csiq.stopping.GradePlateau`.

    References
    ----------
    Schuirmann DJ. A comparison of the two one-sided tests procedure and the power approach for assessing the
    equivalence of average bioavailability. J Pharmacokinet Biopharm 1987;15:657-680.
    """

    tol: float = 0.02
    floor: float = 1.0
    window: int = 4
    level: float = 0.95
    noise: Literal["scatter", "patches"] = "scatter"
    min_iter: int = 3
    scope: Scope = "mean"
    key = "grade_resolved"

    def __post_init__(self) -> None:
        self._check()
        check_at_least("tol", self.tol, 0)
        check_at_least("floor", self.floor, 0)
        check_count("window", self.window, 3)
        if not 0.5 <= self.level < 1:
            raise ConfigError(f"expected 0.5 to below 1, got {self.level}", field="level")
        if self.noise not in _NOISES:
            raise ConfigError(f"'{self.noise}' is no noise", field="noise", hint=nearest(self.noise, _NOISES))

    @property
    def name(self) -> str:
        """Key of the rule; the two kinds of noise make two rules."""
        return f"{self.key}{'_patches' if self.noise == 'patches' else ''}_{self.scope}"

    @property
    def earliest(self) -> int:
        """First iteration that ends a whole window."""
        return self.window - 1

    def stands_still(self, track: Track) -> bool:
        """Whether noise could hide no slope at the end of a track."""
        bound = self.tol * max(track.grades[-1], self.floor)
        return any(self._largest_slope(track, w) < bound for w in range(self.window, len(track.grades) + 1))

    def _largest_slope(self, track: Track, w: int) -> float:
        """Return the largest slope, up or down, that the last ``w`` grades leave possible."""
        line = Line.through(track.grades[-w:])
        if self.noise == "patches":
            noise = track.noise[-w:]
            error = math.sqrt(math.fsum((a * s) ** 2 for a, s in zip(line.weights, noise, strict=True)))
            return abs(line.slope) + NormalDist().inv_cdf(self.level) * error
        error = line.residual * math.sqrt(math.fsum(a * a for a in line.weights))
        return abs(line.slope) + _student(self.level, w - 2) * error

    def sentence(self) -> str:
        """Return the rule in words."""
        of = "their scatter" if self.noise == "scatter" else "the noise of patches"
        return (
            f"the {self._whose()} changes by less than {self.tol:.3g} x max(grade, {self.floor:g}) an "
            f"iteration with {100 * self.level:g} % confidence, by {self.window} or more grades and {of}"
        )


@lru_cache(maxsize=256)
def _student(level: float, degrees: int) -> float:
    """Return the quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, level))
