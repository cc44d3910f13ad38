"""Which phases look better than which: pairs with ties, never a strict order that was not earned.

Two phases whose grades differ by less than 0.25 cannot be told apart by a reader (Piccini 2020). That
relation is not transitive, so the result is the table of pairs, the set of phases indistinguishable from the
best, and ranks with ties.

References
----------
Piccini D, et al. Deep learning to automate reference-free image quality assessment of whole-heart MR
images. Radiology: Artificial Intelligence 2020;2(3):e190123, Table 1 and "Quality evolution".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from csiq.errors import RawDataError
from csiq.history import THRESHOLD, GradeLike

SCHEMA_VERSION = 1

#: Table 1 of the paper.
SCALE = (
    "nondiagnostic",
    "marked blurring, limited diagnostic value",
    "moderate blurring, but diagnostic value",
    "mild blurring, good diagnostic value",
    "excellent diagnostic value",
)

#: Columns of ``ranking.tsv``.
COLUMNS = ("phase", "grade", "grade_sd", "rank", "delta_to_best", "indistinguishable_from_best")


@dataclass(frozen=True)
class RankedPhase:
    """One phase among the others; None where its grade is not a number.

    Attributes
    ----------
    phase : int
        From 1 (end-expiration).
    grade, grade_sd : float or None
        As the network gave them, not clipped.
    rank : int or None
        1 + number of phases better by at least 0.25.
    delta_to_best : float or None
        Its grade minus the best one: 0 or negative.
    indistinguishable_from_best : bool
    """

    phase: int
    grade: float | None
    grade_sd: float | None
    rank: int | None
    delta_to_best: float | None
    indistinguishable_from_best: bool


@dataclass(frozen=True)
class Pair:
    """Two phases, a < b.

    Attributes
    ----------
    a, b : int
        Phases from 1.
    difference : float or None
        Grade of a minus grade of b.
    verdict : str or None
        "a", "b", or "equal" if and only if ``abs(difference) < 0.25``; None if a grade is missing.
    """

    a: int
    b: int
    difference: float | None
    verdict: str | None


@dataclass(frozen=True)
class Ranking:
    """The phases of one scan compared with each other.

    Attributes
    ----------
    phases : tuple of RankedPhase
        In the order of the phases.
    pairs : tuple of Pair
        All of them, (1, 2), (1, 3), ...
    best_phase : int or None
        Phase of the highest grade, the first of equals; None if nothing was graded.
    top_set : tuple of int
        The best phase and those indistinguishable from it.
    threshold : float
    """

    phases: tuple[RankedPhase, ...]
    pairs: tuple[Pair, ...]
    best_phase: int | None
    top_set: tuple[int, ...]
    threshold: float = THRESHOLD

    def as_json(self) -> dict[str, object]:
        """Return the content of ``ranking.json``."""
        return {
            "schema_version": SCHEMA_VERSION,
            "threshold": self.threshold,
            "best_phase": self.best_phase,
            "top_set": list(self.top_set),
            "phases": [asdict(phase) for phase in self.phases],
            "pairs": [asdict(pair) for pair in self.pairs],
        }

    def rows(self) -> list[dict[str, float]]:
        """Return the rows of ``ranking.tsv``, in the order of the phases; nan where there is no grade."""
        return [
            {
                name: math.nan if value is None else int(value) if isinstance(value, bool) else value
                for name, value in asdict(phase).items()
            }
            for phase in self.phases
        ]

    @property
    def by_rank(self) -> tuple[RankedPhase, ...]:
        """The phases by falling grade, ungraded ones last."""
        return tuple(
            sorted(self.phases, key=lambda p: -math.inf if p.grade is None else p.grade, reverse=True)
        )

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Ranking:
        """Read ``ranking.json`` back.

        Raises
        ------
        RawDataError
            If a key is missing or unknown.
        """
        try:
            return cls(
                phases=tuple(RankedPhase(**phase) for phase in content["phases"]),
                pairs=tuple(Pair(**pair) for pair in content["pairs"]),
                best_phase=content["best_phase"],
                top_set=tuple(content["top_set"]),
                threshold=content["threshold"],
            )
        except (KeyError, TypeError) as error:
            raise RawDataError(f"no ranking: {error}", file="ranking.json") from None


def rank(grades: Sequence[GradeLike]) -> Ranking:
    """Compare the phases of one scan by their grades.

    Parameters
    ----------
    grades : sequence, one entry a phase
        Objects with ``grade`` and ``grade_sd``. A grade that is not a number is not ranked.
    """
    return rank_numbers([g.grade for g in grades], [g.grade_sd for g in grades])


def rank_numbers(grades: Sequence[float], grade_sds: Sequence[float]) -> Ranking:
    """Compare phases by plain numbers, such as those of a step of a history; see :func:`rank`."""
    known = [g for g in grades if math.isfinite(g)]
    best = max(known, default=math.nan)
    phases = tuple(
        _ranked(number, grade, sd, known, best)
        for number, (grade, sd) in enumerate(zip(grades, grade_sds, strict=True), start=1)
    )
    return Ranking(
        phases=phases,
        pairs=tuple(_pair(a, b) for a, b in combinations(phases, 2)),
        best_phase=next((p.phase for p in phases if p.delta_to_best == 0), None),
        top_set=tuple(p.phase for p in phases if p.indistinguishable_from_best),
    )


def _ranked(number: int, grade: float, sd: float, known: list[float], best: float) -> RankedPhase:
    spread = float(sd) if math.isfinite(sd) else None
    if not math.isfinite(grade):
        return RankedPhase(number, None, spread, None, None, False)
    return RankedPhase(
        phase=number,
        grade=float(grade),
        grade_sd=spread,
        rank=1 + sum(other - grade >= THRESHOLD for other in known),
        delta_to_best=float(grade - best),
        indistinguishable_from_best=bool(best - grade < THRESHOLD),
    )


def _pair(a: RankedPhase, b: RankedPhase) -> Pair:
    if a.grade is None or b.grade is None:
        return Pair(a.phase, b.phase, None, None)
    difference = a.grade - b.grade
    verdict = "equal" if abs(difference) < THRESHOLD else "a" if difference > 0 else "b"
    return Pair(a.phase, b.phase, difference, verdict)


def words_of(grade: float | None) -> str:
    """Return the words of the paper's Table 1 for a grade.

    The grade is rounded to the nearest half (half to even) and clipped to 0-4, as for the paper's kappa;
    readers gave a half grade when in doubt between two, and so do the words.

    Parameters
    ----------
    grade : float or None
    """
    if grade is None or not math.isfinite(grade):
        return "not graded"
    halves = min(max(round(2 * grade), 0), 8)
    lower, in_doubt = divmod(halves, 2)
    return f"between '{SCALE[lower]}' and '{SCALE[lower + 1]}'" if in_doubt else SCALE[lower]
