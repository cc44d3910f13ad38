"""Figures of merit of all patches of all images, from a few sums over the patches of each image.

Every patch has the grade of its image. How many patches an image has, their sum and sum of squares, how far
they are from each grade that a reader gave, and how many round to each half grade, is all that these figures
need of them: thousands of resamples and redraws cost little more than those of images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.agreement import HALVES, kappa_of_counts, round_to_halves
from csiq.agreement.columns import mean, ratio

#: In this order everywhere. The other figures would take the patches of one image for independent.
PATCH_MERITS = ("anti_bias_l1", "r2", "slope", "intercept", "kappa", "mae", "rmse")
_MIDDLE = 2.0  # of the scale: sums of squares about it lose no digits
_ROUNDING = 1e-12  # share of a sum of squares below which it is 0


@dataclass(frozen=True)
class PatchSums:
    """Sums over the patches of images.

    Attributes
    ----------
    levels : float64 array, (n_levels,)
        Grades that a reader gave.
    sums : float64 array, (..., 3 + n_levels + 9, n)
        Of each image: patches, sum of their grades and of the squares, both less 2; sum of absolute
        differences from each level; patches by their nearest half grade.
    """

    levels: np.ndarray
    sums: np.ndarray

    @classmethod
    def of(cls, patches: np.ndarray, levels: np.ndarray) -> PatchSums:
        """Return the sums of patches (..., n, n_patches); patches that are NaN are left out."""
        there = np.isfinite(patches)
        away = np.where(there, patches - _MIDDLE, 0.0)
        nearest = round_to_halves(patches)
        rows = [
            there.sum(axis=-1),
            away.sum(axis=-1),
            (away**2).sum(axis=-1),
            *(np.where(there, np.abs(patches - level), 0.0).sum(axis=-1) for level in levels),
            *((nearest == half).sum(axis=-1) for half in HALVES),
        ]
        return cls(levels, np.stack(rows, axis=-2).astype(np.float64))

    def merits(self, grades: np.ndarray, sums: np.ndarray) -> np.ndarray:
        """Return the figures of merit of all patches.

        Parameters
        ----------
        grades : float array, (..., n)
            Of a reader, each one of the levels; NaN where one is missing.
        sums : float array, (..., rows, n)
            Those of this object, or some of their images.

        Returns
        -------
        float64 array, (..., 7)
            In the order of :data:`PATCH_MERITS`, NaN where undefined.
        """
        given = (grades[..., None, :] == self.levels[:, None]).astype(np.float64)
        # sums of each level over images
        table = np.matmul(given, np.swapaxes(np.where(np.isnan(sums), 0.0, sums), -1, -2))
        n_levels = len(self.levels)
        n, absolute = table[..., 0], np.diagonal(table[..., 3 : 3 + n_levels], axis1=-2, axis2=-1)
        total = n.sum(axis=-1)
        error = ratio(absolute.sum(axis=-1), total)
        found = [
            self._anti_bias_l1(n, absolute),
            *self._line(table[..., :3]),
            self._kappa(table[..., 3 + n_levels :]),
            error,
        ]
        return np.stack([*found, self._rmse(table[..., :3])], axis=-1)

    @property
    def _classes(self) -> np.ndarray:
        """Half grade by level, 1 where a level belongs to it, float (9, n_levels)."""
        return (round_to_halves(self.levels) == HALVES[:, None]).astype(np.float64)

    def _anti_bias_l1(self, n: np.ndarray, absolute: np.ndarray) -> np.ndarray:
        """Return the mean over half grades of the mean error within each."""
        return mean(ratio(absolute @ self._classes.T, n @ self._classes.T))

    def _kappa(self, cells: np.ndarray) -> np.ndarray:
        return np.asarray(kappa_of_counts(self._classes @ cells))

    def _line(self, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return R2, slope and intercept of patches on grades."""
        x = self.levels - _MIDDLE
        n, y, square = (moments[..., i] for i in range(3))
        total, sum_x, sum_y = n.sum(axis=-1), (n * x).sum(axis=-1), y.sum(axis=-1)
        xx = total * (n * x**2).sum(axis=-1) - sum_x**2
        yy = total * square.sum(axis=-1) - sum_y**2
        yy = np.where(yy > _ROUNDING * total * square.sum(axis=-1), yy, 0.0)
        xy = total * (x * y).sum(axis=-1) - sum_x * sum_y
        slope = ratio(xy, xx)
        middle = ratio(sum_y, total) - slope * ratio(sum_x, total)
        return ratio(xy**2, xx * yy), slope, middle + _MIDDLE * (1 - slope)

    def _rmse(self, moments: np.ndarray) -> np.ndarray:
        x = self.levels - _MIDDLE
        n, y, square = (moments[..., i] for i in range(3))
        squares = (square - 2 * x * y + n * x**2).sum(axis=-1)
        return np.sqrt(np.maximum(ratio(squares, n.sum(axis=-1)), 0.0))


def levels_of(*grades: np.ndarray) -> np.ndarray:
    """Return the different grades that there are, float64, rising."""
    values = np.concatenate([np.ravel(one) for one in grades])
    return np.unique(values[np.isfinite(values)])
