"""Magnitude volumes as NIfTI, and volumes of any origin back in.

In csiq a volume is (z, y, x); NIfTI stores (x, y, z) with an RAS affine. Unknown orientations carry code 0,
so that a viewer does not invent one.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from csiq.acquisition import Geometry
from csiq.errors import RawDataError, ShapeError, one_line
from csiq.io.atomic import write_bytes
from csiq.io.image_set import as_voxels
from csiq.io.sniff import check_readable, identify
from csiq.io.tables import write_json
from csiq.io.volumes import read_complex_volumes

#: NIfTI codes: aligned to the scanner, and unknown.
_SCANNER, _UNKNOWN = 1, 0


def write_nifti(
    path: str | Path, volume: np.ndarray, geometry: Geometry, *, sidecar: Mapping[str, Any] | None = None
) -> None:
    """Write a volume, and a JSON sidecar of the same name beside it; each atomically.

    Equal volumes give equal files to the byte: the compressed stream carries no time and no name.

    Parameters
    ----------
    path : path
        Ends in ``.nii.gz`` or ``.nii``.
    volume : real array, (z, y, x)
        Written as float32.
    geometry : Geometry
        Its affine becomes qform and sform; both have code 0 if it is not known.
    sidecar : mapping, optional
        What the JSON beside it says; no sidecar if None.

    Raises
    ------
    ShapeError
        If the volume is complex or not of the geometry's shape.
    ResourceError
        If it cannot be written.
    """
    path = Path(path)
    if np.iscomplexobj(volume) or volume.shape != tuple(geometry.shape):
        raise ShapeError(
            f"expected a real volume {tuple(geometry.shape)}, got {volume.dtype} {volume.shape}", file=path
        )
    write_array(path, volume, geometry, sidecar)


def write_array(
    path: Path, values: np.ndarray, geometry: Geometry, sidecar: Mapping[str, Any] | None
) -> None:
    """Write (z, y, x), or (n_phases, z, y, x) with phases as the fourth axis of NIfTI."""
    if not path.name.endswith((".nii.gz", ".nii")):
        raise ShapeError("expected a name in .nii.gz or .nii", file=path)
    content = _encode(values, geometry)
    if path.name.endswith(".gz"):
        stream = io.BytesIO()
        # float noise hardly shrinks (by a tenth), whatever the level
        with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0, compresslevel=1) as packed:
            packed.write(content)
        content = stream.getvalue()
    write_bytes(path, content)
    if sidecar is not None:
        write_json(sidecar_of(path), sidecar)


def sidecar_of(path: Path) -> Path:
    """Return the path of the JSON beside a NIfTI file."""
    return path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".json")


def _encode(values: np.ndarray, geometry: Geometry) -> bytes:
    import nibabel

    # Reversed axes: x y z, and phases last
    image = nibabel.Nifti1Image(as_voxels(values).T, geometry.affine)
    code = _SCANNER if geometry.known else _UNKNOWN
    image.set_qform(geometry.affine, code)
    image.set_sform(geometry.affine, code)
    # set_qform(code 0) leaves pixdim alone; voxel sizes hold whatever the orientation
    image.header.set_zooms((*geometry.voxel_size[::-1], *(1.0,) * (values.ndim - 3)))
    image.header.set_xyzt_units("mm", "sec")
    return bytes(image.to_bytes())


def read_volume(path: str | Path) -> tuple[np.ndarray, tuple[float, float, float], np.ndarray]:
    """Read one volume from NIfTI, or from an HDF5 file that holds a single one.

    Returns
    -------
    volume : float32 array, (z, y, x)
        The magnitude.
    voxel_size : (float, float, float)
        mm, z y x.
    affine : float64 array, (4, 4)
        Voxel (x, y, z) to RAS mm.

    Raises
    ------
    RawDataError
        If it is damaged, no volume, or several.
    ConfigError
        If there is no such file.
    """
    path = Path(path)
    check_readable(path, "an image")
    if identify(path) == "hdf5":
        volumes, attributes = read_complex_volumes(path)
        if len(volumes) != 1:
            raise RawDataError(f"holds {len(volumes)} volumes, expected one", file=path, field="/volumes")
        voxel, affine = _geometry_of(attributes, path)
        return np.abs(volumes[0]), voxel, affine
    return _read_nifti(path)


def read_volumes(path: str | Path) -> list[tuple[str, np.ndarray, tuple[float, float, float]]]:
    """Read the magnitudes of every volume of a file; see :func:`csiq.io.images.read_images`.

    Returns
    -------
    list of (label, volume, voxel_size)
        The label is the file's name, with ``:phase-2`` where there are several; float32 (z, y, x); mm, z y x.

    Raises
    ------
    RawDataError
        If it is damaged or no volume.
    ConfigError
        If there is no such file.
    """
    from csiq.io.images import read_h5, read_images, read_nifti

    path = Path(path)
    if path.suffix == ".cfl":
        found = read_images(path)
    else:
        check_readable(path, "an image")
        # nibabel knows more formats than NIfTI
        found = read_h5(path) if identify(path) == "hdf5" else read_nifti(path)
    return [(one.name, _magnitude(one.values), one.voxel_size) for one in found]


def _magnitude(values: np.ndarray) -> np.ndarray:
    """Return the moduli of complex voxels; real ones stay as they are, negative ones too."""
    return np.ascontiguousarray(np.abs(values) if np.iscomplexobj(values) else values, np.float32)


def _geometry_of(attributes: Mapping[str, Any], path: Path) -> tuple[tuple[float, float, float], np.ndarray]:
    voxel = np.asarray(attributes.get("voxel_size_mm", ()), dtype=np.float64)
    if voxel.shape != (3,) or not (np.isfinite(voxel).all() and (voxel > 0).all()):
        raise RawDataError("no usable attribute voxel_size_mm", file=path, field="/volumes")
    affine = np.asarray(attributes.get("affine", np.diag([*voxel[::-1], 1.0])), dtype=np.float64)
    return (float(voxel[0]), float(voxel[1]), float(voxel[2])), affine


def _read_nifti(path: Path) -> tuple[np.ndarray, tuple[float, float, float], np.ndarray]:
    values, image = load_array(path)
    if len(values) != 1:
        hint = "csiq convert IN OUT --phase P takes one out"
        raise RawDataError(f"expected one volume, got shape {image.shape}", file=path, hint=hint)
    volume = np.ascontiguousarray(np.abs(values[0]) if np.iscomplexobj(values) else values[0], np.float32)
    dx, dy, dz = (float(size) for size in image.header.get_zooms()[:3])
    return volume, (dz, dy, dx), np.asarray(image.affine, dtype=np.float64)


def load_array(path: Path) -> tuple[np.ndarray, Any]:
    """Return the voxels (n_phases, z, y, x) of a file, and nibabel's image.

    Raises
    ------
    RawDataError
        If it is damaged or no volume of numbers.
    """
    import nibabel

    try:
        image: Any = nibabel.load(path)
        if len(image.shape) < 3 or np.prod(image.shape) != np.prod(image.shape[:4]):
            raise RawDataError(f"expected a volume, got shape {image.shape}", file=path)
        values = np.asarray(image.dataobj).reshape((*image.shape[:3], -1)).T
    except (
        OSError, ValueError, EOFError, zlib.error, nibabel.filebasedimages.ImageFileError,
        nibabel.spatialimages.HeaderDataError,
    ) as error:  # fmt: skip
        raise RawDataError(f"no readable NIfTI image ({one_line(error)})", file=path) from None
    if values.dtype.kind not in "iufc":
        raise RawDataError(f"expected numbers, got {values.dtype} (colours?)", file=path)
    return values, image
