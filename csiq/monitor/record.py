"""What a monitor writes down of each iterate, and what the rules are shown of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from csiq.history import CostLike, GradeLike, History, Step
from csiq.monitor.apps import parts
from csiq.stopping import returned_iteration


class Cost(NamedTuple):
    """A cost and its two parts; nan for what is not known."""

    total: float
    data: float
    penalty: float


@dataclass
class Record:
    """The history of a reconstruction of which not everything is known.

    A grade may be missing because nobody asked for it (every n-th iterate is graded, the start was empty), or
    because there was none to be had (the grader failed). The history holds nan for both. The rules are shown
    a history in which the former are filled in, so that their steps, patience and limits go on meaning
    iterations; the latter stay nan, and a nan grade never stops a run.

    Attributes
    ----------
    history : History
        As it is written down: one step an iteration, nan for what is not known.
    """

    history: History = field(default_factory=History)
    _asked: list[int] = field(default_factory=list)
    _without_cost: set[int] = field(default_factory=set)

    def add(
        self,
        cost: float | CostLike | None,
        grades: Sequence[GradeLike | None] | None,
        n_phases: int,
        seconds: tuple[float, float],
    ) -> Step:
        """Append the next iteration.

        Parameters
        ----------
        cost : float, object with ``total``, ``data`` and ``penalty``, or None
            None: not known.
        grades : sequence of grades, or None
            None: not asked for; an entry that is None: there was none to be had.
        n_phases : int
        seconds : (float, float)
            Of reconstruction and of grading since the start.
        """
        iteration = len(self.history)
        if cost is None:
            self._without_cost.add(iteration)
        if grades is not None:
            self._asked.append(iteration)
        entries = (None,) * n_phases if grades is None else grades
        return self.history.add(iteration, Cost(*parts(cost)), entries, *seconds)

    @property
    def cost_is_known(self) -> bool:
        """Whether somebody said what the last iterate costs; it may not be finite."""
        return len(self.history) - 1 not in self._without_cost

    def for_rules(self) -> History:
        """Return the history with the grades that nobody asked for filled in, up to the last one given.

        Between two iterates that were graded they are taken on the straight line, so that a step is the mean
        change of an iteration; before the first they are the first one's.
        """
        steps = self.history.steps
        if not self._asked or len(self._asked) == len(steps):
            return self.history
        last = self._asked[-1]
        known = [steps[k] for k in self._asked]
        grades = self._between([step.grades for step in known], last)
        spreads = self._between([step.grade_sds for step in known], last)
        filled = [
            replace(steps[k], grades=tuple(map(float, grades[k])), grade_sds=tuple(map(float, spreads[k])))
            for k in range(last + 1)
        ]
        return History([*filled, *steps[last + 1 :]])

    def _between(self, known: list[tuple[float, ...]], last: int) -> np.ndarray:
        columns = np.asarray(known, dtype=float).T
        return np.stack([np.interp(np.arange(last + 1), self._asked, c) for c in columns], axis=-1)

    def chosen(self) -> int:
        """Return the iteration to hand out so far, as :func:`csiq.stopping.returned_iteration` chooses it.

        A cost that nobody stated speaks against no iterate; one that is not finite does.
        """
        steps = self.history.steps
        if self._without_cost:
            steps = [replace(s, cost=0.0) if s.iteration in self._without_cost else s for s in steps]
            # where the start has no cost, none can be above it
            steps[0] = replace(steps[0], cost=math.inf) if 0 in self._without_cost else steps[0]
        return returned_iteration(History(steps), "best")

    @property
    def has_gaps(self) -> bool:
        """Whether the rules see grades on a straight line between two that were given."""
        return bool(self._asked) and self._asked[-1] - self._asked[0] >= len(self._asked)
