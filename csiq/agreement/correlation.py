"""How two columns go together: Pearson, Spearman, and the straight line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from csiq.agreement.columns import Values, centred, mean, midranks, paired, plain, ratio, total


@dataclass(frozen=True)
class Line:
    """A least-squares line y = slope x + intercept; arrays where stacks of rows were fitted.

    Attributes
    ----------
    slope, intercept : float
        NaN if x does not vary.
    r2 : float
        Squared Pearson correlation; NaN if either does not vary.
    """

    slope: Values
    intercept: Values
    r2: Values


def linear_fit(x: ArrayLike, y: ArrayLike) -> Line:
    """Fit a straight line by least squares.

    Parameters
    ----------
    x, y : float array, (..., n_patients)
        For a network against its reference, x is the reference. NaN: missing.

    Raises
    ------
    ShapeError
        If they are not of the same patients.
    """
    one, other = paired(x, y)
    xx, yy, xy = _sums(one, other)
    slope = ratio(xy, xx)
    intercept = mean(other) - slope * mean(one)
    return Line(plain(slope), plain(intercept), plain(_correlation(xx, yy, xy) ** 2))


def pearson(a: ArrayLike, b: ArrayLike) -> Values:
    """Return Pearson's correlation of two columns (..., n_patients), NaN if either does not vary."""
    return plain(_correlation(*_sums(*paired(a, b))))


def pearson_r2(a: ArrayLike, b: ArrayLike) -> Values:
    """Return the squared Pearson correlation of two columns (..., n_patients), the paper's R2."""
    return plain(_correlation(*_sums(*paired(a, b))) ** 2)


def spearman(a: ArrayLike, b: ArrayLike) -> Values:
    """Return Spearman's rank correlation of two columns (..., n_patients); equal grades share a rank."""
    return pearson(*(midranks(x) for x in paired(a, b)))


def _sums(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    dx, dy = centred(x), centred(y)
    return total(dx * dx), total(dy * dy), total(dx * dy)


def _correlation(xx: np.ndarray, yy: np.ndarray, xy: np.ndarray) -> np.ndarray:
    return np.clip(ratio(xy, np.sqrt(xx) * np.sqrt(yy)), -1.0, 1.0)
