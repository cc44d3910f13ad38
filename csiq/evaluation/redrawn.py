"""What a study finds in the mean when its simulated readers read the images again and again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from csiq.agreement import EndErrors, agreement_counts, consensus_error, errors_at_ends, variability_per_grade
from csiq.evaluation.merits import Rater

_CONSENSUS = ("bias", "sd", "mae", "rmse", "spearman", "pearson")


def mean_counts(row: Rater, column: Rater) -> np.ndarray | None:
    """Return the mean over redraws of the agreement counts, float (9, 9); None where nobody is redrawn."""
    both = _together(row, column)
    return None if both is None else np.asarray(agreement_counts(*both).mean(axis=0))


def mean_variability(rater: Rater, main: Rater) -> np.ndarray | None:
    """Return the mean over redraws of the absolute differences by grade of ``main``, float (9,), or None."""
    both = _together(rater, main)
    return None if both is None else _mean(variability_per_grade(*both).mean)


def mean_consensus(grades: np.ndarray, main: Rater, second: Rater) -> dict[str, float] | None:
    """Return errors against the consensus of two readers as means over their redraws, None without redraws.

    Parameters
    ----------
    grades : float64 array, (n,)
        Of a network, or the noise-free reference for a ceiling.
    main, second : Rater
    """
    if main.draws is None or second.draws is None:
        return None
    found = consensus_error(np.broadcast_to(grades, main.draws.shape), main.draws, second.draws)
    return {name: float(_mean(np.asarray(getattr(found, name)))) for name in _CONSENSUS}


def mean_ends(grades: np.ndarray, main: Rater) -> EndErrors | None:
    """Return errors at the ends of the scale as means over redraws of a reader, None without redraws."""
    if main.draws is None:
        return None
    found = errors_at_ends(np.broadcast_to(grades, main.draws.shape), main.draws)
    return EndErrors(*(float(_mean(np.asarray(value))) for value in vars(found).values()))


def _together(row: Rater, column: Rater) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the grades of two raters on every day, float (n_draws, n)."""
    if row.draws is None and column.draws is None:
        return None
    one, other = (rater.grades if rater.draws is None else rater.draws for rater in (row, column))
    found: Any = np.broadcast_arrays(one, other)
    return found[0], found[1]


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the first axis of what is defined, NaN of nothing."""
    known = np.isfinite(values)
    n = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.where(n > 0, total / np.maximum(n, 1), math.nan)
