"""A statistic as a study gives it: single draw, mean over redraws, an interval of each, and the ceiling."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from csiq.agreement.columns import mean
from csiq.agreement.resampling import bootstrap_values, percentiles

#: Resamples of the patients for an interval, and what share lies inside.
N_RESAMPLES, LEVEL = 2000, 0.90
#: Resamples for the interval of a mean over redraws, and how many redraws each meets: more of them change
#: the mean by far less than another choice of patients does.
N_RESAMPLES_REDRAWS, N_DAYS = 500, 50
#: Takes columns (..., n) and works along their last axis.
Statistic = Callable[..., Any]


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
    grades : float64 array, (n,)
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
        Bootstrap interval over patients of ``single``, 90 %.
    mean : float
        Over the redraws of the readers.
    mean_low, mean_high : float
        Bootstrap interval over patients of ``mean``, 90 %.
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


#: A rater, or numbers (..., n) that are the same on every day.
Column = Rater | np.ndarray


def estimate(
    of: Statistic,
    *columns: Column,
    truth: np.ndarray | None = None,
    patients: Sequence[Hashable] | None = None,
    days: int | None = None,
) -> Estimate:
    """Return one number as an estimate; for the parameters see :func:`several`."""
    return several(of, *columns, shape=(), truth=truth, patients=patients, days=days)[0]


def several(
    of: Statistic,
    *columns: Column,
    shape: tuple[int, ...],
    truth: np.ndarray | None = None,
    patients: Sequence[Hashable] | None = None,
    days: int | None = None,
) -> list[Estimate]:
    """Return numbers of one statistic as estimates.

    Parameters
    ----------
    of : callable
        Takes the columns, each (..., n) with axes in front that broadcast, returns (..., *shape).
    *columns : Rater or float array, (..., n)
    shape : tuple of int
        Of what the statistic returns for one day.
    truth : float array, (..., n), optional
        Takes the place of the last column for the ceilings.
    patients : sequence, (n,), optional
        Whose image it is; all images of a patient are resampled together.
    days : int, optional
        Redraws that each resample meets, :data:`N_DAYS` by default.

    Returns
    -------
    list of Estimate
        In the order of C.
    """
    today = [one.grades if isinstance(one, Rater) else one for one in columns]
    values = bootstrap_values(of, today, n=N_RESAMPLES, patients=patients, shape=shape)
    found = [np.asarray(of(*today), np.float64).ravel(), *_limits(values)]
    if any(isinstance(one, Rater) and one.draws is not None for one in columns):
        found += _redrawn(of, [_days(one) for one in columns], shape, patients, days or N_DAYS)
        if truth is not None:
            found.append(_over_days(of(*map(_days, columns[:-1]), truth[None]), shape).ravel())
    return [Estimate(*map(float, numbers)) for numbers in zip(*found, strict=True)]


def _redrawn(
    of: Statistic,
    days: list[np.ndarray],
    shape: tuple[int, ...],
    patients: Sequence[Hashable] | None,
    n_days: int,
) -> list[np.ndarray]:
    """Return the mean over redraws and both ends of its interval, each (number of statistics,)."""
    values = bootstrap_values(
        lambda *drawn: _over_days(of(*drawn), shape),
        [day[:n_days] for day in days],
        n=N_RESAMPLES_REDRAWS,
        patients=patients,
        shape=shape,
    )
    return [_over_days(of(*days), shape).ravel(), *_limits(values)]


def _over_days(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return the mean over the axis before those of a statistic, of what is defined."""
    return mean(np.moveaxis(np.asarray(values, np.float64), -1 - len(shape), -1))


def _limits(values: np.ndarray) -> list[np.ndarray]:
    limits = [percentiles(column, LEVEL) for column in values.reshape(len(values), -1).T]
    return [np.array(end) for end in zip(*limits, strict=True)]


def _days(column: Column) -> np.ndarray:
    """Return the numbers of every redraw, (n_draws, ..., n); of one day where they do not change."""
    if isinstance(column, Rater) and column.draws is not None:
        return column.draws
    return (column.grades if isinstance(column, Rater) else column)[None]
