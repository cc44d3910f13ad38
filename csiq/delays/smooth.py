"""A smooth k-space about its centre: products of Legendre polynomials, and their slopes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre


@dataclass(frozen=True)
class Smooth:
    """The polynomials of at most ``degree`` in the axes that are sampled.

    Attributes
    ----------
    axes : tuple of int
        Of z y x, those along which there are samples.
    radius : float
        cycles per field of view; within it the polynomials are of order one.
    degree : int
    """

    axes: tuple[int, ...]
    radius: float
    degree: int

    def values(self, k: np.ndarray) -> np.ndarray:
        """Return all polynomials at points (n_points, 3), float64 (n_points, n_polynomials)."""
        return self._product(self._factors(k))

    def slopes(self, k: np.ndarray) -> dict[int, np.ndarray]:
        """Return by axis the derivatives of all polynomials, per cycle per field of view."""
        factors, rises = self._factors(k), self._factors(k, derivative=True)
        return {
            axis: self._product([rises[i] if i == at else factor for i, factor in enumerate(factors)])
            for at, axis in enumerate(self.axes)
        }

    def _factors(self, k: np.ndarray, *, derivative: bool = False) -> list[np.ndarray]:
        out = []
        for axis in self.axes:
            vander = legendre.legvander(k[:, axis] / self.radius, self.degree)
            if derivative:
                vander = vander @ _derivatives(self.degree) / self.radius
            out.append(vander)
        return out

    def _product(self, factors: list[np.ndarray]) -> np.ndarray:
        """Return the products whose degrees add up to ``degree`` at most."""
        powers = np.indices((self.degree + 1,) * len(factors)).reshape(len(factors), -1)
        powers = powers[:, powers.sum(axis=0) <= self.degree]
        product = factors[0][:, powers[0]]
        for factor, power in zip(factors[1:], powers[1:], strict=True):
            product = product * factor[:, power]
        return product


def _derivatives(degree: int) -> np.ndarray:
    """Return the matrix that takes values of Legendre polynomials to values of their derivatives."""
    matrix = np.zeros((degree + 1, degree + 1))
    for n in range(1, degree + 1):
        found = legendre.legder(np.eye(degree + 1)[n])
        matrix[: found.size, n] = found
    return matrix
