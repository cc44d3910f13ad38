"""The breathing phases of one scan compared: what ``ranking.json`` and ``ranking.tsv`` hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from csiq.errors import RawDataError
from csiq.history import THRESHOLD, GradeLike
from csiq.ranking.comparison import Comparison, Pair, Ranked, compare
from csiq.ranking.preferences import Preferences

SCHEMA_VERSION = 1

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


class _Numbers(NamedTuple):
    """A grade as plain numbers."""

    grade: float
    grade_sd: float
    uncertainty: float | None
    in_domain: bool | None


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
    preferences : Preferences or None
        What a reader would say of each pair; None in files of earlier versions.
    """

    phases: tuple[RankedPhase, ...]
    pairs: tuple[Pair[int], ...]
    best_phase: int | None
    top_set: tuple[int, ...]
    threshold: float = THRESHOLD
    preferences: Preferences[int] | None = None

    def as_json(self) -> dict[str, object]:
        """Return the content of ``ranking.json``."""
        content: dict[str, object] = {
            "schema_version": SCHEMA_VERSION,
            "threshold": self.threshold,
            "best_phase": self.best_phase,
            "top_set": list(self.top_set),
            "phases": [asdict(phase) for phase in self.phases],
            "pairs": [asdict(pair) for pair in self.pairs],
        }
        if self.preferences is not None:
            content["preference"] = self.preferences.as_json()
        return content

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
    def of(cls, comparison: Comparison[int]) -> Ranking:
        """Return a comparison of phases, labelled by their numbers, as a ranking."""
        return cls(
            phases=tuple(RankedPhase(*_values(image)) for image in comparison.images),
            pairs=comparison.pairs,
            best_phase=comparison.best,
            top_set=comparison.top_set,
            preferences=comparison.preferences,
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
            preference = content.get("preference")
            return cls(
                phases=tuple(RankedPhase(**phase) for phase in content["phases"]),
                pairs=tuple(Pair(**pair) for pair in content["pairs"]),
                best_phase=content["best_phase"],
                top_set=tuple(content["top_set"]),
                threshold=content["threshold"],
                preferences=Preferences.from_json(preference) if preference is not None else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RawDataError(f"no ranking: {error}", file="ranking.json") from None


def _values(image: Ranked[int]) -> tuple[Any, ...]:
    return tuple(vars(image).values())


def rank(grades: Sequence[GradeLike]) -> Ranking:
    """Compare the phases of one scan by their grades.

    Parameters
    ----------
    grades : sequence, one entry a phase
        Objects with ``grade`` and ``grade_sd``; see :func:`csiq.ranking.compare`. A grade that is not a
        number is not ranked.
    """
    return Ranking.of(compare(range(1, len(grades) + 1), grades))


def rank_numbers(
    grades: Sequence[float],
    grade_sds: Sequence[float],
    uncertainties: Sequence[float | None] | None = None,
    in_domain: Sequence[bool | None] | None = None,
) -> Ranking:
    """Compare phases by plain numbers, such as those of a step of a history; see :func:`rank`.

    Parameters
    ----------
    grades, grade_sds : sequence of float
    uncertainties : sequence, optional
        Calibrated errors of the grades, ``Grade.uncertainty``; None where there is none.
    in_domain : sequence, optional
        Whether each image lies within the training domain; None where that is not known.
    """
    n = len(grades)
    columns = (grades, grade_sds, uncertainties or [None] * n, in_domain or [None] * n)
    return rank([_Numbers(*row) for row in zip(*columns, strict=True)])
