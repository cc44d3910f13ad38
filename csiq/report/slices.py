"""Orthogonal slices of a run's volumes as small JPEGs, all phases with one window."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from csiq.errors import RawDataError
from csiq.report.plots import data_uri

#: Name, the axes (of x y z) that run down and to the right, and the axis across.
_PLANES = (("axial", 1, 0, 2), ("coronal", 2, 0, 1), ("sagittal", 2, 1, 0))
#: Letter at the low and at the high end of x, y, z in RAS.
_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))
#: The brightest fraction of voxels that may saturate.
_SATURATED = 0.003


@dataclass(frozen=True)
class Volume:
    """A magnitude volume in the order of RAS, for display.

    Attributes
    ----------
    values : float32 array, (x, y, z)
        x to the right of the patient, y anterior, z superior, if the orientation is known.
    voxel_size : (float, float, float)
        mm, x y z.
    oriented : bool
        Whether the file knows the orientation; letters are shown only then.
    """

    values: np.ndarray
    voxel_size: tuple[float, float, float]
    oriented: bool


@dataclass(frozen=True)
class Slice:
    """One picture of the page.

    Attributes
    ----------
    plane : str
    uri : str
        JPEG as a data URI.
    width, height : int
        Pixels.
    letters : dict
        ``top``, ``bottom``, ``left``, ``right``: anatomical direction, empty where unknown.
    """

    plane: str
    uri: str
    width: int
    height: int
    letters: dict[str, str]


def read_volume(path: Path) -> Volume:
    """Read ``phase-N.nii.gz``.

    Raises
    ------
    RawDataError
        If it is damaged.
    """
    import nibabel

    try:
        image: Any = nibabel.load(path)
        oriented = int(image.header["sform_code"]) > 0 or int(image.header["qform_code"]) > 0
        image = nibabel.as_closest_canonical(image) if oriented else image
        values = np.asarray(image.dataobj, dtype=np.float32)
    except (OSError, ValueError, EOFError, nibabel.filebasedimages.ImageFileError) as error:
        raise RawDataError(f"cannot be read: {error}", file=path) from None
    if values.ndim != 3:
        raise RawDataError(f"expected three axes, got shape {values.shape}", file=path)
    dx, dy, dz = (float(v) for v in image.header.get_zooms()[:3])
    return Volume(np.nan_to_num(values), (dx, dy, dz), oriented)


def read_iterate(path: Path, index: int) -> Volume:
    """Read the magnitude of one phase (from 0) of ``iterates/iter-NNN.h5`` or ``volumes.h5``.

    Raises
    ------
    RawDataError
        If it is damaged or has no such phase.
    """
    import nibabel

    from csiq.io.volumes import read_complex_volumes

    volumes, attributes = read_complex_volumes(path)
    if index >= len(volumes) or "affine" not in attributes:
        raise RawDataError(f"no phase {index + 1} with an affine", file=path, field="/volumes")
    magnitude = np.abs(volumes[index]).transpose(2, 1, 0)
    oriented = bool(attributes.get("orientation_known", True))
    image: Any = nibabel.Nifti1Image(magnitude, np.asarray(attributes["affine"], dtype=np.float64))
    image = nibabel.as_closest_canonical(image) if oriented else image
    dx, dy, dz = (float(v) for v in image.header.get_zooms()[:3])
    return Volume(np.nan_to_num(np.asarray(image.dataobj, dtype=np.float32)), (dx, dy, dz), oriented)


def window_of(volumes: list[Volume]) -> float:
    """Return the upper end of the one window: all but the brightest 0.3 % around the centre of the slices.

    Only the inner half of each edge counts: the chest wall near the coils may be far brighter than a heart.
    """
    shown = [_inner(plane[0]).ravel() for volume in volumes for plane in _planes(volume)]
    top = float(np.quantile(np.concatenate(shown), 1 - _SATURATED)) if shown else 0.0
    return top if top > 0 else 1.0


def _inner(pixels: np.ndarray) -> np.ndarray:
    rows, columns = (slice(n // 4, n - n // 4) for n in pixels.shape)
    return pixels[rows, columns]


def slices_of(volume: Volume, top: float, side: int = 300) -> list[Slice]:
    """Return the central slice in each orientation (one only of a single-slice scan).

    Shown as radiologists look at it: axial from the feet, coronal from the front, so that the patient's
    right is on the left; sagittal from the left.

    Parameters
    ----------
    volume : Volume
    top : float
        Value shown white; 0 is black.
    side : int
        Pixels of the longer side.
    """
    return [
        # without an orientation no plane has an anatomical name
        _picture(
            name if volume.oriented else f"{'xyz'[right]}{'xyz'[down]} plane",
            pixels,
            (down, right),
            volume,
            top,
            side,
        )
        for pixels, name, down, right in _planes(volume)
    ]


def _planes(volume: Volume) -> list[tuple[np.ndarray, str, int, int]]:
    planes = []
    for name, down, right, across in _PLANES:
        if volume.values.shape[down] == 1 or volume.values.shape[right] == 1:
            continue
        middle = volume.values.take(volume.values.shape[across] // 2, axis=across)
        # take drops the axis across; what remains is (smaller axis, larger axis): down is the larger
        planes.append((middle.T, name, down, right))
    return planes


def _picture(
    name: str, pixels: np.ndarray, axes: tuple[int, int], volume: Volume, top: float, side: int
) -> Slice:
    from PIL import Image

    down, right = axes
    # RAS grows to the right of the patient, to the front and to the head: up, and to the viewer's left
    turned = np.abs(pixels[::-1, ::-1])
    height_mm = turned.shape[0] * volume.voxel_size[down]
    width_mm = turned.shape[1] * volume.voxel_size[right]
    scale = side / max(height_mm, width_mm)
    size = (max(1, round(width_mm * scale)), max(1, round(height_mm * scale)))
    grey = np.clip(turned / top * 255, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
    letters = {
        "top": _LETTERS[down][1],
        "bottom": _LETTERS[down][0],
        "left": _LETTERS[right][1],
        "right": _LETTERS[right][0],
    }
    uri = data_uri(buffer.getvalue(), "image/jpeg")
    return Slice(name, uri, *size, letters if volume.oriented else dict.fromkeys(letters, ""))
