"""What another program calls its image, as volumes to grade."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from csiq.arrays import Array, xp_of
from csiq.errors import ConfigError, ShapeError

VoxelSize = tuple[float, ...]


def checked_voxel_size(voxel_size: Sequence[float] | None) -> VoxelSize | None:
    """Return two or three positive sizes in mm, or None.

    Raises
    ------
    ConfigError
        If it is something else.
    """
    if voxel_size is None:
        return None
    sizes = tuple(float(v) for v in np.atleast_1d(voxel_size))
    if len(sizes) not in (2, 3) or not all(np.isfinite(v) and v > 0 for v in sizes):
        raise ConfigError(
            f"expected two or three positive sizes, got {sizes}",
            field="voxel_size",
            hint="mm, z y x for volumes, y x for slices",
        )
    return sizes


def as_array(image: Any) -> Array:
    """Return a NumPy or CuPy array as it is, a torch tensor on the host, and anything else as NumPy array."""
    if hasattr(image, "detach"):
        image = image.detach().cpu()
    return image if xp_of(image) is not np else np.asarray(image)


def volumes_of(image: Array, voxel_size: VoxelSize) -> tuple[Array, tuple[float, float, float]]:
    """Return an image as a stack of volumes, and their voxels.

    As many axes are space as there are voxel sizes; axes in front of them are phases. A slice becomes a
    volume of one slice, as thick as its voxels are high. An image of two axes with three voxel sizes is a
    slice too.

    Parameters
    ----------
    image : array, (..., z, y, x) or (..., y, x)
    voxel_size : tuple of float
        mm, z y x or y x.

    Returns
    -------
    volumes : array, (n_phases, z, y, x)
        A view where that is possible.
    voxel_size : (float, float, float)
        mm, z y x.

    Raises
    ------
    ShapeError
        If the image has fewer than two axes, or no voxels.
    """
    image = as_array(image)
    if image.ndim < 2 or 0 in image.shape:
        raise ShapeError(
            f"expected an image (..., z, y, x), got shape {tuple(image.shape)}",
            field="image",
            hint="image= says where the image is, where alg.x is none",
        )
    n_space = min(len(voxel_size), image.ndim)
    space = tuple(image.shape[-n_space:])
    depth = (1,) if n_space == 2 else ()
    sizes = voxel_size if len(voxel_size) == 3 else (voxel_size[0], *voxel_size)
    dz, dy, dx = sizes
    return image.reshape(-1, *depth, *space), (dz, dy, dx)


def has_signal(image: Array) -> bool:
    """Return whether any voxel of an image differs from zero."""
    image = as_array(image)
    return bool(xp_of(image).any(image != 0))
