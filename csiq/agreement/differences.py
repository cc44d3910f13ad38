"""How far grades are apart: bias and limits, absolute and squared errors, by grade and at the ends.

References
----------
Bland JM, Altman DG. Lancet 1986;327:307-310.
Piccini D, et al. Radiology: Artificial Intelligence 2020;2:e190123, Eq. 1, Tables 2 and 4, Figure E3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from csiq.agreement.columns import Values, centred, count, mean, paired, plain, ratio, total
from csiq.agreement.correlation import linear_fit
from csiq.agreement.scale import HALVES, round_to_halves

#: SDs between the bias and a limit of agreement.
_Z = 1.96
#: The ends of the scale: grades up to the first, and from the second on.
ENDS = (0.5, 3.5)


@dataclass(frozen=True)
class BlandAltman:
    """Bias and limits of agreement of a - b; arrays where stacks of rows were compared.

    Attributes
    ----------
    n : int
        Complete pairs.
    bias, sd : float
        Mean and SD (n - 1) of the differences.
    lower, upper : float
        bias -+ 1.96 sd.
    """

    n: Values
    bias: Values
    sd: Values
    lower: Values
    upper: Values


def bland_altman(a: ArrayLike, b: ArrayLike) -> BlandAltman:
    """Compare two columns as in the paper's Table 2: row ``a`` minus column ``b``.

    Parameters
    ----------
    a, b : float array, (..., n_patients)
        NaN: missing.

    Returns
    -------
    BlandAltman
        NaN where undefined: no pair, for the SD a single one.

    Raises
    ------
    ShapeError
        If they are not of the same patients.
    """
    difference = _difference(a, b)
    bias = mean(difference)
    sd = np.sqrt(ratio(total(centred(difference) ** 2), count(difference) - 1))
    found = (count(difference), bias, sd, bias - _Z * sd, bias + _Z * sd)
    return BlandAltman(*(plain(value) for value in found))


def mae(a: ArrayLike, b: ArrayLike) -> Values:
    """Return the mean absolute difference of two columns (..., n_patients), NaN without a pair."""
    return plain(mean(np.abs(_difference(a, b))))


def rmse(a: ArrayLike, b: ArrayLike) -> Values:
    """Return the root mean square difference of two columns (..., n_patients), NaN without a pair."""
    return plain(np.sqrt(mean(_difference(a, b) ** 2)))


def anti_bias_l1(predicted: ArrayLike, grades: ArrayLike) -> Values:
    """Return the paper's anti-bias L1 (Eq. 1): the mean over grades of the mean error within each.

    Parameters
    ----------
    predicted, grades : float array, (..., n)
        Of patients or patches; NaN: missing. A grade between two halves, as the reference has, counts in
        the class of the nearer one; the error is that to the grade itself.

    Returns
    -------
    float or float64 array, (...)
        Over the grades that occur; NaN if none does.

    Raises
    ------
    ShapeError
        If they are not of the same patients.
    """
    one, other = paired(predicted, grades)
    lead, n_classes = one.shape[:-1], len(HALVES)
    n_rows = int(np.prod(lead))
    cells = (2 * round_to_halves(other)).reshape(n_rows, one.shape[-1]) + n_classes * np.arange(n_rows)[
        :, None
    ]
    there = ~np.isnan(cells)
    at, errors = cells[there].astype(np.int64), np.abs(one - other).reshape(cells.shape)[there]
    sums = np.bincount(at, weights=errors, minlength=n_classes * n_rows)
    counts = np.bincount(at, minlength=n_classes * n_rows)
    return plain(mean(ratio(sums, counts).reshape(*lead, n_classes)))


@dataclass(frozen=True)
class GradeVariability:
    """How far a reader is from the reference reader, for each grade of the latter (Figure E3d).

    Attributes
    ----------
    grade : float64 array, (9,)
        0, 0.5 ... 4, of the reference reader.
    n : int array, (..., 9)
        Pairs.
    mean, sd : float64 array, (..., 9)
        Of the absolute differences, the SD with n - 1; NaN where there are too few.
    bias : float64 array, (..., 9)
        Mean of reader minus reference.
    """

    grade: np.ndarray
    n: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    bias: np.ndarray


def variability_per_grade(readings: ArrayLike, reference: ArrayLike) -> GradeVariability:
    """Return the differences of a pair of readers for each grade of the reference reader.

    Parameters
    ----------
    readings, reference : float array, (..., n_patients)
        NaN: missing. The reference is put in classes of half grades.

    Raises
    ------
    ShapeError
        If they are not of the same patients.
    """
    one, other = paired(readings, reference)
    classes = round_to_halves(other)
    columns = [_of_class(one - other, classes == grade) for grade in HALVES]
    n, absolute, sd, bias = (np.stack(parts, axis=-1) for parts in zip(*columns, strict=True))
    return GradeVariability(HALVES, n, absolute, sd, bias)


def _of_class(difference: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, ...]:
    here = np.where(chosen, difference, np.nan)
    n = count(here)
    sd = np.sqrt(ratio(total(centred(np.abs(here)) ** 2), n - 1))
    return n, mean(np.abs(here)), sd, mean(here)


@dataclass(frozen=True)
class EndErrors:
    """Over- and underestimation at the ends of the scale.

    Attributes
    ----------
    n_low, n_high : int
        Pairs whose reference is 0.5 or less, 3.5 or more.
    low, high : float
        Mean of predicted minus reference there; NaN without a pair.
    slope : float
        Of predicted on reference: below 1 where the ends are drawn to the middle.
    """

    n_low: Values
    low: Values
    n_high: Values
    high: Values
    slope: Values


def errors_at_ends(predicted: ArrayLike, reference: ArrayLike) -> EndErrors:
    """Return the mean signed error at both ends of the scale.

    Grades of a noisy reference are extreme partly by chance, so that even a perfect network seems drawn to
    the middle; see :func:`csiq.agreement.over_redraws` for what can be expected.

    Parameters
    ----------
    predicted, reference : float array, (..., n_patients)
        NaN: missing.

    Raises
    ------
    ShapeError
        If they are not of the same patients.
    """
    one, other = paired(predicted, reference)
    low = np.where(other <= ENDS[0], one - other, np.nan)
    high = np.where(other >= ENDS[1], one - other, np.nan)
    return EndErrors(
        n_low=plain(count(low)),
        low=plain(mean(low)),
        n_high=plain(count(high)),
        high=plain(mean(high)),
        slope=linear_fit(other, one).slope,
    )


def _difference(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    one, other = paired(a, b)
    return np.asarray(one - other)
