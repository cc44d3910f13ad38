"""All loops around a patient combined into one coil that hears the heart best.

One coil is a twelfth of the work of twelve. Its map is smooth and strong at the heart, and weak far from it,
as an image combined from all loops is: the body outside the field of view is damped as much as on a scanner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.coils import CoilArray

_HEART = 50.0  # mm from the origin within which the coil should hear well
_STEP = 10.0  # mm between the places where that is asked


@dataclass(frozen=True)
class OneCoil:
    """A weighted sum of loops, 1 at the heart and with noise of unit variance.

    Attributes
    ----------
    loops : CoilArray
    weights : complex128 array, (n_loops,)
    """

    loops: CoilArray
    weights: np.ndarray

    @classmethod
    def over_heart(cls, loops: CoilArray) -> OneCoil:
        """Return the combination with most signal of the heart for its noise.

        The strongest eigenvector of the loops' covariance over the heart, noise whitened.
        """
        n = 2 * round(_HEART / _STEP) + 1
        grid = Grid.cube(n, n * _STEP)
        z, y, x = np.meshgrid(*(grid.axis(axis) for axis in range(3)), indexing="ij")
        inside = z**2 + y**2 + x**2 <= _HEART**2
        heard = loops.sensitivities(grid)[:, inside].astype(np.complex128)
        whitener = np.linalg.inv(np.linalg.cholesky(loops.noise_covariance()))
        heard = whitener @ heard
        vector = np.linalg.eigh(heard @ heard.conj().T)[1][:, -1]
        weights = vector.conj() @ whitener
        angle = np.angle(weights @ loops.sensitivities(Grid((1, 1, 1), (1.0, 1.0, 1.0)))[:, 0, 0, 0])
        return cls(loops, weights * np.exp(-1j * angle))

    @property
    def n_coils(self) -> int:
        """One."""
        return 1

    def sensitivities(self, grid: Grid, *, threads: int | None = None) -> np.ndarray:
        """Return the map of the combination, complex64 (1, *grid.shape)."""
        maps = self.loops.sensitivities(grid, threads=threads)
        seen = np.zeros((1, *grid.shape), np.complex64)
        for weight, one in zip(self.weights.astype(np.complex64), maps, strict=True):
            seen[0] += weight * one
        return seen

    def noise_covariance(self) -> np.ndarray:
        """Return the variance of the noise at an SNR of 1, (1, 1)."""
        return np.real(self.weights @ self.loops.noise_covariance() @ self.weights.conj()).reshape(1, 1)
