"""Figures of merit of two raters: value, interval, mean over redrawn readers and its ceiling."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from csiq.agreement import (
    anti_bias_l1,
    bland_altman,
    bootstrap_interval,
    linear_fit,
    mae,
    pair_alpha,
    pearson_r2,
    rmse,
    spearman,
    weighted_kappa,
)

#: Resamplings of the images for an interval, those for one of all patches, and what share lies inside.
N_RESAMPLES, N_RESAMPLES_PATCHES, LEVEL = 2000, 300, 0.90
#: Resamplings for the interval of a mean over redraws, and how many redraws each meets: more of them change
#: the mean by far less than another choice of images does.
N_RESAMPLES_REDRAWS, N_DAYS = 500, 50
#: Takes two columns (..., n) and works along their last axis.
Statistic = Callable[[np.ndarray, np.ndarray], Any]


@dataclass(frozen=True)
class Merit:
    """One figure of merit.

    Attributes
    ----------
    label : str
    of : callable
        ``of(row, column)``; the row is the reader where the other is a network.
    better : int
        1 if larger is better, -1 if smaller is, 0 if neither.
    """

    label: str
    of: Statistic
    better: int = 0


#: By key. Differences are row minus column, as in the paper's Table 2; the line is column on row.
MERITS: Mapping[str, Merit] = {
    "anti_bias_l1": Merit("Anti-bias L1 (eq. 1)", lambda a, b: anti_bias_l1(b, a), -1),
    "r2": Merit("Pearson R²", pearson_r2, 1),
    "slope": Merit("Slope of the regression", lambda a, b: linear_fit(a, b).slope),
    "intercept": Merit("Intercept of the regression", lambda a, b: linear_fit(a, b).intercept),
    "kappa": Merit("Weighted κ (eq. 2)", weighted_kappa, 1),
    "alpha": Merit("Krippendorff α (interval)", pair_alpha, 1),
    "spearman": Merit("Spearman rank correlation", spearman, 1),
    "bias": Merit("Mean difference", lambda a, b: bland_altman(a, b).bias),
    "sd": Merit("SD of the difference", lambda a, b: bland_altman(a, b).sd, -1),
    "lower": Merit("Lower limit of agreement", lambda a, b: bland_altman(a, b).lower),
    "upper": Merit("Upper limit of agreement", lambda a, b: bland_altman(a, b).upper),
    "mae": Merit("Mean absolute error", mae, -1),
    "rmse": Merit("Root mean squared error", rmse, -1),
}
#: Those that are given of patches, too: the others would take the patches of one image for independent.
PATCH_MERITS = ("anti_bias_l1", "r2", "slope", "intercept", "kappa", "mae", "rmse")


@dataclass(frozen=True)
class Rater:
    """The grades of a reader or of a network.

    Attributes
    ----------
    role : str
        ``main``, ``again``, ``second`` or ``network``, as in :mod:`csiq.evaluation.paper`; the column of any
        further reader.
    label : str
        For tables and figures.
    grades : float64 array, (n,), or (n_patches, n)
        NaN where one is missing.
    draws : float64 array, (n_draws, n), optional
        The same reader on other days; a network has none, it always says the same.
    """

    role: str
    label: str
    grades: np.ndarray
    draws: np.ndarray | None = None


@dataclass(frozen=True)
class Estimate:
    """One figure of merit of one pair; NaN where it is undefined or cannot be had.

    Attributes
    ----------
    single : float
        Of the grades in the manifest: the single draw that a study like the paper's has.
    low, high : float
        Bootstrap interval over images of ``single``, 90 %.
    mean : float
        Over the redraws of the readers.
    mean_low, mean_high : float
        Bootstrap interval over images of ``mean``, 90 %; not of patches.
    ceiling : float
        Mean over the same redraws of the noise-free reference in the network's place.
    """

    single: float
    low: float = math.nan
    high: float = math.nan
    mean: float = math.nan
    mean_low: float = math.nan
    mean_high: float = math.nan
    ceiling: float = math.nan

    @property
    def best(self) -> float:
        """The mean over redraws where there is one, else the single draw."""
        return self.mean if math.isfinite(self.mean) else self.single


def estimates(
    row: Rater,
    column: Rater,
    *,
    reference: np.ndarray | None = None,
    keys: Sequence[str] = tuple(MERITS),
) -> dict[str, Estimate]:
    """Return the figures of merit of a pair.

    Parameters
    ----------
    row : Rater
    column : Rater
        A network may have patches.
    reference : float64 array, (n,), optional
        Takes the column's place for the ceilings.
    keys : sequence of str
        Of :data:`MERITS`.
    """
    drawn = row.draws is not None or column.draws is not None
    n = N_RESAMPLES if column.grades.ndim == 1 else N_RESAMPLES_PATCHES
    found = {}
    for key in keys:
        of = MERITS[key].of if column.grades.ndim == 1 else over_patches(MERITS[key].of)
        low, high = bootstrap_interval(of, row.grades, column.grades, n=n, level=LEVEL)
        single = Estimate(float(of(row.grades, column.grades)), low, high)
        found[key] = _redrawn(single, of, row, column) if drawn else single
        if row.draws is not None and reference is not None:
            found[key] = replace(found[key], ceiling=_mean(MERITS[key].of, row, reference))
    return found


def _redrawn(single: Estimate, of: Statistic, row: Rater, column: Rater) -> Estimate:
    """Return an estimate with what redraws of the readers add."""
    mean = _mean(of, row, column)
    if column.grades.ndim > 1:
        return replace(single, mean=mean)
    days = [_days(rater)[:N_DAYS] for rater in (row, column)]
    low, high = bootstrap_interval(
        lambda a, b: np.mean(of(*np.broadcast_arrays(a, b)), axis=-1),
        *days,
        n=N_RESAMPLES_REDRAWS,
        level=LEVEL,
    )
    return replace(single, mean=mean, mean_low=low, mean_high=high)


def over_patches(statistic: Statistic) -> Statistic:
    """Return a statistic of all patches, each with the grade of its image.

    It takes grades (..., n) and patches (..., n_patches, n).
    """

    def of(row: np.ndarray, column: np.ndarray) -> Any:
        """Return the statistic of all patches of all images in one column, each beside its image's grade."""
        wide = np.broadcast_to(row[..., None, :], (*row.shape[:-1], *column.shape[-2:]))
        flat = (*wide.shape[:-2], -1)
        return statistic(wide.reshape(flat), np.broadcast_to(column, wide.shape).reshape(flat))

    return of


def _mean(of: Statistic, row: Rater, column: Rater | np.ndarray) -> float:
    """Return the mean over redraws of the readers."""
    one, other = _days(row), _days(column)
    if other.ndim == 2:
        values = np.asarray(of(*np.broadcast_arrays(one, other)))
    else:
        # all patches of all redraws are too many at once
        values = np.array([float(of(day, other[0])) for day in one])
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else math.nan


def _days(rater: Rater | np.ndarray) -> np.ndarray:
    """Return the grades of every redraw, (n_draws, ...); of one day where they do not change."""
    if isinstance(rater, Rater) and rater.draws is not None:
        return rater.draws
    return (rater.grades if isinstance(rater, Rater) else rater)[None]
