"""A vessel laid straight along its centreline: the straightened curved planar reformat.

References
----------
Kanitsar A, Fleischmann D, Wegenkittl R, Felkel P, Groeller ME. CPR: curved planar reformation. IEEE
Visualization 2002;37-44.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from csiq.quality.centreline import STEP, Field, Vessel, centreline

#: Half width of a straightened vessel, and from one sample to the next, mm.
HALF_WIDTH, SAMPLE = 10.0, 0.5
#: Voxels round the vessels that interpolation needs, mm.
_AROUND = 24.0


@dataclass(frozen=True)
class Flat:
    """A flattened picture.

    Attributes
    ----------
    pixels : float32 array, (down, right)
    sample : float
        mm from pixel to pixel.
    marks : mapping of str to (float, float)
        Where a name belongs, pixels down and right.
    """

    pixels: np.ndarray
    sample: float
    marks: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Scene:
    """A volume that can be asked for its value at any place of the patient.

    Attributes
    ----------
    field : Field
        Part of the volume.
    to_field : float array, (4, 4)
        RAS mm (x y z) to mm along the axes of the field (z y x).
    """

    field: Field
    to_field: np.ndarray

    @classmethod
    def around(cls, volume: np.ndarray, affine: np.ndarray, places: np.ndarray) -> Scene:
        """Return the part of a volume round places.

        Parameters
        ----------
        volume : float32 array, (z, y, x)
        affine : float array, (4, 4)
            Voxel (x, y, z) to RAS mm.
        places : float array, (n, 3)
            RAS mm, z y x.
        """
        size = np.linalg.norm(affine[:3, :3], axis=0)[::-1]
        flip = np.eye(4)[[2, 1, 0, 3]]
        to_index = flip @ np.linalg.inv(affine)
        index = _applied(to_index, places)
        low = np.floor(index.min(axis=0) - _AROUND / size).astype(int).clip(0, np.array(volume.shape) - 2)
        high = np.ceil(index.max(axis=0) + _AROUND / size).astype(int).clip(low + 2, volume.shape)
        part = volume[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        scaled = np.diag([*size, 1.0]) @ _shift(-low) @ to_index
        return cls(Field.cubic(np.ascontiguousarray(part), size), scaled)

    def at(self, places: np.ndarray) -> np.ndarray:
        """Return the values at places (..., 3) in RAS mm, z y x; 0 outside the volume."""
        points = _applied(self.to_field, places)
        return np.where(self.field.inside(points), self.field.at(points), 0.0).astype(np.float32)


def _shift(by: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = by
    return matrix


def _applied(matrix: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return places (..., 3), z y x, taken through a matrix of x y z."""
    return places[..., ::-1] @ matrix[:3, :3].T + matrix[:3, 3]


def straightened(scene: Scene, vessel: Vessel) -> Flat:
    """Return a vessel laid straight, from its ostium at the left: two cuts along it at right angles.

    Distances along the vessel and across it are true.
    """
    line = centreline(vessel)
    n = round((len(line.points) - 1) * STEP / SAMPLE) + 1
    place = np.linspace(0, len(line.points) - 1, n)
    points = _between(line.points, place)
    across = np.arange(-HALF_WIDTH, HALF_WIDTH + SAMPLE / 2, SAMPLE)
    cuts = []
    for direction in (0, 2):
        way = _between(line.directions[:, direction], place)
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        cuts.append(scene.at(points[None] + across[:, None, None] * way[None]))
    gap = np.zeros((2, n), np.float32)
    return Flat(np.concatenate([cuts[0], gap, cuts[1]]), SAMPLE, {})


def _between(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    steps = np.arange(len(values))
    return np.stack([np.interp(place, steps, values[:, a]) for a in range(3)], axis=1)
