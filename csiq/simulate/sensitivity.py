"""What varies slowly, coil sensitivities above all, kept on a coarse grid and interpolated where needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from csiq.arrays import Array, xp_of
from csiq.simulate.anatomy.shapes import Grid

if TYPE_CHECKING:
    from csiq.simulate.layers import Coils

_SPACING = 4.0  # mm: loops are 4 cm and more away from what is inside the body

#: For each axis the index below each fine voxel, and its share of the way to the next.
Places = tuple[tuple[np.ndarray, np.ndarray], ...]


@dataclass(frozen=True)
class Maps:
    """Sensitivities on a coarse grid, interpolated linearly where they are asked for.

    Attributes
    ----------
    coarse : complex64 array, (n_coils, z, y, x)
    places : Places
    """

    coarse: np.ndarray
    places: Places

    @classmethod
    def of(cls, coils: Coils, grid: Grid) -> Maps:
        """Return the sensitivities of coils on a grid."""
        size = np.array(grid.voxel_size)
        wide = size * np.maximum(np.rint(_SPACING / size), 1)
        shape = [
            int(np.ceil((n - 1) * s / w - 1e-6)) + 1 for n, s, w in zip(grid.shape, size, wide, strict=True)
        ]
        # the first voxels of both grids are at one place
        centre = [float(c) for c in grid.origin + wide * (np.array(shape) // 2)]
        step = [float(w) for w in wide]
        coarse = Grid(
            (shape[0], shape[1], shape[2]), (step[0], step[1], step[2]), (centre[0], centre[1], centre[2])
        )
        return cls(coils.sensitivities(coarse), places_of(coarse, grid))

    @property
    def n_coils(self) -> int:
        """Number of channels."""
        return int(self.coarse.shape[0])

    def times(self, coil: int, image: Array) -> Array:
        """Return an image on the fine grid as a coil sees it, complex64, on the image's device."""
        xp = xp_of(image)
        if xp is not np:
            return image * whole(xp.asarray(self.coarse[coil]), self.places)
        seen = np.empty(image.shape, np.complex64)
        for number, plane in enumerate(planes(self.coarse[coil], self.places)):
            np.multiply(image[number], plane, out=seen[number])
        return seen


def places_of(coarse: Grid, fine: Grid) -> Places:
    """Return where the voxels of a fine grid lie among those of a coarse one; at its edge if beyond."""
    places = []
    for axis in range(3):
        at = (fine.axis(axis) - coarse.origin[axis]) / coarse.voxel_size[axis]
        at = np.clip(np.where(np.abs(at - np.rint(at)) < 1e-6, np.rint(at), at), 0, coarse.shape[axis] - 1)
        below = np.minimum(at.astype(np.int64), max(coarse.shape[axis] - 2, 0))
        places.append((below, (at - below).astype(np.float32)))
    return tuple(places)


def planes(coarse: np.ndarray, places: Places) -> Iterator[np.ndarray]:
    """Yield the slices of a fine grid, interpolated linearly from a coarse one."""
    below, share = places[0]
    known: dict[int, np.ndarray] = {}
    for first, part in zip(below.tolist(), share.tolist(), strict=True):
        for number in (first, first + 1):
            if number not in known and number < len(coarse):
                known.pop(number - 2, None)
                known[number] = _plane(coarse[number], places)
        plane = known[first]
        yield plane + np.float32(part) * (known[first + 1] - plane) if part > 0 else plane


def whole(coarse: Array, places: Places) -> Array:
    """Return all slices of :func:`planes` at once, in more memory.

    A GPU takes less time for it than for starting to work on slice after slice.
    """
    xp = xp_of(coarse)
    for axis in (1, 2, 0):  # the order of planes
        below, share = (xp.asarray(part) for part in places[axis])
        low = coarse.take(below, axis)
        high = coarse.take(xp.minimum(below + 1, coarse.shape[axis] - 1), axis)
        coarse = low + share.reshape([-1 if a == axis else 1 for a in range(3)]) * (high - low)
    return coarse


def _plane(plane: np.ndarray, places: Places) -> np.ndarray:
    for axis in (0, 1):
        below, share = places[axis + 1]
        low = plane.take(below, axis)
        high = plane.take(np.minimum(below + 1, plane.shape[axis] - 1), axis)
        plane = low + (share[:, None] if axis == 0 else share) * (high - low)
    return plane
