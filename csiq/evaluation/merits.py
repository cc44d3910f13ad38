"""Figures of merit of two raters, and those of all patches of a network."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from csiq.agreement import (
    anti_bias_l1,
    bland_altman,
    linear_fit,
    mae,
    pair_alpha,
    pearson_r2,
    rmse,
    spearman,
    weighted_kappa,
)
from csiq.evaluation.estimating import Estimate, Rater, estimate, several
from csiq.evaluation.patch_sums import PATCH_MERITS, PatchSums, levels_of

#: What a network gains from patches to images is said of these.
GAINS = ("anti_bias_l1", "r2", "kappa")
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


def estimates(
    row: Rater,
    column: Rater,
    *,
    reference: np.ndarray | None = None,
    keys: Sequence[str] = tuple(MERITS),
    patients: Sequence[Hashable] | None = None,
) -> dict[str, Estimate]:
    """Return the figures of merit of a pair.

    Parameters
    ----------
    row, column : Rater
    reference : float64 array, (n,), optional
        Takes the column's place for the ceilings.
    keys : sequence of str
        Of :data:`MERITS`.
    patients : sequence, (n,), optional
        Whose image it is; every image of another patient by default.
    """
    return {key: estimate(MERITS[key].of, row, column, truth=reference, patients=patients) for key in keys}


def patch_estimates(
    row: Rater,
    patches: np.ndarray,
    *,
    reference: np.ndarray | None = None,
    patients: Sequence[Hashable] | None = None,
) -> dict[str, Estimate]:
    """Return the figures of merit of all patches, each with the grade of its image.

    Parameters
    ----------
    row : Rater
        The reader.
    patches : float array, (n, n_patches)
    reference, patients
        As for :func:`estimates`.
    """
    sums = sums_for(row, patches)
    truth = None if reference is None else PatchSums.of(reference[:, None], sums.levels).sums
    found = several(sums.merits, row, sums.sums, shape=(len(PATCH_MERITS),), truth=truth, patients=patients)
    return dict(zip(PATCH_MERITS, found, strict=True))


def gains(
    row: Rater,
    network: np.ndarray,
    patches: np.ndarray,
    *,
    patients: Sequence[Hashable] | None = None,
) -> dict[str, Estimate]:
    """Return what each of :data:`GAINS` is of images less what it is of their patches, on the same resamples.

    The noise-free reference is the same for an image and for its patches: there is no ceiling.

    Parameters
    ----------
    row : Rater
        The reader.
    network : float array, (n,)
        Grades of the images.
    patches : float array, (n, n_patches)
    patients : sequence, (n,), optional
        As for :func:`estimates`.
    """
    sums, at = sums_for(row, patches), [PATCH_MERITS.index(key) for key in GAINS]

    def of(grades: np.ndarray, images: np.ndarray, summed: np.ndarray) -> np.ndarray:
        """Return the differences, (..., 3)."""
        whole = np.stack([np.asarray(MERITS[key].of(grades, images)) for key in GAINS], axis=-1)
        return whole - sums.merits(grades, summed)[..., at]

    found = several(of, row, network, sums.sums, shape=(len(GAINS),), patients=patients)
    return dict(zip(GAINS, found, strict=True))


def sums_for(row: Rater, patches: np.ndarray) -> PatchSums:
    """Return the sums over patches (..., n, n_patches) that the grades of a reader ask for."""
    grades = [row.grades] if row.draws is None else [row.grades, row.draws]
    return PatchSums.of(patches, levels_of(*grades))
