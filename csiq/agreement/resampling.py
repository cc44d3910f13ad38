"""Bootstrap intervals: patients are drawn with replacement, all their grades together.

References
----------
Efron B, Tibshirani RJ. An introduction to the bootstrap. Chapman & Hall, 1993.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from csiq.errors import ConfigError, ShapeError

#: Takes columns (..., n_patients) and returns one number for each of the axes in front.
Statistic: TypeAlias = Callable[..., Any]
#: Numbers of one column that are in hand at once: what fits a core's cache is twice as fast.
_AT_ONCE = 50_000


def by_rows(function: Callable[..., float]) -> Statistic:
    """Return a statistic that works along the last axis, from a function of single columns (n_patients,)."""

    def statistic(*columns: ArrayLike) -> np.ndarray:
        """Return the statistic of each row of columns (..., n_patients), as (...); one row at a time."""
        stacks = np.broadcast_arrays(*(np.asarray(c, np.float64) for c in columns))
        lead = stacks[0].shape[:-1]
        rows = [function(*(stack[at] for stack in stacks)) for at in np.ndindex(lead)]
        return np.array(rows, np.float64).reshape(lead)

    return statistic


def bootstrap_values(
    statistic: Statistic, columns: Sequence[ArrayLike], *, seed: int = 0, n: int = 2000
) -> np.ndarray:
    """Return a statistic of resampled patients.

    Parameters
    ----------
    statistic : callable
        Takes each column as (n_resamples, ..., n_patients), returns (n_resamples,). The statistics of this
        package do, and so do sums and differences of them; :func:`by_rows` wraps any other function.
    columns : sequence of float array, (..., n_patients)
        All are drawn alike. Axes in front of the patients, such as patches, stay together.
    seed : int
    n : int
        Resamples.

    Returns
    -------
    float64 array, (n,)
        NaN where the statistic is undefined.

    Raises
    ------
    ShapeError
        If the columns are not of the same patients, there are none, or the statistic does not work along
        the last axis.
    """
    arrays = [np.asarray(column, np.float64) for column in columns]
    sizes = {array.shape[-1] if array.ndim else 0 for array in arrays}
    if len(sizes) != 1 or sizes == {0}:
        raise ShapeError(f"expected columns of the same patients, got {[a.shape for a in arrays]}")
    chosen = np.random.default_rng(seed).integers(sizes.pop(), size=(n, arrays[0].shape[-1]))
    step = max(1, _AT_ONCE // max(array.size for array in arrays))
    return np.concatenate([_evaluate(statistic, arrays, part) for part in _parts(chosen, step)])


def _parts(chosen: np.ndarray, step: int) -> Iterator[np.ndarray]:
    return (chosen[start : start + step] for start in range(0, len(chosen), step))


def _evaluate(statistic: Statistic, arrays: Sequence[np.ndarray], chosen: np.ndarray) -> np.ndarray:
    drawn = [np.moveaxis(array[..., chosen], -2, 0) for array in arrays]
    found = np.asarray(statistic(*drawn), np.float64)
    if found.shape != (len(chosen),):
        raise ShapeError(
            f"the statistic gave {found.shape} for {len(chosen)} resamples",
            hint="it has to work along the last axis; by_rows wraps one that does not",
        )
    return found


def bootstrap_interval(
    statistic: Statistic,
    *columns: ArrayLike,
    seed: int = 0,
    n: int = 2000,
    level: float = 0.90,
    paired: Sequence[ArrayLike] | None = None,
) -> tuple[float, float]:
    """Return a percentile bootstrap interval over patients.

    Parameters
    ----------
    statistic : callable
        As for :func:`bootstrap_values`: of the columns, working along the last axis.
    *columns : float array, (..., n_patients)
    seed : int
    n : int
        Resamples.
    level : float
        Of the interval.
    paired : sequence of float array, optional
        Columns of another pair on the same patients. The interval is then that of ``statistic(*columns) -
        statistic(*paired)``, both on the same resamples: ``bootstrap_interval(weighted_kappa, network,
        reader1a, paired=(reader1b, reader1a))``.

    Returns
    -------
    low, high : float
        Resamples on which the statistic is undefined are left out; NaN if it is undefined on most of them.

    Raises
    ------
    ShapeError
        As :func:`bootstrap_values`.
    ConfigError
        If the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ConfigError(f"level {level:g} is not between 0 and 1")
    here = len(columns)

    def difference(*drawn: np.ndarray) -> np.ndarray:
        return np.asarray(statistic(*drawn[:here])) - np.asarray(statistic(*drawn[here:]))

    if paired is None:
        values = bootstrap_values(statistic, columns, seed=seed, n=n)
    else:
        values = bootstrap_values(difference, [*columns, *paired], seed=seed, n=n)
    return percentiles(values, level)


def percentiles(values: np.ndarray, level: float) -> tuple[float, float]:
    """Return the central interval of values, leaving NaN out; NaN if most of them are."""
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
