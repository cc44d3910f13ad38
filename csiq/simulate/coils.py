"""Receive coils around the chest: circular loops, their field in closed form, and their noise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit

from csiq.arrays import default_threads
from csiq.errors import ConfigError
from csiq.simulate.anatomy.marks import Bias
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.anatomy.thorax import BodySize

_LOOP_RADIUS = 85.0  # mm, of up to eleven loops a side
_SMALL_RADIUS = 58.0  # mm, of more: they overlap as before
_GAP = 40.0  # mm between skin and loop
_NOISE_REACH = 90.0  # mm: neighbours share noise
_LOADING_REACH = 0.35  # of the noise that is shared, at no distance
_ROWS = ((4, 1), (12, 2), (24, 3), (33, 4))  # below so many loops a side there are so many rows
_ROW_APART = {1: 0.0, 2: 110.0, 3: 80.0, 4: 70.0}  # mm
_WRAP = 1.9  # rad around the body, a side


@dataclass(frozen=True)
class CoilArray:
    """Loops around the body.

    Attributes
    ----------
    centres : float64 array, (n_coils, 3)
        mm, z y x.
    normals : float64 array, (n_coils, 3)
        Unit vectors toward the body.
    radius : float
        mm.
    gains : complex128 array, (n_coils,)
        Amplification and angle of each channel, the same for signal and noise.
    bias : Bias, optional
        What else makes the signal uneven; a factor on all sensitivities.
    """

    centres: np.ndarray
    normals: np.ndarray
    gains: np.ndarray
    radius: float = _LOOP_RADIUS
    bias: Bias | None = None

    @classmethod
    def around(cls, body: BodySize, n_coils: int, rng: np.random.Generator) -> CoilArray:
        """Return half the loops on the chest and half below the back, in rows if there are many.

        Gains are scaled such that the root sum of squares at the heart (the origin) is 1.
        """
        if not 1 <= n_coils <= 64:
            raise ConfigError(f"{n_coils} coils are not between 1 and 64", field="--coils")
        height, angle = _places(n_coils)
        half_y, half_x = body.depth / 2 + _GAP, body.width / 2 + _GAP
        out = np.stack([np.zeros(n_coils), np.sin(angle), np.cos(angle)], axis=1)
        centres = np.stack(
            [height, body.middle[0] + half_y * out[:, 1], body.middle[1] + half_x * out[:, 2]], axis=1
        )
        centres += rng.uniform(-6, 6, centres.shape)
        slope = np.stack([np.zeros(n_coils), -out[:, 1] / half_y, -out[:, 2] / half_x], axis=1)
        normals = slope / np.linalg.norm(slope, axis=1, keepdims=True)
        gains = rng.uniform(0.85, 1.15, n_coils) * np.exp(2j * np.pi * rng.random(n_coils))
        radius = _LOOP_RADIUS if _rows(n_coils) < 3 else _SMALL_RADIUS
        at_heart = cls(centres, normals, gains, radius).sensitivities(Grid((1, 1, 1), (1.0, 1.0, 1.0)))
        return cls(centres, normals, gains / np.linalg.norm(at_heart), radius)

    @property
    def n_coils(self) -> int:
        """Number of loops."""
        return len(self.gains)

    def sensitivities(self, grid: Grid, *, threads: int | None = None) -> np.ndarray:
        """Return the sensitivities on a grid: B_x - i B_y of each loop at unit current, times its gain.

        The main field is along z, so the other two components receive.

        Returns
        -------
        complex64 array, (n_coils, *grid.shape)
        """
        maps = np.empty((self.n_coils, *grid.shape), dtype=np.complex64)
        z, y, x = (grid.axis(a) for a in range(3))

        def evaluate(coil: int) -> None:
            frame = _frame(self.normals[coil])
            _loop_field(maps[coil], z, y, x, self.centres[coil], frame, self.radius, self.gains[coil])

        with ThreadPoolExecutor(threads or default_threads()) as pool:
            list(pool.map(evaluate, range(self.n_coils)))
        if self.bias is not None:
            maps *= self.bias.field(grid)
        return maps

    def noise_covariance(self) -> np.ndarray:
        """Return the covariance of the channels' noise at a mean variance of 1.

        Channels see the noise of the same body: neighbours more, opposite ones hardly.

        Returns
        -------
        complex128 array, (n_coils, n_coils)
            E[n n^H].
        """
        apart = np.linalg.norm(self.centres[:, None] - self.centres[None], axis=-1)
        shared = _LOADING_REACH * np.exp(-apart / _NOISE_REACH) + (1 - _LOADING_REACH) * np.eye(self.n_coils)
        gains = self.gains / np.sqrt(np.mean(np.abs(self.gains) ** 2))
        return gains[:, None] * shared * gains[None].conj()


def _rows(n_coils: int) -> int:
    """Return in how many rows the loops of a side lie, one above the other."""
    return next(rows for below, rows in _ROWS if (n_coils + 1) // 2 < below)


def _places(n_coils: int) -> tuple[np.ndarray, np.ndarray]:
    """Return height z and angle around the body (front is pi/2) of each loop."""
    n_front, n_rows = (n_coils + 1) // 2, _rows(n_coils)
    height, angle = [], []
    for count, middle in ((n_front, np.pi / 2), (n_coils - n_front, -np.pi / 2)):
        rows = 1 if count < 4 else n_rows
        for number in range(count):
            row, column = number % rows, number // rows
            n_columns = (count - row + rows - 1) // rows
            height.append(_ROW_APART[rows] * (row - (rows - 1) / 2))
            angle.append(middle + _WRAP * ((column + 0.5) / n_columns - 0.5))
    return np.array(height), np.array(angle)


def _frame(normal: np.ndarray) -> np.ndarray:
    """Return three orthogonal unit vectors; the last is the normal."""
    first = np.cross(normal, [1.0, 0.0, 0.0])
    first /= np.linalg.norm(first)
    return np.array([first, np.cross(normal, first), normal])


@njit(nogil=True, cache=True)
def _elliptic(m):  # type: ignore[no-untyped-def]
    """Return the complete elliptic integrals K(m) and E(m) by the arithmetic-geometric mean."""
    a, b, power, total = 1.0, np.sqrt(1.0 - m), 1.0, m
    for _ in range(12):
        if abs(a - b) < 1e-9:
            break
        c = (a - b) / 2
        a, b = (a + b) / 2, np.sqrt(a * b)
        power *= 2
        total += power * c * c
    k = np.pi / (2 * a)
    return k, k * (1 - total / 2)


@njit(nogil=True, cache=True)
def _loop_field(out, z, y, x, centre, frame, radius, gain):  # type: ignore[no-untyped-def]
    """Fill ``out`` with the transverse field of a circular loop (Jackson, section 5.5)."""
    for k in range(z.size):
        for j in range(y.size):
            for i in range(x.size):
                dz, dy, dx = z[k] - centre[0], y[j] - centre[1], x[i] - centre[2]
                p = frame[0, 0] * dz + frame[0, 1] * dy + frame[0, 2] * dx
                q = frame[1, 0] * dz + frame[1, 1] * dy + frame[1, 2] * dx
                h = frame[2, 0] * dz + frame[2, 1] * dy + frame[2, 2] * dx
                rho = max(np.sqrt(p * p + q * q), 1e-3)
                far = (radius + rho) ** 2 + h * h
                near = max((radius - rho) ** 2 + h * h, 25.0)  # the wire is not thinner than 5 mm
                ell_k, ell_e = _elliptic(1.0 - near / max(far, near))
                scale = 1.0 / np.sqrt(far)
                along = scale * (ell_k + ell_e * (radius * radius - rho * rho - h * h) / near)
                across = scale * h / rho * (ell_e * (radius * radius + rho * rho + h * h) / near - ell_k)
                u, v = across * p / rho, across * q / rho
                b_y = u * frame[0, 1] + v * frame[1, 1] + along * frame[2, 1]
                b_x = u * frame[0, 2] + v * frame[1, 2] + along * frame[2, 2]
                out[k, j, i] = gain * (b_x - 1j * b_y)
