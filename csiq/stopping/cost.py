"""Rules on the cost: it no longer falls, or has come near where it will end."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from csiq.errors import ConfigError
from csiq.history import History
from csiq.stopping.rule import check_at_least, check_count

#: The cost has stopped falling once a step lowers it by less than this fraction.
ARMING_COST = 1e-3


def relative_fall(history: History, k: int) -> float:
    """Return the fraction by which step k lowered the cost; nan (never small) where a cost is not finite."""
    before, after = history.steps[k - 1].cost, history.steps[k].cost
    if not (math.isfinite(before) and math.isfinite(after)):
        return math.nan
    return (before - after) / before if before > 0 else 0.0


@dataclass(frozen=True)
class CostPlateau:
    """The cost no longer falls: less than ``tol`` of itself in ``patience`` consecutive steps.

    Parameters
    ----------
    tol : float
    patience : int
    min_iter : int
        First iteration at which it may fire.
    """

    tol: float = ARMING_COST
    patience: int = 2
    min_iter: int = 3
    name = "cost_plateau"
    reason = "plateau"

    def __post_init__(self) -> None:
        check_at_least("tol", self.tol, 0)
        check_count("patience", self.patience)
        check_count("min_iter", self.min_iter)

    def fires(self, history: History) -> bool:
        """Whether the cost stands still at the last iteration of ``history``."""
        k = len(history) - 1
        if k < max(self.min_iter, self.patience):
            return False
        return all(relative_fall(history, j) < self.tol for j in range(k - self.patience + 1, k + 1))

    def sentence(self) -> str:
        """Return the rule in words."""
        return (
            f"the cost fell by less than {self.tol:.3g} of itself in {self.patience} consecutive iterations"
        )


@dataclass(frozen=True)
class CostGap:
    """The cost has come to within ``gap`` of its final value, of the way it had to go.

    ``cost_k - final <= gap * (cost_0 - final)``. Where the curve will end is known afterwards only: the rule
    needs the whole curve, is for studies, and cannot stop a run. :meth:`knowing` makes it decidable.

    Parameters
    ----------
    gap : float
        Share of the way, 0 to 1.
    final : float, optional
        The final cost; None until it is known.
    """

    gap: float = 1e-2
    final: float | None = None
    name = "cost_gap"
    reason = "plateau"

    def __post_init__(self) -> None:
        check_at_least("gap", self.gap, 0)

    @property
    def hindsight(self) -> bool:
        """Whether the final cost is still to be told."""
        return self.final is None

    def knowing(self, whole: History) -> CostGap:
        """Return the rule that knows how the curve ended."""
        return replace(self, final=whole.last.cost if len(whole) else math.nan)

    def fires(self, history: History) -> bool:
        """Whether the cost at the last iteration of ``history`` is near the final one.

        Raises
        ------
        ConfigError
            If the final cost was not told.
        """
        if self.final is None:
            raise ConfigError("needs the whole curve: it cannot stop a run", field=self.name)
        if not history.steps:
            return False
        return history.last.cost - self.final <= self.gap * (history.steps[0].cost - self.final)

    def sentence(self) -> str:
        """Return the rule in words."""
        return f"the cost had come to within {self.gap:.3g} of its way to the final value (known afterwards)"
