"""NIfTI files as images of several phases, with their place in the patient."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from csiq.io.geometry import geometry_from_affine
from csiq.io.image_set import ImageSet, as_voxels
from csiq.io.nifti import load_array, write_array
from csiq.io.sniff import check_readable

#: Lengths in mm of NIfTI's other units.
_UNITS = {"meter": 1e3, "micron": 1e-3}

#: Distance in mm between two placements of a corner that still counts as none.
_AGREE = 0.1


def write_nifti_images(
    path: str | Path, images: ImageSet, *, sidecar: Mapping[str, Any] | None = None
) -> None:
    """Write images of one or several phases; several are the fourth axis.

    Parameters
    ----------
    path : path
        Ends in ``.nii.gz`` or ``.nii``.
    images : ImageSet
        Complex voxels stay complex, which few viewers show; :meth:`ImageSet.magnitude` before is the usual.
    sidecar : mapping, optional
        As for :func:`write_nifti`.

    Raises
    ------
    ShapeError
        If the name is none of NIfTI's.
    ResourceError
        If it cannot be written.
    """
    values = images.values[0] if images.n_phases == 1 else images.values
    write_array(Path(path), values, images.geometry, sidecar)


def read_nifti_images(path: str | Path) -> ImageSet:
    """Read the volumes of a NIfTI file and where they lie; those on its fourth axis are phases.

    The sform says where they lie, as in most programs, or the qform where there is none. With code 0 in both
    the orientation is not known.

    Raises
    ------
    RawDataError
        If it is damaged, no volume, or its axes are sheared.
    ConfigError
        If there is no such file.
    """
    path = Path(path)
    check_readable(path, "an image")
    values, image = load_array(path)
    header, notes = image.header, []
    factor = _UNITS.get(header.get_xyzt_units()[0], 1.0)
    codes = [int(header[name]) for name in ("sform_code", "qform_code")]
    affine = np.diag([factor, factor, factor, 1.0]) @ np.asarray(image.affine, dtype=np.float64)
    known = any(codes)
    if all(codes) and _apart(header.get_sform(), header.get_qform(), image.shape) * factor > _AGREE:
        notes.append("its qform and its sform disagree; the sform is taken")
    if not known:
        affine = np.diag([*np.array(header.get_zooms()[:3], np.float64) * factor, 1.0])
        notes.append("its qform and sform have code 0: the orientation is not known")
    z, y, x = values.shape[1:]
    geometry = geometry_from_affine((z, y, x), affine, known=known, file=path)
    return ImageSet(as_voxels(values), geometry, name=path.name, warnings=tuple(notes))


def _apart(one: np.ndarray, other: np.ndarray, shape: tuple[int, ...]) -> float:
    """Return how far two affines place a corner apart, at most."""
    corners = np.array(list(product(*((0, n - 1) for n in shape[:3]))))
    moved = (one - other)[:3]
    return float(np.linalg.norm(corners @ moved[:, :3].T + moved[:, 3], axis=1).max())
