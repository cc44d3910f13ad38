"""Images in BART's files, with a JSON beside them that says where they lie: BART's own do not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from csiq.acquisition import Geometry
from csiq.errors import RawDataError
from csiq.io.cfl import data_of, read_cfl_volumes, write_cfl
from csiq.io.geometry import geometry_from_affine, unknown_geometry
from csiq.io.image_set import ImageSet, as_voxels
from csiq.io.images import NoVoxelSize
from csiq.io.nifti import sidecar_of
from csiq.io.tables import read_json, write_json

#: BART's dimensions between space and its eleventh, which is time: csiq's phases lie there.
_BETWEEN = (1,) * 7


def write_cfl_images(path: str | Path, images: ImageSet, *, sidecar: Mapping[str, Any] | None = None) -> None:
    """Write images; phases become BART's dimension 10, time. ``NAME.cfl.json`` says where they lie.

    Parameters
    ----------
    path : path
        With ``.cfl``, ``.hdr`` or neither.
    images : ImageSet
    sidecar : mapping, optional
        What the JSON says besides.
    """
    values = images.values if images.n_phases > 1 else images.values[0]
    if images.n_phases > 1:
        values = values.reshape(len(values), *_BETWEEN, *values.shape[1:])
    write_cfl(path, values)
    write_json(sidecar_of(data_of(path)), {**(sidecar or {}), "geometry": geometry_record(images.geometry)})


def read_cfl_images(path: str | Path, voxel_size: tuple[float, float, float] | None = None) -> ImageSet:
    """Read images; where there is no JSON beside them, their place is not known.

    Parameters
    ----------
    path : path
    voxel_size : (float, float, float), optional
        mm, z y x: needed where there is no JSON, and believed before it.

    Raises
    ------
    RawDataError
        If they are damaged or no images.
    NoVoxelSize
        If nothing says how large the voxels are.
    """
    file = data_of(path)
    values, beside = read_cfl_volumes(path), sidecar_of(file)
    z, y, x = values.shape[1:]
    record = read_json(beside) if beside.is_file() else {}
    record = record if isinstance(record, dict) else {}
    if voxel_size is not None or "geometry" not in record:
        if voxel_size is None:
            raise NoVoxelSize("BART's files have no voxel size", file=file, hint="--voxel-size Z Y X, in mm")
        dz, dy, dx = voxel_size
        geometry = unknown_geometry((z, y, x), (z * dz, y * dy, x * dx))
    else:
        geometry = geometry_of_record(record["geometry"], (z, y, x), beside)
    simulated = record.get("simulated")
    return ImageSet(
        as_voxels(values), geometry, file.name, simulated if isinstance(simulated, bool) else None
    )


def geometry_record(geometry: Geometry) -> dict[str, Any]:
    """Return a geometry as JSON has it; :func:`geometry_of_record` is the way back."""
    return {
        "matrix": list(geometry.shape),
        "voxel_size_mm": list(geometry.voxel_size),
        "axes": "z y x",
        "affine": geometry.affine,
        "affine_axes": "voxel x y z to RAS mm",
        "orientation_known": geometry.known,
    }


def geometry_of_record(record: Any, shape: tuple[int, int, int], file: Path) -> Geometry:
    """Return the geometry that a JSON says.

    Raises
    ------
    RawDataError
        If it says none, or one of another shape.
    """
    try:
        affine = np.array(record["affine"], dtype=np.float64).reshape(4, 4)
        stated = tuple(int(n) for n in record["matrix"])
        known = bool(record["orientation_known"])
    except (KeyError, TypeError, ValueError):
        raise RawDataError("no usable geometry", file=file, field="geometry") from None
    if stated != shape:
        raise RawDataError(f"says matrix {stated}, the data have {shape}", file=file, field="geometry/matrix")
    return geometry_from_affine(shape, affine, known=known, file=file)
