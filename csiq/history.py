"""The record of a reconstruction: cost, grades and seconds of every iteration, as plain numbers.

What ``curves.tsv`` and a checkpoint hold. The rules that look at it are in :mod:`csiq.stopping`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from csiq.errors import RawDataError, ShapeError

#: Columns of ``curves.tsv``.
COLUMNS = (
    "iteration",
    "phase",
    "grade",
    "grade_sd",
    "cost",
    "cost_data",
    "cost_penalty",
    "recon_s",
    "grading_s",
)

#: Patches that share no slice: 3 orientations x 6 slice positions. The 36 patches of one slice overlap
#: by 50 to 90 % and say nearly the same, so they count as one.
INDEPENDENT_PATCHES = 18
#: Two phases (or iterates) closer than this look alike to a reader (Piccini 2020).
THRESHOLD = 0.25


class CostLike(Protocol):
    """The cost of an iterate, split in two."""

    @property
    def data(self) -> float:
        """Weighted squared distance to the measured data."""

    @property
    def penalty(self) -> float:
        """Weighted penalty."""

    @property
    def total(self) -> float:
        """Their sum: what the solver minimises."""


class GradeLike(Protocol):
    """The grade of one volume."""

    @property
    def grade(self) -> float:
        """Mean over patches, nominally 0 to 4."""

    @property
    def grade_sd(self) -> float:
        """Standard deviation over patches."""


@dataclass(frozen=True)
class Step:
    """One iteration: plain numbers, one entry of ``grades`` and ``grade_sds`` a phase (nan: not graded)."""

    iteration: int
    cost: float
    cost_data: float
    cost_penalty: float
    grades: tuple[float, ...]
    grade_sds: tuple[float, ...]
    recon_s: float = 0.0
    grading_s: float = 0.0

    @property
    def mean_grade(self) -> float:
        """Mean over the phases; nan if any phase has no grade."""
        return mean(self.grades)

    @property
    def grade_noise(self) -> float:
        """How far the mean grade may be off by the choice of patches; see :func:`noise_floor`."""
        return noise_floor(self.grade_sds)


def noise_floor(grade_sds: Sequence[float]) -> float:
    """Return the uncertainty of a mean grade that comes from the spread over patches.

    It is the standard error of the mean over patches, counting only patches that share no slice
    (:data:`INDEPENDENT_PATCHES`). The phases show one anatomy, so their errors go together and averaging
    over phases does not make it smaller. It never exceeds what a reader could see (:data:`THRESHOLD`),
    and is 0 where the spread is unknown.

    Parameters
    ----------
    grade_sds : sequence of float
        Standard deviation over patches, one a phase.
    """
    known = [sd for sd in grade_sds if math.isfinite(sd)]
    return min(mean(known) / math.sqrt(INDEPENDENT_PATCHES), THRESHOLD) if known else 0.0


def mean(values: Sequence[float]) -> float:
    """Return the mean; nan if any value is none, or if there is none."""
    return math.fsum(values) / len(values) if values and all(map(math.isfinite, values)) else math.nan


@dataclass
class History:
    """Cost, grades and seconds of every iteration; grows by one a step and starts with iteration 0.

    Attributes
    ----------
    steps : list of Step
    """

    steps: list[Step] = field(default_factory=list)

    def add(
        self,
        iteration: int,
        cost: CostLike,
        grades: Sequence[GradeLike | None],
        recon_s: float = 0.0,
        grading_s: float = 0.0,
    ) -> Step:
        """Append an iteration and return it.

        Parameters
        ----------
        iteration : int
            0 for the gridded image, then one more each time.
        cost : object with ``data``, ``penalty``, ``total``
        grades : sequence, one entry a phase
            Objects with ``grade`` and ``grade_sd``; None for a phase that was not graded.
        recon_s, grading_s : float
            Seconds since the start, each on its own clock.
        """
        return self._append(
            Step(
                iteration=int(iteration),
                cost=float(cost.total),
                cost_data=float(cost.data),
                cost_penalty=float(cost.penalty),
                grades=tuple(math.nan if g is None else float(g.grade) for g in grades),
                grade_sds=tuple(math.nan if g is None else float(g.grade_sd) for g in grades),
                recon_s=float(recon_s),
                grading_s=float(grading_s),
            )
        )

    def _append(self, step: Step) -> Step:
        if step.iteration != len(self.steps):
            raise ShapeError(f"expected iteration {len(self.steps)}, got {step.iteration}", field="iteration")
        if self.steps and len(step.grades) != self.n_phases:
            raise ShapeError(f"expected {self.n_phases} phases, got {len(step.grades)}", field="grades")
        self.steps.append(step)
        return step

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def n_phases(self) -> int:
        """Number of breathing phases; 0 while the history is empty."""
        return len(self.steps[0].grades) if self.steps else 0

    @property
    def last(self) -> Step:
        """The latest iteration."""
        return self.steps[-1]

    @property
    def is_graded(self) -> bool:
        """Whether any phase of any iteration has a grade."""
        return any(math.isfinite(g) for step in self.steps for g in step.grades)

    def upto(self, iteration: int) -> History:
        """Return the history as it was right after ``iteration``."""
        return History(self.steps[: iteration + 1])

    def of_phase(self, index: int) -> History:
        """Return the history of one phase (counted from 0), with the joint cost."""
        return History(
            [
                replace(s, grades=s.grades[index : index + 1], grade_sds=s.grade_sds[index : index + 1])
                for s in self.steps
            ]
        )

    def rows(self) -> list[dict[str, float]]:
        """Return the rows of ``curves.tsv``: one an iteration and phase, phases from 1."""
        return [
            {
                "iteration": step.iteration,
                "phase": index + 1,
                "grade": step.grades[index],
                "grade_sd": step.grade_sds[index],
                "cost": step.cost,
                "cost_data": step.cost_data,
                "cost_penalty": step.cost_penalty,
                "recon_s": step.recon_s,
                "grading_s": step.grading_s,
            }
            for step in self.steps
            for index in range(len(step.grades))
        ]

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, float]]) -> History:
        """Build a history from the rows of ``curves.tsv`` or of a checkpoint.

        Raises
        ------
        RawDataError
            If a column is missing, or iterations and phases do not run without a gap.
        """
        history = cls()
        groups: dict[int, list[Mapping[str, float]]] = {}
        for number, row in enumerate(rows, start=1):
            if missing := [name for name in COLUMNS if name not in row]:
                raise RawDataError(f"row {number} lacks {', '.join(missing)}", field="curves")
            if odd := [name for name in COLUMNS if not isinstance(row[name], int | float)]:
                words = f"row {number}: {odd[0]} is no number: {str(row[odd[0]])[:20]!r}"
                raise RawDataError(words, field="curves")
            if not all(math.isfinite(row[name]) for name in ("iteration", "phase")):
                raise RawDataError(f"row {number} has no iteration or phase", field="curves")
            groups.setdefault(int(row["iteration"]), []).append(row)
        for iteration in sorted(groups):
            history._append(_step_of(iteration, groups[iteration]))
        return history


def _step_of(iteration: int, rows: list[Mapping[str, float]]) -> Step:
    rows = sorted(rows, key=lambda row: row["phase"])
    if [int(row["phase"]) for row in rows] != list(range(1, len(rows) + 1)):
        raise RawDataError(f"phases of iteration {iteration} do not run from 1 without a gap", field="curves")
    first = rows[0]
    return Step(
        iteration=iteration,
        cost=float(first["cost"]),
        cost_data=float(first["cost_data"]),
        cost_penalty=float(first["cost_penalty"]),
        grades=tuple(float(row["grade"]) for row in rows),
        grade_sds=tuple(float(row["grade_sd"]) for row in rows),
        recon_s=float(first["recon_s"]),
        grading_s=float(first["grading_s"]),
    )
