"""Orthogonal slices of a run's volumes as they are shown: turned by the affine, with letters and a scale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from csiq.errors import RawDataError
from csiq.io.sniff import check_readable

#: Name, the axes (of x y z) that run down and to the right, and the axis across.
_PLANES = (("axial", 1, 0, 2), ("coronal", 2, 0, 1), ("sagittal", 2, 1, 0))
#: Letters of the ways along x, y, z of RAS, back and forth.
_LETTERS = (("L", "R"), ("P", "A"), ("F", "H"))
#: An oblique axis gets a second letter from this part of its length on.
_OBLIQUE = 0.3
#: The brightest fraction of voxels that may saturate.
_SATURATED = 0.003


@dataclass(frozen=True)
class Volume:
    """A magnitude volume in the order of RAS, for display.

    Attributes
    ----------
    values : float32 or complex64 array, (x, y, z)
        x to the right of the patient, y anterior, z superior, if the orientation is known. Slices show the
        magnitude.
    voxel_size : (float, float, float)
        mm, x y z.
    oriented : bool
        Whether the file knows the orientation; without one the letters are question marks.
    directions : float array, (3, 3), optional
        Column a is the way along axis a in RAS; straight to the right, front and head by default.
    """

    values: np.ndarray
    voxel_size: tuple[float, float, float]
    oriented: bool
    directions: np.ndarray | None = None


@dataclass(frozen=True)
class Slice:
    """One slice as radiologists look at it.

    Axial from the feet, coronal from the front, so that the patient's right is on the left; sagittal from the
    left.

    Attributes
    ----------
    plane : str
    pixels : float32 array, (down, right)
        Magnitude.
    mm : (float, float)
        Height and width.
    letters : dict
        ``top``, ``bottom``, ``left``, ``right``: R, L, A, P, H (head) or F (feet); ``?`` where unknown.
    """

    plane: str
    pixels: np.ndarray
    mm: tuple[float, float]
    letters: dict[str, str]


def read_volume(path: Path) -> Volume:
    """Read ``phase-N.nii.gz``.

    Raises
    ------
    RawDataError
        If it is damaged.
    """
    import nibabel

    check_readable(path)
    try:
        image: Any = nibabel.load(path)
        oriented = int(image.header["sform_code"]) > 0 or int(image.header["qform_code"]) > 0
        values = np.asarray(image.dataobj, dtype=np.float32)
    except (OSError, ValueError, EOFError, nibabel.filebasedimages.ImageFileError) as error:
        raise RawDataError(f"cannot be read: {error}", file=path) from None
    if values.ndim != 3:
        raise RawDataError(f"expected three axes, got shape {values.shape}", file=path)
    if oriented:
        return volume_of(np.nan_to_num(values), image.affine, oriented=True)
    dx, dy, dz = (float(v) for v in image.header.get_zooms()[:3])
    # without an orientation the axes stay as they are in the file
    return Volume(np.nan_to_num(values), (dx, dy, dz), False)


def volume_of(values: np.ndarray, affine: np.ndarray, *, oriented: bool) -> Volume:
    """Return a volume (x, y, z) turned by its affine, so that its axes are nearest to right, front and head.

    Parameters
    ----------
    values : real or complex array, (x, y, z)
        Not copied.
    affine : float array, (4, 4)
        Voxel to RAS mm.
    oriented : bool
        Whether the affine is one of the patient; if not, only its voxel sizes count.
    """
    from nibabel.orientations import apply_orientation, io_orientation

    columns = np.asarray(affine, dtype=np.float64)[:3, :3]
    sizes = np.linalg.norm(columns, axis=0)
    if not oriented:
        return Volume(values, (float(sizes[0]), float(sizes[1]), float(sizes[2])), False)
    turn = io_orientation(affine)
    from_axis = [list(turn[:, 0]).index(axis) for axis in range(3)]
    signs = turn[from_axis, 1]
    x, y, z = (float(sizes[axis]) for axis in from_axis)
    directions = (columns / sizes)[:, from_axis] * signs
    return Volume(apply_orientation(values, turn), (x, y, z), True, directions)


def window_of(volumes: list[Volume]) -> float:
    """Return the upper end of the one window of volumes; see :func:`window_of_slices`."""
    return window_of_slices([shown for volume in volumes for shown in slices_of(volume)])


def window_of_slices(slices: list[Slice]) -> float:
    """Return the upper end of the one window: all but the brightest 0.3 % around the centre of the slices.

    Only the inner half of each edge counts: the chest wall near the coils may be far brighter than a heart.
    """
    shown = [_inner(one.pixels).ravel() for one in slices]
    top = float(np.quantile(np.concatenate(shown), 1 - _SATURATED)) if shown else 0.0
    return top if top > 0 else 1.0


def _inner(pixels: np.ndarray) -> np.ndarray:
    rows, columns = (slice(n // 4, n - n // 4) for n in pixels.shape)
    return pixels[rows, columns]


def slices_of(volume: Volume) -> list[Slice]:
    """Return the central slice in each orientation (one only of a single-slice scan)."""
    found = []
    for name, down, right, across in _PLANES:
        if volume.values.shape[down] == 1 or volume.values.shape[right] == 1:
            continue
        middle = volume.values.take(volume.values.shape[across] // 2, axis=across)
        found.append(slice_of(volume, name, np.abs(middle)))
    return found


def slice_of(volume: Volume, plane: str, middle: np.ndarray) -> Slice:
    """Return a slice of a volume as it is shown.

    Parameters
    ----------
    volume : Volume
    plane : str
        axial, coronal or sagittal.
    middle : float array
        The slice, its two axes in the order of x y z.
    """
    name, down, right, _ = next(p for p in _PLANES if p[0] == plane)
    # what remains of x y z is (smaller axis, larger axis): down is the larger. RAS grows to the right of the
    # patient, to the front and to the head: up, and to the viewer's left
    pixels = np.nan_to_num(middle.T[::-1, ::-1]).astype(np.float32)
    mm = (pixels.shape[0] * volume.voxel_size[down], pixels.shape[1] * volume.voxel_size[right])
    (bottom, top), (low, high) = _letters(volume, down), _letters(volume, right)
    letters = {"top": top, "bottom": bottom, "left": high, "right": low}
    # without an orientation no plane has an anatomical name
    return Slice(name if volume.oriented else f"{'xyz'[right]}{'xyz'[down]} plane", pixels, mm, letters)


def _letters(volume: Volume, axis: int) -> tuple[str, str]:
    """Return the letters at the low and the high end of an axis; of an oblique axis two, the nearer first."""
    if not volume.oriented:
        return "?", "?"
    way = np.eye(3)[axis] if volume.directions is None else volume.directions[:, axis]
    parts = [int(p) for p in np.argsort(-np.abs(way), kind="stable")[:2]]
    named = [p for p in parts if p == parts[0] or abs(way[p]) >= _OBLIQUE]
    low, high = ("".join(_LETTERS[p][int((way[p] > 0) == end)] for p in named) for end in (False, True))
    return low, high
