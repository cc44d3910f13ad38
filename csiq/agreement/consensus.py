"""The consensus of two readers, and whether errors grow where the two disagree (Figure E4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from csiq.agreement.columns import Values, paired
from csiq.agreement.correlation import pearson, spearman
from csiq.agreement.differences import bland_altman, mae, rmse


@dataclass(frozen=True)
class ConsensusError:
    """Error of a network against the readers' consensus; arrays where stacks of rows were compared.

    Attributes
    ----------
    n : int
    bias, sd : float
        Of predicted minus consensus, the SD with n - 1.
    mae, rmse : float
    spearman, pearson : float
        Correlation of the absolute error with the absolute difference of the readers.
    """

    n: Values
    bias: Values
    sd: Values
    mae: Values
    rmse: Values
    spearman: Values
    pearson: Values


def consensus(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Return the mean of two readers (..., n_patients), NaN where either did not read."""
    one, other = paired(a, b)
    return np.asarray((one + other) / 2)


def consensus_error(predicted: ArrayLike, a: ArrayLike, b: ArrayLike) -> ConsensusError:
    """Compare predicted grades with the consensus of two readers.

    Parameters
    ----------
    predicted, a, b : float array, (..., n_patients)
        Of the network and both readers; NaN: missing.

    Raises
    ------
    ShapeError
        If they are not of the same patients.
    """
    middle = consensus(a, b)
    one, other = paired(a, b)
    grades, middle = paired(predicted, middle)
    error, apart = np.abs(grades - middle), np.abs(one - other)
    limits = bland_altman(grades, middle)
    return ConsensusError(
        limits.n,
        limits.bias,
        limits.sd,
        mae(grades, middle),
        rmse(grades, middle),
        spearman(error, apart),
        pearson(error, apart),
    )
