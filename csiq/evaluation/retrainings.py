"""Retrained networks: mean and SD of every figure of merit over them, on one day and over redraws."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from csiq.agreement.columns import mean
from csiq.evaluation import estimating
from csiq.evaluation.estimating import Estimate, Rater, several
from csiq.evaluation.merits import MERITS, sums_for
from csiq.evaluation.patch_sums import PATCH_MERITS, PatchSums

Patients = Sequence[Hashable] | None


@dataclass(frozen=True)
class Spread:
    """A figure of merit over retrained networks; NaN where it is undefined or cannot be had.

    Attributes
    ----------
    mean, sd : float
        Over the networks, against the grades in the manifest; the SD with n - 1.
    n : int
        Networks.
    low, high : float
        Bootstrap interval over patients of ``mean``, 90 %: another choice of patients, the same networks.
    redrawn, redrawn_sd : float
        Mean and SD over the networks of the mean over redraws of the reader.
    redrawn_low, redrawn_high : float
        Bootstrap interval over patients of ``redrawn``, 90 %.
    ceiling : float
        Mean over the same redraws of the noise-free reference in the networks' place.
    """

    mean: float
    sd: float
    n: int
    low: float = math.nan
    high: float = math.nan
    redrawn: float = math.nan
    redrawn_sd: float = math.nan
    redrawn_low: float = math.nan
    redrawn_high: float = math.nan
    ceiling: float = math.nan


def spread_of_images(
    main: Rater, grades: np.ndarray, *, truth: np.ndarray | None = None, patients: Patients = None
) -> dict[str, Spread]:
    """Return how figures of merit of images differ among retrained networks, by key.

    Parameters
    ----------
    main : Rater
        The reader.
    grades : float array, (n_networks, n)
    truth : float array, (n,), optional
        Noise-free reference, for the ceilings.
    patients : sequence, (n,), optional
        Whose image it is.
    """
    whole = None if truth is None else truth[None]
    found = {}
    for key, merit in MERITS.items():

        def of(main: np.ndarray, grades: np.ndarray, single: Any = merit.of) -> np.ndarray:
            """Return the figure of merit of each network, (..., n_networks, 1)."""
            return np.asarray(single(main[..., None, :], grades))[..., None]

        (found[key],) = _spreads(of, main, grades, 1, whole, patients)
    return found


def spread_of_patches(
    main: Rater, patches: np.ndarray, *, truth: np.ndarray | None = None, patients: Patients = None
) -> dict[str, Spread]:
    """Return the same of all patches, float (n_networks, n, n_patches)."""
    sums = sums_for(main, patches)
    whole = None if truth is None else PatchSums.of(truth[None, :, None], sums.levels).sums

    def of(main: np.ndarray, summed: np.ndarray) -> np.ndarray:
        """Return the figures of merit of each network, (..., n_networks, 7)."""
        return sums.merits(main[..., None, :], summed)

    found = _spreads(of, main, sums.sums, len(PATCH_MERITS), whole, patients)
    return dict(zip(PATCH_MERITS, found, strict=True))


def _spreads(
    of: Callable[..., np.ndarray],
    main: Rater,
    networks: np.ndarray,
    n_merits: int,
    truth: np.ndarray | None,
    patients: Patients,
) -> list[Spread]:
    """Return the spread of each of the last axis that a statistic of several networks has."""

    def over_networks(*columns: np.ndarray) -> np.ndarray:
        """Return the mean over networks, (..., n_merits)."""
        return mean(np.swapaxes(of(*columns), -1, -2))

    # every network meets as many redraws as there is time for
    days = max(1, estimating.N_DAYS // len(networks))
    found = several(
        over_networks, main, networks, shape=(n_merits,), truth=truth, patients=patients, days=days
    )
    single = of(main.grades, networks)
    drawn = None
    if main.draws is not None:
        drawn = mean(np.moveaxis(of(main.draws, networks[None]), 0, -1))
    return [_spread(one, single[:, i], None if drawn is None else drawn[:, i]) for i, one in enumerate(found)]


def _spread(found: Estimate, single: np.ndarray, drawn: np.ndarray | None) -> Spread:
    defined = single[np.isfinite(single)]
    intervals = {"low": found.low, "high": found.high}
    if drawn is not None:
        intervals |= {"redrawn": found.mean, "redrawn_sd": _sd(drawn[np.isfinite(drawn)])}
        intervals |= {"redrawn_low": found.mean_low, "redrawn_high": found.mean_high}
    value = float(defined.mean()) if len(defined) else math.nan
    return Spread(value, _sd(defined), len(defined), **intervals, ceiling=found.ceiling)


def _sd(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan
