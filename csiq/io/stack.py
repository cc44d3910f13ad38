"""From images that come one by one, slices or volumes, to phases on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from csiq.acquisition import Geometry
from csiq.errors import RawDataError
from csiq.io.geometry import geometry_from_affine, unknown_geometry
from csiq.io.image_set import ImageSet

#: Share of a voxel, or of a direction, by which slices of a stack may differ.
_EVEN = 0.02


class Slice(NamedTuple):
    """One image: its voxels (z, y, x), z = 1 for a slice, and where they lie."""

    values: np.ndarray
    geometry: Geometry


def stack(slices: Sequence[Slice], path: Path, **about: Any) -> ImageSet:
    """Return images of one series as phases; slices are put in order along their normal.

    Several images at one place are phases, in the order they come.

    Parameters
    ----------
    slices : sequence of Slice
    path : Path
        For messages.
    **about
        Further fields of :class:`csiq.io.image_set.ImageSet`.

    Raises
    ------
    RawDataError
        If they differ in size or direction, or are not evenly spaced.
    """
    if not slices:
        raise RawDataError("holds no image", file=path)
    first = slices[0].geometry
    for other in slices[1:]:
        _check_alike(first, other.geometry, path)
    notes = list(about.pop("warnings", ()))
    if not first.known:
        notes.append("orientation is missing or not orthonormal: the place of its voxels is not known")
    if first.shape[0] > 1:
        if not all(np.allclose(one.geometry.affine, first.affine, atol=0.01) for one in slices):
            raise RawDataError("holds volumes at several places", file=path)
        values, geometry = np.stack([one.values for one in slices]), first
    else:
        values, geometry = _of_slices(slices, path)
    return ImageSet(values, geometry, path.name, warnings=tuple(notes), **about)


def _check_alike(one: Geometry, other: Geometry, path: Path) -> None:
    if one.shape != other.shape or one.known != other.known:
        raise RawDataError("slices differ in orientation or size", file=path)
    apart = np.abs(one.affine[:3, :3] - other.affine[:3, :3]).max()
    if apart > _EVEN * min(one.voxel_size):
        raise RawDataError("slices differ in orientation or size", file=path)


def _of_slices(slices: Sequence[Slice], path: Path) -> tuple[np.ndarray, Geometry]:
    first = slices[0].geometry
    if not first.known:
        # The order of the file is all there is
        values = np.concatenate([one.values for one in slices])[None]
        fov = (first.fov[0] * len(slices), first.fov[1], first.fov[2])
        return values, unknown_geometry((len(slices), *first.shape[1:]), fov)
    normal = np.cross(first.affine[:3, 0], first.affine[:3, 1])
    normal /= np.linalg.norm(normal)
    # Towards where the file says z points, so that a stack that is written comes back as it was
    normal *= np.sign(normal @ first.affine[:3, 2])
    corners = np.array([one.geometry.affine[:3, 3] for one in slices])
    heights = corners @ normal
    places: dict[float, list[int]] = {}
    for at in np.argsort(heights, kind="stable"):
        near = next((h for h in places if abs(h - heights[at]) < _EVEN * first.fov[0]), None)
        places.setdefault(float(heights[at]) if near is None else near, []).append(int(at))
    rows = list(places.values())
    if len({len(row) for row in rows}) > 1:
        raise RawDataError("slices are missing, doubled or not evenly spaced", file=path)
    lowest = np.array([corners[row[0]] for row in rows])
    affine = first.affine.copy()
    affine[:3, 2] = _step(lowest, normal, path) if len(rows) > 1 else normal * first.fov[0]
    affine[:3, 3] = lowest[0]
    values = np.stack(
        [np.concatenate([slices[row[phase]].values for row in rows]) for phase in range(len(rows[0]))]
    )
    shape = (len(rows), first.shape[1], first.shape[2])
    return values, geometry_from_affine(shape, affine, known=True, file=path)


def _step(corners: np.ndarray, normal: np.ndarray, path: Path) -> np.ndarray:
    """Return the vector from a slice to the next, for corners in order."""
    steps = np.diff(corners, axis=0)
    mean = steps.mean(axis=0)
    spacing = float(mean @ normal)
    if np.abs(steps @ normal - spacing).max() > _EVEN * spacing:
        raise RawDataError("slices are missing, doubled or not evenly spaced", file=path)
    if np.linalg.norm(mean - spacing * normal) > _EVEN * spacing:
        raise RawDataError("slices are not stacked along their normal (tilted)", file=path)
    return np.asarray(spacing * normal)
