"""Columns of grades: pairs that are complete, and sums that leave missing grades out.

Every statistic of this package works along the last axis, the patients, and over all axes before it at
once: 200 redraws or 2000 resamples are one call. Two rows give a number, two stacks of rows an array.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from csiq.errors import ShapeError

#: A float for two rows, a float64 array for stacks of rows.
Values: TypeAlias = Any


def paired(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return two columns of equal shape, with NaN in both where either has none.

    Parameters
    ----------
    a, b : float array, (..., n_patients)
        NaN: missing. The axes in front are broadcast, the patients never.

    Returns
    -------
    float64 array, (..., n_patients)
        Twice.

    Raises
    ------
    ShapeError
        If they are not of the same patients, or something is infinite.
    """
    one, other = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if not (one.ndim and other.ndim and one.shape[-1] == other.shape[-1]):
        raise ShapeError(f"expected grades of the same patients, got {one.shape} and {other.shape}")
    if np.isinf(one).any() or np.isinf(other).any():
        raise ShapeError("a grade is infinite")
    try:
        one, other = np.broadcast_arrays(one, other)
    except ValueError:
        raise ShapeError(f"grades of {one.shape} and {other.shape} do not fit together") from None
    missing = np.isnan(one) | np.isnan(other)
    return np.where(missing, np.nan, one), np.where(missing, np.nan, other)


def count(x: np.ndarray) -> np.ndarray:
    """Return how many entries along the last axis are there."""
    return np.asarray((~np.isnan(x)).sum(axis=-1))


def total(x: np.ndarray) -> np.ndarray:
    """Return the sum along the last axis of what is there."""
    return np.asarray(np.where(np.isnan(x), 0.0, x).sum(axis=-1))


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> np.ndarray:
    """Return a quotient, NaN where its denominator is not above 0."""
    above, below = np.broadcast_arrays(np.asarray(numerator, np.float64), np.asarray(denominator, np.float64))
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def mean(x: np.ndarray) -> np.ndarray:
    """Return the mean along the last axis of what is there, NaN of nothing."""
    return ratio(total(x), count(x))


def centred(x: np.ndarray) -> np.ndarray:
    """Return a column less its mean: exactly 0 if it is constant, whatever rounding does."""
    least = np.min(np.where(np.isnan(x), np.inf, x), axis=-1, keepdims=True, initial=np.inf)
    shifted = x - np.where(np.isinf(least), 0.0, least)
    return np.asarray(shifted - mean(shifted)[..., None])


def midranks(x: np.ndarray) -> np.ndarray:
    """Return ranks from 1 along the last axis, equal entries sharing the mean of theirs; NaN stays."""
    n = x.shape[-1]
    order = np.argsort(x, axis=-1, kind="stable")
    ordered = np.take_along_axis(x, order, axis=-1)
    begins, ends = np.ones(x.shape, bool), np.ones(x.shape, bool)
    begins[..., 1:] = ends[..., :-1] = ordered[..., 1:] != ordered[..., :-1]
    place = np.arange(n)
    first = np.maximum.accumulate(np.where(begins, place, 0), axis=-1)
    last = np.minimum.accumulate(np.where(ends, place, n)[..., ::-1], axis=-1)[..., ::-1]
    ranks = np.empty(x.shape)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, axis=-1)
    return np.where(np.isnan(x), np.nan, ranks)


def plain(x: np.ndarray) -> Values:
    """Return a number for an array without axes, any other array as it is."""
    return x.item() if x.ndim == 0 else x
