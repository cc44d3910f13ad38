"""Bootstrap intervals: patients are drawn with replacement, all their images and grades together.

Several images of one patient are no more patients: where there are such, a patient who is drawn brings all of
them, as often as drawn (the cluster bootstrap). Who has one image each is drawn as if nothing were said.

References
----------
Efron B, Tibshirani RJ. An introduction to the bootstrap. Chapman & Hall, 1993. Davison AC, Hinkley DV.
Bootstrap methods and their application. Cambridge University Press, 1997, section 3.8 (clusters).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from csiq.errors import ConfigError, ShapeError

#: Takes columns (..., n_patients) and returns one number for each of the axes in front.
Statistic: TypeAlias = Callable[..., Any]
#: Numbers of one column that are in hand at once: what fits a core's cache is twice as fast.
_AT_ONCE = 50_000


def by_rows(function: Callable[..., float]) -> Statistic:
    """Return a statistic that works along the last axis, from a function of single columns (n_patients,).

    Places where every column has NaN are left out: they are what fills up resamples of unequal size.
    """

    def statistic(*columns: ArrayLike) -> np.ndarray:
        """Return the statistic of each row of columns (..., n_patients), as (...); one row at a time."""
        stacks = np.broadcast_arrays(*(np.asarray(c, np.float64) for c in columns))
        there = ~np.all([np.isnan(stack) for stack in stacks], axis=0)
        lead = stacks[0].shape[:-1]
        rows = [function(*(stack[at][there[at]] for stack in stacks)) for at in np.ndindex(lead)]
        return np.array(rows, np.float64).reshape(lead)

    return statistic


def bootstrap_values(
    statistic: Statistic,
    columns: Sequence[ArrayLike],
    *,
    seed: int = 0,
    n: int = 2000,
    patients: Sequence[Hashable] | None = None,
    shape: tuple[int, ...] = (),
) -> np.ndarray:
    """Return a statistic of resampled patients.

    Parameters
    ----------
    statistic : callable
        Takes each column as (n_resamples, ..., n_images), returns (n_resamples,). The statistics of this
        package do, and so do sums and differences of them; :func:`by_rows` wraps any other function.
    columns : sequence of float array, (..., n_images)
        All are drawn alike. Axes in front of the images, such as patches, stay together.
    seed : int
    n : int
        Resamples.
    patients : sequence, (n_images,), optional
        Whose image it is. A patient who is drawn brings all images, and resamples of unequal size are filled
        up with NaN in every column, which the statistics of this package leave out. One image a patient by
        default.
    shape : tuple of int
        Of what the statistic returns for each resample, if that is no number.

    Returns
    -------
    float64 array, (n, *shape)
        NaN where the statistic is undefined; throughout if all images are of one patient, who tells nothing
        of others.

    Raises
    ------
    ShapeError
        If the columns are not of the same images, there are none, or the statistic does not work along
        the last axis.
    """
    arrays = [np.asarray(column, np.float64) for column in columns]
    sizes = {array.shape[-1] if array.ndim else 0 for array in arrays}
    if len(sizes) != 1 or sizes == {0}:
        raise ShapeError(f"expected columns of the same patients, got {[a.shape for a in arrays]}")
    n_images = sizes.pop()
    groups = _Groups.of(range(n_images) if patients is None else patients)
    if len(groups.images) != n_images:
        raise ShapeError(f"expected a patient for each of {n_images} images, got {len(groups.images)}")
    if patients is not None and len(groups.counts) == 1:
        return np.full((n, *shape), np.nan)
    if not groups.are_equal:
        arrays = [_with_a_gap(array) for array in arrays]
    chosen = np.random.default_rng(seed).integers(len(groups.counts), size=(n, len(groups.counts)))
    step = max(1, _AT_ONCE // max(array.size for array in arrays))
    parts = (groups.rows(part) for part in _parts(chosen, step))
    return np.concatenate([_evaluate(statistic, arrays, rows, shape) for rows in parts])


@dataclass(frozen=True)
class _Groups:
    """The images of each patient, patients in the order of their first image.

    Attributes
    ----------
    images : int array, (n_images,)
        Sorted by patient.
    begins, counts : int array, (n_patients,)
        Where a patient's images begin there, and how many they are.
    """

    images: np.ndarray
    begins: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, patients: Sequence[Hashable]) -> _Groups:
        """Return the groups of images whose patients are named one by one."""
        numbers: dict[Hashable, int] = {}
        whose = np.array([numbers.setdefault(patient, len(numbers)) for patient in patients], dtype=np.intp)
        counts = np.bincount(whose, minlength=len(numbers))
        return cls(np.argsort(whose, kind="stable"), np.cumsum(counts) - counts, counts)

    @property
    def are_equal(self) -> bool:
        """Whether all patients have as many images."""
        return bool((self.counts == self.counts[0]).all())

    def rows(self, chosen: np.ndarray) -> np.ndarray:
        """Return the images of chosen patients, int (n_resamples, most images of a resample).

        Shorter rows are filled up with n_images, the place of a gap.
        """
        counts = self.counts[chosen]
        sizes, each = counts.sum(axis=1), counts.ravel()
        # place of each image among those of its patient, and in its row
        within = np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each)
        column = np.arange(each.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        found = np.full((len(chosen), int(sizes.max())), len(self.images))
        found[np.repeat(np.arange(len(chosen)), sizes), column] = self.images[
            np.repeat(self.begins[chosen.ravel()], each) + within
        ]
        return found


def _with_a_gap(array: np.ndarray) -> np.ndarray:
    return np.concatenate([array, np.full((*array.shape[:-1], 1), np.nan)], axis=-1)


def _parts(chosen: np.ndarray, step: int) -> Iterator[np.ndarray]:
    return (chosen[start : start + step] for start in range(0, len(chosen), step))


def _evaluate(
    statistic: Statistic, arrays: Sequence[np.ndarray], rows: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    drawn = [np.moveaxis(array[..., rows], -2, 0) for array in arrays]
    found = np.asarray(statistic(*drawn), np.float64)
    if found.shape != (len(rows), *shape):
        raise ShapeError(
            f"the statistic gave {found.shape} for {len(rows)} resamples",
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
    patients: Sequence[Hashable] | None = None,
) -> tuple[float, float]:
    """Return a percentile bootstrap interval over patients.

    Parameters
    ----------
    statistic : callable
        As for :func:`bootstrap_values`: of the columns, working along the last axis.
    *columns : float array, (..., n_images)
    seed : int
    n : int
        Resamples.
    level : float
        Of the interval.
    paired : sequence of float array, optional
        Columns of another pair on the same images. The interval is then that of ``statistic(*columns) -
        statistic(*paired)``, both on the same resamples: ``bootstrap_interval(weighted_kappa, network,
        reader1a, paired=(reader1b, reader1a))``.
    patients : sequence, (n_images,), optional
        As for :func:`bootstrap_values`: whose image it is.

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
        values = bootstrap_values(statistic, columns, seed=seed, n=n, patients=patients)
    else:
        values = bootstrap_values(difference, [*columns, *paired], seed=seed, n=n, patients=patients)
    return percentiles(values, level)


def percentiles(values: np.ndarray, level: float) -> tuple[float, float]:
    """Return the central interval of values, leaving NaN out; NaN if most of them are."""
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
