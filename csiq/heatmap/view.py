"""Slices of a volume and its maps as people look at them: turned by the affine, one window for all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from csiq.io.sniff import identify
from csiq.io.volumes import read_complex_volumes
from csiq.quality.patches import ORIENTATIONS

#: Across which axis of x y z (right, anterior, superior) each orientation cuts.
ACROSS = {"axial": 2, "coronal": 1, "sagittal": 0}
#: The brightest fraction of the voxels near the centre that may saturate.
_SATURATED = 0.003


@dataclass(frozen=True)
class View:
    """A volume with its maps in the order of RAS.

    Attributes
    ----------
    image, heat, relevance : float32 array, (x, y, z)
        x to the right of the patient, y anterior, z superior, if the orientation is known.
    voxel_size : (float, float, float)
        mm, x y z.
    top : float
        Magnitude shown white.
    """

    image: np.ndarray
    heat: np.ndarray
    relevance: np.ndarray
    voxel_size: tuple[float, float, float]
    top: float

    def places(self, orientation: str, offsets: tuple[float, ...]) -> list[int]:
        """Return the slices nearest to offsets in mm from the centre; the same slices of any volume."""
        axis = ACROSS[orientation]
        n, size = self.image.shape[axis], self.voxel_size[axis]
        return [int(np.clip(round(n // 2 + offset / size), 0, n - 1)) for offset in offsets]

    def plane(self, values: np.ndarray, orientation: str, place: int) -> np.ndarray:
        """Return one slice as radiologists look at it, rows downwards.

        Axial from the feet, coronal from the front (the patient's right is on the left), sagittal from the
        left.
        """
        taken = values.take(place, axis=ACROSS[orientation])
        return taken.T[::-1, ::-1]

    def aspect(self, orientation: str) -> float:
        """Return height over width of a voxel as shown."""
        across = ACROSS[orientation]
        right, down = (size for axis, size in enumerate(self.voxel_size) if axis != across)
        return down / right


def view_of(volume: np.ndarray, heat: np.ndarray, relevance: np.ndarray, affine: np.ndarray) -> View:
    """Return a volume and its maps, all (z, y, x) on one grid, ready to be shown.

    Parameters
    ----------
    volume, heat, relevance : float32 arrays, (z, y, x)
    affine : float array, (4, 4)
        Voxel (x, y, z) to RAS mm.
    """
    import nibabel

    turn = nibabel.io_orientation(affine)
    image, heat, relevance = (
        nibabel.apply_orientation(values.transpose(2, 1, 0), turn) for values in (volume, heat, relevance)
    )
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    x, y, z = (float(sizes[list(turn[:, 0]).index(axis)]) for axis in range(3))
    inner = image[tuple(slice(n // 4, n - n // 4) for n in image.shape)]
    top = float(np.quantile(inner, 1 - _SATURATED)) if inner.size else 0.0
    return View(image, heat, relevance, (x, y, z), top if top > 0 else 1.0)


def array_orientation(orientation: str, affine: np.ndarray) -> str:
    """Return which orientation of the array (across z, y, x) shows an anatomical one.

    The network knows array axes only: in a volume stored as sagittal slices, axial ones lie across another.

    Parameters
    ----------
    orientation : str
        ``axial``, ``coronal`` or ``sagittal``, of the patient.
    affine : float array, (4, 4)
    """
    import nibabel

    axes = [int(axis) for axis in nibabel.io_orientation(affine)[:, 0]]
    return ORIENTATIONS[2 - axes.index(ACROSS[orientation])]


def orientation_known(path: Path) -> bool:
    """Return whether a volume's file says how it lies in the patient."""
    if identify(path) == "hdf5":
        _, attributes = read_complex_volumes(path)
        return "affine" in attributes and bool(attributes.get("orientation_known", True))
    import nibabel

    header: Any = nibabel.load(path).header
    return int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
