"""Reliability of any number of readers: Krippendorff's alpha, intraclass correlation.

References
----------
Krippendorff K. Computing Krippendorff's alpha-reliability. University of Pennsylvania, 2011.
McGraw KO, Wong SP. Forming inferences about some intraclass correlation coefficients. Psychol Methods
1996;1:30-46.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from csiq.agreement.columns import Values, centred, mean, midranks, paired, plain, ratio, total
from csiq.errors import ConfigError, ShapeError, nearest

#: Level of measurement: what differences between grades mean.
Level = Literal["nominal", "ordinal", "interval", "ratio"]
LEVELS: tuple[Level, ...] = get_args(Level)
#: The paper: readers agree from this alpha on.
RELIABLE = 0.8


def krippendorff_alpha(ratings: ArrayLike, level: Level = "interval") -> Values:
    """Return Krippendorff's alpha.

    Parameters
    ----------
    ratings : float array, (..., n_raters, n_units)
        NaN: missing. Units with fewer than two ratings are left out. Grades are taken as they are, not
        rounded.
    level : {"nominal", "ordinal", "interval", "ratio"}

    Returns
    -------
    float or float64 array, (...)
        1 for identical raters; NaN where undefined: all ratings equal, or no unit with two.

    Raises
    ------
    ShapeError
        If there are fewer than two axes, an infinite rating, or a negative one at ratio level.
    ConfigError
        If the level is not known.
    """
    if level not in LEVELS:
        raise ConfigError(f"level '{level}' is not known", hint=nearest(level, LEVELS))
    x = _ratings(ratings)
    together = (~np.isnan(x)).sum(axis=-2, keepdims=True) >= 2
    x = np.where(together, x, np.nan)
    if level in ("nominal", "ratio"):
        return plain(1 - _disagreement_by_values(x, level))
    if level == "ordinal":
        # the ordinal difference of two values is the difference of their mid-ranks
        x = midranks(x.reshape(*x.shape[:-2], -1)).reshape(x.shape)
    return plain(1 - _squared_disagreement(x))


def pair_alpha(a: ArrayLike, b: ArrayLike, level: Level = "interval") -> Values:
    """Return Krippendorff's alpha of two columns (..., n_patients); see :func:`krippendorff_alpha`."""
    return krippendorff_alpha(np.stack(paired(a, b), axis=-2), level)


def _ratings(ratings: ArrayLike) -> np.ndarray:
    x = np.asarray(ratings, np.float64)
    if x.ndim < 2:
        raise ShapeError(f"expected ratings (n_raters, n_units), got {x.shape}")
    if np.isinf(x).any():
        raise ShapeError("a rating is infinite")
    return x


def _squared_disagreement(x: np.ndarray) -> np.ndarray:
    """Return observed over expected disagreement for squared differences, in closed form."""
    by_unit = np.swapaxes(x, -1, -2)
    raters = (~np.isnan(by_unit)).sum(axis=-1)
    within = total(centred(by_unit) ** 2)
    # of m ratings, the mean square of all m (m - 1) differences is 2 / (m - 1) times the sum of squares
    share = np.where(raters >= 2, raters / np.maximum(raters - 1, 1), 0.0)
    n = raters.sum(axis=-1)
    everything = x.reshape(*x.shape[:-2], -1)
    expected = total(centred(everything) ** 2)
    return ratio((share * within).sum(axis=-1) * np.maximum(n - 1, 0), n * expected)


def _disagreement_by_values(x: np.ndarray, level: Level) -> np.ndarray:
    """Return observed over expected disagreement from the coincidences of values."""
    values = np.unique(x[~np.isnan(x)])
    if level == "ratio" and values.size and values[0] < 0:
        raise ShapeError("ratio level needs ratings of 0 and more")
    counts = (x[..., None] == values).sum(axis=-3).astype(np.float64)  # (..., n_units, n_values)
    others = np.maximum(counts.sum(axis=-1) - 1, 1)
    coincidences = np.swapaxes(counts / others[..., None], -1, -2) @ counts
    margin = counts.sum(axis=-2)
    difference = (values[:, None] != values).astype(np.float64)
    if level == "ratio":
        difference = np.nan_to_num(ratio(values[:, None] - values, values[:, None] + values)) ** 2
    # a rating does not coincide with itself, but there the difference is 0
    seen = (coincidences * difference).sum(axis=(-2, -1))
    expected = (margin[..., :, None] * margin[..., None, :] * difference).sum(axis=(-2, -1))
    return ratio(seen * (margin.sum(axis=-1) - 1), expected)


def intraclass_correlation(ratings: ArrayLike, *, agreement: bool = True) -> Values:
    """Return the intraclass correlation of single ratings: ICC(A,1), or ICC(C,1) for consistency.

    Two-way model with raters as a random (A) or fixed (C) effect; units with a missing rating are left out.

    Parameters
    ----------
    ratings : float array, (..., n_raters, n_units)
    agreement : bool
        Whether a rater's bias counts.

    Returns
    -------
    float or float64 array, (...)
        NaN where undefined.

    Raises
    ------
    ShapeError
        If there are fewer than two axes or raters, or a rating is infinite.
    """
    x = _ratings(ratings)
    k = x.shape[-2]
    if k < 2:
        raise ShapeError(f"expected two raters or more, got {k}")
    x = np.where(np.isnan(x).any(axis=-2, keepdims=True), np.nan, x)
    x = centred(x.reshape(*x.shape[:-2], -1)).reshape(x.shape)
    n = (~np.isnan(x[..., 0, :])).sum(axis=-1)
    units, raters = x.mean(axis=-2), mean(x)
    between_units = ratio(k * total(units**2), n - 1)
    between_raters = n * (raters**2).sum(axis=-1) / (k - 1)
    rest = x - units[..., None, :] - raters[..., :, None]
    error = ratio(total(rest**2).sum(axis=-1), (n - 1) * (k - 1))
    bias = ratio(k * (between_raters - error), n) if agreement else 0.0
    return plain(ratio(between_units - error, between_units + (k - 1) * error + bias))
