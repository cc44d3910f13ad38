"""A volume as the page shows it: 1 mm voxels, 8 bits by one rule for all, and as small as it gets.

The rule: white is the value that 99.7 % of the voxels in the inner half of each edge do not exceed (the
heart; the chest wall near the coils may be far brighter). 0 is black, and half as much again above white is
kept so that the window can be opened. Of the file only its voxels are shown, and the letters of its
orientation if it knows that.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from csiq.errors import RawDataError
from csiq.reading.sources import Source

#: Fraction of the inner voxels that the standard window leaves below white.
WHITE = 0.997
#: The grey value (0-255) that the standard window shows white.
WHITE_GREY = 170
#: Voxels along an edge, at most: a browser has to hold them all.
MAX_EDGE = 512
#: Voxel sizes this near to 1 mm are left alone: over 208 voxels they add up to two.
_NEAR = 0.01


@dataclass(frozen=True)
class Displayed:
    """A volume ready to be shown.

    Attributes
    ----------
    grey : uint8 array, (z, y, x)
        1 mm voxels. z runs from head to feet, y from front to back, x from the patient's right to the left:
        as axial, coronal and sagittal slices are looked at.
    oriented : bool
        Whether these directions are known; else the axes are those of the file.
    """

    grey: np.ndarray
    oriented: bool


def displayed(source: Source) -> Displayed:
    """Read a volume and make it ready to be shown.

    Raises
    ------
    RawDataError
        If it is damaged, empty or too large.
    """
    read, voxel_size, oriented = _read(source)
    values = np.abs(np.nan_to_num(read, posinf=0, neginf=0))
    if not values.any():
        raise RawDataError("is empty: every voxel is zero", file=source.path)
    # NIfTI's RAS grows to the right, to the front and to the head: each is shown the other way round
    turned = values.transpose(2, 1, 0)[::-1, ::-1, ::-1]
    size = [n * v for n, v in zip(turned.shape, voxel_size[::-1], strict=True)]
    if max(size) > MAX_EDGE:
        raise RawDataError(f"{max(size):.0f} mm along an edge, at most {MAX_EDGE}", file=source.path)
    return Displayed(to_grey(to_millimetres(turned, voxel_size[::-1])), oriented)


def to_grey(values: np.ndarray) -> np.ndarray:
    """Return a magnitude volume in 8 bits.

    Parameters
    ----------
    values : float array, (z, y, x)

    Returns
    -------
    uint8 array, (z, y, x)
        0 is 0, ``WHITE_GREY`` the white of the standard window, 255 half as much again and all above.
    """
    inner = values[tuple(slice(n // 4, n - n // 4) for n in values.shape)]
    white = float(np.quantile(inner, WHITE)) or float(values.max()) or 1.0
    return np.clip(np.rint(values * (WHITE_GREY / white)), 0, 255).astype(np.uint8)


def to_millimetres(values: np.ndarray, voxel_size: tuple[float, ...]) -> np.ndarray:
    """Return a volume on voxels of 1 mm: cubic splines, after a Gaussian where voxels get larger.

    Parameters
    ----------
    values : float32 array, (z, y, x)
    voxel_size : (float, float, float)
        mm, z y x.
    """
    from scipy.ndimage import gaussian_filter, zoom

    if all(abs(v - 1) <= _NEAR for v in voxel_size):
        return values
    # a grid of 1 mm cannot hold what finer voxels do: half a new voxel's worth of it is smoothed away first
    sigma = [max(0.0, (1 / v - 1) / 2) for v in voxel_size]
    smooth = gaussian_filter(values, sigma, mode="nearest") if any(sigma) else values
    return np.maximum(zoom(smooth, voxel_size, order=3, mode="nearest", grid_mode=True), 0)


def encode(image_id: str, image: Displayed) -> str:
    """Return the script that hands an image to the page.

    A page opened from a folder may not fetch files, but may load scripts. The voxels are differences to the
    neighbour before (modulo 256; noise packs a tenth better so), deflated, in base64.

    Parameters
    ----------
    image_id : str
    image : Displayed
    """
    steps = image.grey.copy()
    steps[..., 1:] -= image.grey[..., :-1]
    packed = base64.b64encode(zlib.compress(steps.tobytes(), 6)).decode()
    header = json.dumps({"id": image_id, "shape": list(image.grey.shape), "oriented": image.oriented})
    return f'csiqImage({header},"{packed}");\n'


def _read(source: Source) -> tuple[np.ndarray, tuple[float, float, float], bool]:
    """Return values (x, y, z) nearest to RAS, voxel size x y z, and whether the orientation is known."""
    import nibabel

    from csiq.io.sniff import check_readable, identify

    if source.path.is_dir():
        return _from_dicom(source)
    check_readable(source.path)
    if identify(source.path) == "hdf5":
        image, oriented = _from_hdf5(source)
    else:
        image, oriented = _from_nifti(source)
    image = nibabel.as_closest_canonical(image) if oriented else image
    dx, dy, dz = (float(v) for v in image.header.get_zooms()[:3])
    return np.asarray(image.dataobj, dtype=np.float32), (dx, dy, dz), oriented


def _from_dicom(source: Source) -> tuple[np.ndarray, tuple[float, float, float], bool]:
    from csiq.io.dicom import read_series

    volume, (dz, dy, dx) = read_series(source.path)
    # from feet to head, front to back, right to left; RAS has the last two the other way round
    return volume.transpose(2, 1, 0)[::-1, ::-1], (dx, dy, dz), True


def _from_nifti(source: Source) -> tuple[Any, bool]:
    import nibabel

    from csiq.io.nifti import read_volume

    values, _, affine = read_volume(source.path)
    header: Any = nibabel.load(source.path).header
    oriented = int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
    return nibabel.Nifti1Image(values.transpose(2, 1, 0), affine), oriented


def _from_hdf5(source: Source) -> tuple[Any, bool]:
    import nibabel

    from csiq.io.volumes import read_complex_volumes

    volumes, attributes = read_complex_volumes(source.path)
    voxel = np.asarray(attributes.get("voxel_size_mm", ()), dtype=np.float64)
    if voxel.shape != (3,) or not (np.isfinite(voxel).all() and (voxel > 0).all()):
        raise RawDataError("no usable attribute voxel_size_mm", file=source.path, field="/volumes")
    oriented = "affine" in attributes and bool(attributes.get("orientation_known", True))
    affine = np.asarray(attributes["affine"]) if oriented else np.diag([*voxel[::-1], 1.0])
    return nibabel.Nifti1Image(np.abs(volumes[source.phase]).transpose(2, 1, 0), affine), oriented
