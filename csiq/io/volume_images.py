"""csiq's own ``volumes.h5`` as images with their place in the patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from csiq.errors import RawDataError
from csiq.io.geometry import geometry_from_affine, unknown_geometry
from csiq.io.image_set import ImageSet
from csiq.io.volumes import read_complex_volumes


def read_volume_images(path: str | Path, voxel_size: tuple[float, float, float] | None = None) -> ImageSet:
    """Read what :func:`csiq.io.volumes.write_volumes` wrote.

    Parameters
    ----------
    path : path
    voxel_size : (float, float, float), optional
        mm, z y x: for files of other programs that do not say it; their place is not known then.

    Raises
    ------
    RawDataError
        If the file is damaged, holds no such dataset, or does not say how large its voxels are.
    """
    path = Path(path)
    values, attributes = read_complex_volumes(path)
    shape = (int(values.shape[1]), int(values.shape[2]), int(values.shape[3]))
    size = np.asarray(attributes.get("voxel_size_mm", ()) if voxel_size is None else voxel_size, np.float64)
    if size.shape != (3,) or not (np.isfinite(size).all() and (size > 0).all()):
        hint = "--voxel-size Z Y X, in mm"
        raise RawDataError("no usable attribute voxel_size_mm", file=path, field="/volumes", hint=hint)
    affine = np.asarray(attributes.get("affine", ()), np.float64)
    if voxel_size is not None or affine.shape != (4, 4):
        fov = tuple(float(n * d) for n, d in zip(shape, size, strict=True))
        return ImageSet(values, unknown_geometry(shape, (fov[0], fov[1], fov[2])), path.name)
    known = bool(attributes.get("orientation_known", True))
    return ImageSet(values, geometry_from_affine(shape, affine, known=known, file=path), path.name)
