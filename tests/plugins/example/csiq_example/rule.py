"""A rule on two iterations."""

from __future__ import annotations

from dataclasses import dataclass

from csiq.history import History


@dataclass(frozen=True)
class LittleChange:
    """The mean grade changed by less than ``most`` in one iteration, from ``first`` on."""

    most: float = 0.1
    first: int = 2
    name = "little_change"
    reason = "plateau"
    uses_grades = True

    def fires(self, history: History) -> bool:
        """Whether the last step is small enough."""
        if len(history) <= self.first:
            return False
        before, now = (step.mean_grade for step in history.steps[-2:])
        return abs(now - before) < self.most

    def sentence(self) -> str:
        """Return the rule in words."""
        return f"the mean grade changed by less than {self.most:g}"
