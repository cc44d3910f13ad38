"""Rules that look at neither grade nor fall of the cost: iterations, time, a breakdown."""

from __future__ import annotations

import math
from dataclasses import dataclass

from csiq.history import History
from csiq.stopping.rule import check_at_least, check_count


@dataclass(frozen=True)
class MaxIter:
    """The iterations asked for are done; iteration 0 is not counted."""

    max_iter: int = 20
    name = "max_iter"
    reason = "max_iter"

    def __post_init__(self) -> None:
        check_count("max_iter", self.max_iter)

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

    def __post_init__(self) -> None:
        check_at_least("seconds", self.seconds, 0, above=True)

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
