"""What else a study finds of readers and network, as estimates: counts, errors by grade, consensus, ends."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from csiq.agreement import (
    HALVES,
    EndErrors,
    agreement_counts,
    consensus_error,
    errors_at_ends,
    variability_per_grade,
)
from csiq.agreement.columns import mean, ratio
from csiq.evaluation.estimating import Estimate, Rater, estimate, several

#: Of an error against the consensus, and of errors at the ends of the scale.
CONSENSUS = ("bias", "sd", "mae", "rmse", "spearman", "pearson")
ENDS = ("low", "high", "slope")
Patients = Sequence[Hashable] | None


def count_estimates(
    row: Rater, column: Rater, *, truth: np.ndarray | None = None, patients: Patients = None
) -> list[Estimate]:
    """Return how often two raters gave each pair of grades: 81 estimates, row by row.

    Parameters
    ----------
    row, column : Rater
    truth : float64 array, (n,), optional
        Noise-free reference, if the column is a network: for the ceilings.
    patients : sequence, (n,), optional
        Whose image it is.
    """
    shape = (len(HALVES), len(HALVES))
    return several(agreement_counts, row, column, shape=shape, truth=truth, patients=patients)


def near_estimate(
    row: Rater, column: Rater, *, truth: np.ndarray | None = None, patients: Patients = None
) -> Estimate:
    """Return the share of images that two raters gave the same grade or neighbours on the scale."""
    return estimate(_near, row, column, truth=truth, patients=patients)


def _near(row: np.ndarray, column: np.ndarray) -> np.ndarray:
    counts = agreement_counts(row, column)
    near = sum(np.trace(counts, offset, axis1=-2, axis2=-1) for offset in (-1, 0, 1))
    return ratio(near, counts.sum(axis=(-2, -1)))


def variability_estimates(
    main: Rater, other: Rater, *, truth: np.ndarray | None = None, patients: Patients = None
) -> list[Estimate]:
    """Return the mean absolute difference of a rater from the main reader for each half grade of the latter.

    Parameters
    ----------
    main, other : Rater
    truth, patients
        As for :func:`count_estimates`.
    """

    def of(main: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return the means, (..., 9)."""
        return variability_per_grade(other, main).mean

    return several(of, main, other, shape=(len(HALVES),), truth=truth, patients=patients)


def consensus_estimates(
    main: Rater,
    second: Rater,
    grades: np.ndarray,
    *,
    truth: np.ndarray | None = None,
    patients: Patients = None,
) -> dict[str, Estimate]:
    """Return errors of grades (n,) against the consensus of two readers, by :data:`CONSENSUS`."""

    def of(main: np.ndarray, second: np.ndarray, grades: np.ndarray) -> np.ndarray:
        """Return the six numbers, (..., 6)."""
        found = consensus_error(grades, main, second)
        return np.stack([np.asarray(getattr(found, name)) for name in CONSENSUS], axis=-1)

    shape = (len(CONSENSUS),)
    found = several(of, main, second, grades, shape=shape, truth=truth, patients=patients)
    return dict(zip(CONSENSUS, found, strict=True))


def ends_estimates(
    main: Rater | np.ndarray,
    grades: np.ndarray,
    *,
    truth: np.ndarray | None = None,
    patients: Patients = None,
) -> dict[str, Estimate]:
    """Return errors of grades (n,) at the ends of the scale of a reader or reference, by :data:`ENDS`."""

    def of(main: np.ndarray, grades: np.ndarray) -> np.ndarray:
        """Return the three numbers, (..., 3)."""
        found = errors_at_ends(grades, main)
        return np.stack([np.asarray(getattr(found, name)) for name in ENDS], axis=-1)

    found = several(of, main, grades, shape=(len(ENDS),), truth=truth, patients=patients)
    return dict(zip(ENDS, found, strict=True))


def mean_ends(grades: np.ndarray, main: Rater) -> EndErrors | None:
    """Return errors at the ends of the scale as means over redraws of a reader, None without redraws."""
    if main.draws is None:
        return None
    found = errors_at_ends(grades, main.draws)
    return EndErrors(*(float(mean(np.asarray(value))) for value in vars(found).values()))
