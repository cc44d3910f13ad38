"""From a scanner's coordinates to those of NIfTI, and back: the only place where left becomes right.

ISMRMRD and Siemens give positions and directions in LPS (x to the patient's left, y to the back, z to the
head), NIfTI affines are RAS. The readout, phase and slice directions are the axes x, y, z of the image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from csiq.acquisition import Geometry
from csiq.errors import RawDataError

#: LPS to RAS and back: x and y change sign.
FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])

#: Cosine between two axes that still counts as none: 0.06 degrees, as rounded header text has it.
_PERPENDICULAR = 1e-3


def geometry_from_lps(
    shape: tuple[int, int, int],
    fov: tuple[float, float, float],
    position: np.ndarray,
    directions: np.ndarray,
) -> Geometry:
    """Return the geometry of a volume given in LPS.

    Parameters
    ----------
    shape, fov : z y x; voxels and mm
    position : float array, (3,)
        Of the centre of the field of view (voxel ``n // 2``), LPS in mm.
    directions : float array, (3, 3)
        Rows: unit vectors of the readout (x), phase (y) and slice (z) axis, LPS.

    Returns
    -------
    Geometry
        ``known`` is False, and the axes those of the patient, if the vectors are missing, zero, not finite
        or not orthonormal.
    """
    axes = np.asarray(directions, dtype=np.float64)
    centre = np.asarray(position, dtype=np.float64)
    known = bool(np.isfinite(axes).all() and np.isfinite(centre).all())
    # float32 direction cosines are good to 1e-7, rounded text to 1e-4
    known = known and bool(np.abs(axes @ axes.T - np.eye(3)).max() < _PERPENDICULAR)
    if not known:
        axes, centre = FLIP[:3, :3], np.zeros(3)
    n = np.array(shape[::-1])
    lps = np.eye(4)
    lps[:3, :3] = axes.T * (np.array(fov[::-1]) / n)
    lps[:3, 3] = centre - lps[:3, :3] @ (n // 2)
    return Geometry(shape=shape, fov=fov, affine=FLIP @ lps, known=known)


def lps_from_geometry(geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Return position and directions in LPS, as :func:`geometry_from_lps` takes them.

    Zero vectors stand for an orientation that is not known.
    """
    if not geometry.known:
        return np.zeros(3), np.zeros((3, 3))
    lps = FLIP @ geometry.affine
    n = np.array(geometry.shape[::-1])
    position = lps[:3, :3] @ (n // 2) + lps[:3, 3]
    directions = (lps[:3, :3] / np.linalg.norm(lps[:3, :3], axis=0)).T
    return position, directions


def geometry_from_affine(
    shape: tuple[int, int, int], affine: np.ndarray, *, known: bool, file: str | Path
) -> Geometry:
    """Return the geometry of voxels whose RAS affine is given.

    Parameters
    ----------
    shape : (int, int, int)
        z y x.
    affine : float array, (4, 4)
        Voxel (x, y, z) to RAS mm.
    known : bool
        Whether the directions and the place mean anything; if not, only the voxel size is kept.
    file : path
        For messages.

    Raises
    ------
    RawDataError
        If it is not finite, has an axis of length 0, or its axes are not perpendicular (sheared).
    """
    matrix = np.asarray(affine, dtype=np.float64)
    sizes = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.isfinite(matrix).all() or not (sizes > 0).all():
        raise RawDataError("its affine is not finite or has no voxel size", file=file, field="affine")
    axes = matrix[:3, :3] / sizes
    if np.abs(axes.T @ axes - np.eye(3)).max() > _PERPENDICULAR:
        raise RawDataError(
            "its axes are not perpendicular (sheared)", file=file, field="affine", hint="resample it first"
        )
    dx, dy, dz = (float(size) for size in sizes)
    fov = (dz * shape[0], dy * shape[1], dx * shape[2])
    if known:
        return Geometry(shape, fov, matrix)
    return unknown_geometry(shape, fov)


def unknown_geometry(shape: tuple[int, int, int], fov: tuple[float, float, float]) -> Geometry:
    """Return the geometry of voxels that nobody knows the place of; z y x, mm."""
    return geometry_from_lps(shape, fov, np.zeros(3), np.zeros((3, 3)))


def lps_affine(geometry: Geometry) -> np.ndarray:
    """Return the affine of voxel (x, y, z) to LPS mm, as DICOM has it."""
    return np.asarray(FLIP @ geometry.affine)
