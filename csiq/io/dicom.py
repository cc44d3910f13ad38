"""A DICOM series in a folder, as one volume with axes z, y, x."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from csiq.errors import ConfigError, RawDataError

#: Share by which the spacing of slices may vary.
_EVEN = 0.02


def read_series(folder: Path) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Read the series of a folder.

    Its axes are put in the order z, y, x of the patient (feet to head, front to back, right to left), each by
    the axis nearest to it; oblique volumes are not resampled.

    Returns
    -------
    volume : float32 array, (z, y, x)
    voxel_size : (float, float, float)
        mm, z y x.

    Raises
    ------
    RawDataError
        If the folder holds no DICOM image, several series, or slices that are missing.
    ConfigError
        If pydicom is not installed.
    """
    slices = _slices_in(folder)
    rows, columns = (np.array(slices[0].ImageOrientationPatient[i : i + 3], float) for i in (0, 3))
    normal = np.cross(rows, columns)
    order = sorted(slices, key=lambda one: float(normal @ np.array(one.ImagePositionPatient, float)))
    places = np.array([normal @ np.array(one.ImagePositionPatient, float) for one in order])
    steps = np.diff(places)
    if not (len(steps) and steps.min() > 0 and np.ptp(steps) <= _EVEN * steps.mean()):
        raise RawDataError("slices are missing, doubled or not evenly spaced", file=folder)
    volume = np.stack([_pixels(one, folder) for one in order])
    down, across = (float(size) for size in order[0].PixelSpacing)
    return _upright(volume, (normal, columns, rows), (float(steps.mean()), down, across))


def _slices_in(folder: Path) -> list[Any]:
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
    except ImportError:
        raise ConfigError("DICOM needs pydicom", file=folder, hint="pip install 'csiq[dicom]'") from None
    found = []
    for file in sorted(folder.iterdir()):
        if not file.is_file() or file.name.upper() == "DICOMDIR":
            continue
        try:
            one = pydicom.dcmread(file)
        except (InvalidDicomError, OSError, EOFError):
            continue
        if "PixelData" in one and "ImagePositionPatient" in one:
            found.append(one)
    series = {str(one.get("SeriesInstanceUID", "")) for one in found}
    if len(series) != 1:
        what = f"holds {len(series)} DICOM series, expected one" if series else "holds no DICOM image"
        raise RawDataError(what, file=folder)
    if len({(tuple(map(float, one.ImageOrientationPatient)), one.Rows, one.Columns) for one in found}) > 1:
        raise RawDataError("slices differ in orientation or size", file=folder)
    return found


def _pixels(one: Any, folder: Path) -> np.ndarray:
    try:
        stored = one.pixel_array
    except Exception as error:  # decoders raise what they like
        raise RawDataError(f"pixels cannot be decoded: {error}", file=folder) from None
    if stored.ndim != 2:
        raise RawDataError(f"expected grey slices, got shape {stored.shape}", file=folder)
    slope, intercept = float(one.get("RescaleSlope", 1)), float(one.get("RescaleIntercept", 0))
    return (stored * np.float32(slope) + np.float32(intercept)).astype(np.float32)


def _upright(
    volume: np.ndarray, axes: tuple[np.ndarray, ...], sizes: tuple[float, float, float]
) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Turn a volume whose axes point along ``axes`` (LPS) so that they are nearest to z, y, x."""
    directions = np.array(axes)[:, ::-1]  # columns: z, y, x
    left, order = list(range(3)), []
    for wanted in range(3):
        best = max(left, key=lambda axis: abs(directions[axis, wanted]))
        left.remove(best)
        order.append(best)
    turned = volume.transpose(order)
    for axis, held in enumerate(order):
        if directions[held, axis] < 0:
            turned = np.flip(turned, axis)
    z, y, x = (sizes[held] for held in order)
    return np.ascontiguousarray(turned), (z, y, x)
