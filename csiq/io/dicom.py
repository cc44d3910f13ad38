"""A DICOM series, or one a phase, in a folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from csiq.acquisition import Geometry
from csiq.errors import ConfigError, CsiqError, RawDataError, one_line
from csiq.io.dicom_write import IDENTITY, SYSTEM
from csiq.io.geometry import FLIP, geometry_from_affine, unknown_geometry
from csiq.io.image_set import ImageSet
from csiq.io.stack import Slice, stack

_CLASSIC = "export it as a classic series, a file a slice"
_AGAIN = "copy it again, or take it out of the folder"
#: Names that are meant for DICOM; files of other names may be anything.
_SUFFIXES = (".dcm", ".ima")

_PHASE = re.compile(r"phase-(\d+)")


def read_series(folder: Path) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Read the one series of a folder, upright.

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
    images = read_dicom(folder)
    if images.n_phases != 1:
        raise RawDataError(f"holds {images.n_phases} DICOM series, expected one", file=folder)
    affine = images.geometry.affine
    axes = [(FLIP @ affine)[:3, column] for column in (2, 1, 0)]
    return _upright(images.values[0], axes, images.geometry.voxel_size)


def read_dicom(path: str | Path, *, keep_identifiers: bool = False) -> ImageSet:
    """Read a DICOM series and where it lies; of folders ``phase-1``, ``phase-2`` ... a phase each.

    Parameters
    ----------
    path : path
        The folder of the series, or one file.
    keep_identifiers : bool
        Let name, number, dates of the subject and the study into ``identity``.

    Raises
    ------
    RawDataError
        If there is no DICOM image, several series, slices that are missing, tilted, or not alike.
    ConfigError
        If pydicom is not installed.
    """
    path = Path(path)
    if not path.is_dir():
        return _read_one([path], path, keep_identifiers)
    folders = sorted(
        (entry for entry in path.iterdir() if entry.is_dir() and _PHASE.fullmatch(entry.name)),
        key=lambda entry: int(entry.name.partition("-")[2]),
    )
    if not folders:
        return _read_one(sorted(path.iterdir()), path, keep_identifiers)
    parts = [_read_one(sorted(folder.iterdir()), folder, keep_identifiers) for folder in folders]
    first = parts[0]
    for part in parts[1:]:
        same = part.geometry.shape == first.geometry.shape
        if not same or not np.allclose(part.geometry.affine, first.geometry.affine, atol=0.01):
            raise RawDataError("its phases do not lie on one grid", file=path)
    values = np.concatenate([part.values for part in parts])
    return ImageSet(
        values, first.geometry, path.name, first.simulated, first.system, first.identity, first.warnings
    )


def _read_one(files: Sequence[Path], path: Path, keep_identifiers: bool) -> ImageSet:
    found = _datasets_in(files, path)
    try:
        return _image_set(found, path, keep_identifiers)
    except CsiqError:
        raise
    except Exception as error:  # elements are parsed when they are asked for
        raise RawDataError(f"its header is damaged ({one_line(error)})", file=path) from None


def _image_set(found: list[Any], path: Path, keep_identifiers: bool) -> ImageSet:
    """Return the volume of the slices of one series."""
    series = {str(one.get("SeriesInstanceUID", "")) for one in found}
    if len(series) != 1:
        what = f"holds {len(series)} DICOM series, expected one" if series else "holds no DICOM image"
        raise RawDataError(what, file=path)
    found.sort(key=lambda one: int(one.get("InstanceNumber") or 0))
    first = found[0]
    slices = [piece for one in found for piece in _slices_of(one, path)]
    comment = str(first.get("ImageComments", ""))
    simulated = comment.startswith("Simulated") if "csiq" in str(first.get("SoftwareVersions", "")) else None
    kept = {name: str(first.get(name)) for name in IDENTITY if keep_identifiers and first.get(name)}
    return stack(slices, path, simulated=simulated, system=_system_of(first), identity=kept)


def _datasets_in(files: Sequence[Path], path: Path) -> list[Any]:
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
    except ImportError:
        raise ConfigError("DICOM needs pydicom", file=path, hint="pip install 'csiq[dicom]'") from None
    found = []
    for file in files:
        if not file.is_file() or file.name.upper() == "DICOMDIR" or file.suffix == ".json":
            continue
        try:
            one = pydicom.dcmread(file)
            if _is_image(one, file):
                found.append(one)
        except CsiqError:
            raise
        except (InvalidDicomError, EOFError):
            if file.suffix.lower() in _SUFFIXES:
                raise RawDataError("is no DICOM file: truncated?", file=file, hint=_AGAIN) from None
            continue
        except OSError as error:
            raise RawDataError(f"cannot be read: {error.strerror}", file=file) from None
        except Exception as error:  # the parser raises what it likes on damaged elements
            raise RawDataError(f"damaged DICOM ({one_line(error)})", file=file) from None
    return found


def _is_image(one: Any, file: Path) -> bool:
    """Return whether a file holds an image; reports and presentation states lie among them.

    pydicom takes what ends early for whole. Without its pixels the last slice would go without a word.
    """
    if "PixelData" in one:
        return True
    kind = one.get("SOPClassUID") or one.file_meta.get("MediaStorageSOPClassUID")
    # a UID that nobody knows may be the beginning of one
    if kind is None or "Image Storage" in kind.name or kind.name == str(kind):
        raise RawDataError("holds no pixels: truncated?", file=file, hint=_AGAIN)
    return False


def _slices_of(one: Any, path: Path) -> Iterator[Slice]:
    """Yield the slices of a file: one, or a frame each of an enhanced one."""
    pixels = _pixels(one, path)
    groups = one.get("PerFrameFunctionalGroupsSequence")
    if not groups:
        if len(pixels) != 1:
            raise RawDataError(f"{len(pixels)} frames without a place each", file=path, hint=_CLASSIC)
        yield Slice(_rescaled(pixels[:1], one), _geometry(one, one, one, pixels.shape[1:], path))
        return
    if len(pixels) != len(groups):
        raise RawDataError(f"{len(pixels)} frames, places for {len(groups)}", file=path, hint=_CLASSIC)
    shared = one.SharedFunctionalGroupsSequence[0]
    for frame, own in zip(pixels, groups, strict=True):

        def part(name: str, own: Any = own) -> Any:
            sequence = own.get(name) or shared.get(name)
            return sequence[0] if sequence else {}

        values = _rescaled(frame[None], part("PixelValueTransformationSequence"))
        place = (
            part("PlanePositionSequence"),
            part("PlaneOrientationSequence"),
            part("PixelMeasuresSequence"),
        )
        yield Slice(values, _geometry(*place, frame.shape, path))


def _geometry(place: Any, turned: Any, sizes: Any, shape: tuple[int, ...], path: Path) -> Geometry:
    """Return where a slice lies: DICOM's position is that of the middle of its first voxel."""
    spacing = sizes.get("PixelSpacing") or sizes.get("NominalScannedPixelSpacing")
    if not spacing:
        raise RawDataError("no pixel spacing", file=path, field="PixelSpacing")
    down, across = (float(size) for size in spacing)
    thick = float(sizes.get("SpacingBetweenSlices") or sizes.get("SliceThickness") or 0)
    through = abs(thick) or max(down, across)
    grid = (1, int(shape[0]), int(shape[1]))
    position, cosines = place.get("ImagePositionPatient"), turned.get("ImageOrientationPatient")
    if not position or not cosines:
        return unknown_geometry(grid, (through, down * grid[1], across * grid[2]))
    row, column = np.array(cosines, float).reshape(2, 3)
    lps = np.eye(4)
    lps[:3, :3] = np.stack([row * across, column * down, np.cross(row, column) * through], axis=1)
    lps[:3, 3] = np.array(position, float)
    return geometry_from_affine(grid, FLIP @ lps, known=True, file=path)


def _pixels(one: Any, path: Path) -> np.ndarray:
    try:
        stored = one.pixel_array
    except Exception as error:  # decoders raise what they like
        raise RawDataError(f"pixels cannot be decoded: {one_line(error)}", file=path) from None
    if stored.ndim not in (2, 3) or one.get("SamplesPerPixel", 1) != 1:
        raise RawDataError(f"expected grey slices, got shape {stored.shape}", file=path)
    return np.asarray(stored.reshape(-1, *stored.shape[-2:]))


def _rescaled(stored: np.ndarray, said: Any) -> np.ndarray:
    slope, intercept = float(said.get("RescaleSlope") or 1), float(said.get("RescaleIntercept") or 0)
    return (stored * slope + intercept).astype(np.float32)


def _system_of(one: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for keyword, key, factor in SYSTEM:
        value = one.get(keyword)
        if value not in (None, ""):
            found[key] = float(value) / factor
    return found | ({"vendor": str(one.Manufacturer)} if one.get("Manufacturer") else {})


def _upright(
    volume: np.ndarray, axes: Sequence[np.ndarray], sizes: tuple[float, float, float]
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
