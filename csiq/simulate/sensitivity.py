"""Coil sensitivities where a layer needs them, kept at the few millimetres at which they vary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from csiq.simulate.anatomy.shapes import Grid

if TYPE_CHECKING:
    from csiq.simulate.layers import Coils

_SPACING = 4.0  # mm: loops are 4 cm and more away from what is inside the body


@dataclass(frozen=True)
class Maps:
    """Sensitivities on a coarse grid, interpolated linearly where they are asked for.

    Attributes
    ----------
    coarse : complex64 array, (n_coils, z, y, x)
    places : tuple of three (int64 array, float32 array)
        For each axis the index below each fine voxel, and its share of the way to the next.
    """

    coarse: np.ndarray
    places: tuple[tuple[np.ndarray, np.ndarray], ...]

    @classmethod
    def of(cls, coils: Coils, grid: Grid) -> Maps:
        """Return the sensitivities of coils on a grid."""
        size = np.array(grid.voxel_size)
        steps = np.maximum(np.floor(_SPACING / size), 1).astype(int)
        shape = tuple(int(-(-(n - 1) // step)) + 1 for n, step in zip(grid.shape, steps, strict=True))
        wide = steps * size
        # the first voxels of both grids are at one place
        centre = grid.origin + wide * (np.array(shape) // 2)
        coarse = coils.sensitivities(
            Grid(
                (shape[0], shape[1], shape[2]),
                (float(wide[0]), float(wide[1]), float(wide[2])),
                (float(centre[0]), float(centre[1]), float(centre[2])),
            )
        )
        return cls(coarse, tuple(_places(*both) for both in zip(grid.shape, steps, shape, strict=True)))

    @property
    def n_coils(self) -> int:
        """Number of channels."""
        return int(self.coarse.shape[0])

    def times(self, coil: int, image: np.ndarray) -> np.ndarray:
        """Return an image on the fine grid as a coil sees it, complex64."""
        seen = np.empty(image.shape, np.complex64)
        below, share = self.places[0]
        planes: dict[int, np.ndarray] = {}
        for z, (first, part) in enumerate(zip(below.tolist(), share.tolist(), strict=True)):
            for number in (first, first + 1):
                if number not in planes and number < self.coarse.shape[1]:
                    planes.pop(number - 2, None)
                    planes[number] = self._plane(coil, number)
            plane = planes[first]
            if part > 0:
                plane = plane + np.float32(part) * (planes[first + 1] - plane)
            np.multiply(image[z], plane, out=seen[z])
        return seen

    def _plane(self, coil: int, number: int) -> np.ndarray:
        """Return one coarse slice, interpolated to fine voxels."""
        plane = self.coarse[coil, number]
        for axis in (0, 1):
            below, share = self.places[axis + 1]
            low = plane.take(below, axis)
            high = plane.take(np.minimum(below + 1, plane.shape[axis] - 1), axis)
            plane = low + (share[:, None] if axis == 0 else share) * (high - low)
        return plane


def _places(n: int, step: int, n_coarse: int) -> tuple[np.ndarray, np.ndarray]:
    at = np.arange(n) / step
    below = np.minimum(at.astype(np.int64), n_coarse - 1)
    return below, (at - below).astype(np.float32)
