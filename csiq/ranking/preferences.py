"""What a reader would say of all pairs of labelled images: the entry ``preference`` of ``ranking.json``."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from csiq.ranking.preference import (
    CORRELATION,
    SIDE_BY_SIDE,
    TWO_SCANS,
    GradeError,
    difference_sd,
    preference,
)

L = TypeVar("L", bound=Hashable)


@dataclass(frozen=True)
class PairPreference(Generic[L]):
    """What a reader would say of a pair, with which probability; None where a grade's error is not known.

    Attributes
    ----------
    a, b : str or int
    p_a, p_equal, p_b : float or None
        That a reader prefers a, finds both equal, prefers b.
    difference_sd : float or None
        SD of the error of the difference of the grades, without the reader's noise.
    same_scan : bool
        Whether both are taken to come from one scan: their errors then go together.
    """

    a: L
    b: L
    p_a: float | None
    p_equal: float | None
    p_b: float | None
    difference_sd: float | None
    same_scan: bool = True


@dataclass(frozen=True)
class Preferences(Generic[L]):
    """What a reader would say of all pairs, and what that rests on; see :mod:`csiq.ranking.preference`.

    Attributes
    ----------
    errors : tuple of GradeError
        Of the grades, in their order.
    pairs : tuple of PairPreference
    """

    errors: tuple[GradeError, ...]
    pairs: tuple[PairPreference[L], ...]

    def as_json(self) -> dict[str, object]:
        """Return the entry ``preference`` of ``ranking.json``."""
        return {
            "threshold": SIDE_BY_SIDE.threshold,
            "reader_noise": SIDE_BY_SIDE.noise,
            "reader_noise_between_scans": TWO_SCANS.noise,
            "correlation_of_errors": CORRELATION,
            "uncertainty": [error.sd for error in self.errors],
            "uncertainty_from": [error.source for error in self.errors],
            "pairs": [asdict(pair) for pair in self.pairs],
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Preferences[L]:
        """Read the entry back."""
        both = zip(content["uncertainty"], content["uncertainty_from"], strict=True)
        return cls(
            tuple(GradeError(sd, source) for sd, source in both),
            tuple(PairPreference(**pair) for pair in content["pairs"]),
        )


def pair_preference(
    labels: tuple[L, L],
    difference: float | None,
    errors: tuple[GradeError, GradeError],
    *,
    same_scan: bool,
) -> PairPreference[L]:
    """Return what a reader would say of one pair.

    Parameters
    ----------
    labels : (a, b)
    difference : float or None
        Grade of a minus grade of b; None if one is missing.
    errors : (GradeError, GradeError)
    same_scan : bool
    """
    sd = difference_sd(*errors, same_scan=same_scan)
    if difference is None or sd is None:
        return PairPreference(*labels, None, None, None, None, same_scan)
    found = preference(difference, sd, SIDE_BY_SIDE if same_scan else TWO_SCANS)
    return PairPreference(*labels, found.a, found.equal, found.b, sd, same_scan)
