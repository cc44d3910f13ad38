"""Images of any program, as volumes to grade: NIfTI, HDF5, DICOM, BART, and what other packages read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from csiq.errors import RawDataError

VoxelSize = tuple[float, float, float]

#: Ends of the names of files that may hold images. BART's second file, .hdr, comes with the first.
SUFFIXES = (".nii.gz", ".nii", ".h5", ".hdf5", ".cfl")


class NoVoxelSize(RawDataError):
    """A file that does not say how large its voxels are."""


class Volume(NamedTuple):
    """A volume to grade: what it is called, its voxels z y x, and their size in mm."""

    name: str
    values: np.ndarray
    voxel_size: VoxelSize


def read_images(path: str | Path, voxel_size: VoxelSize | None = None) -> Iterator[Volume]:
    """Yield the volumes of a file or of the folder of a DICOM series; of several phases, one each.

    Parameters
    ----------
    path : path
    voxel_size : (float, float, float), optional
        mm, z y x: for files that do not say it (BART's), and in place of what others say.

    Raises
    ------
    CsiqError
        If there is no such file, or it is none that csiq or another package reads.
    """
    path = Path(path)
    for volume in _read(path, voxel_size):
        yield volume if voxel_size is None else volume._replace(voxel_size=voxel_size)


def _read(path: Path, voxel_size: VoxelSize | None) -> Iterator[Volume]:
    from csiq.io.sniff import check_readable

    if path.is_dir():
        from csiq.io.dicom import read_series

        yield Volume(path.name, *read_series(path))
        return
    check_readable(path)
    if path.name.endswith((".nii", ".nii.gz")):
        from csiq.io.nifti import read_volume

        values, voxels, _ = read_volume(path)
        yield Volume(path.name, values, voxels)
    elif path.suffix in (".h5", ".hdf5"):
        yield from _read_h5(path, voxel_size)
    elif path.suffix in (".cfl", ".hdr"):
        yield from _read_cfl(path, voxel_size)
    else:
        yield from _read_by_plugin(path)


def _read_h5(path: Path, voxel_size: VoxelSize | None) -> Iterator[Volume]:
    from csiq.io.volumes import read_complex_volumes

    volumes, attributes = read_complex_volumes(path)
    if voxel_size is None and "voxel_size_mm" not in attributes:
        raise NoVoxelSize("no voxel size", file=path, field="/volumes@voxel_size_mm", hint="in mm, z y x")
    dz, dy, dx = (float(v) for v in voxel_size or attributes["voxel_size_mm"])
    yield from _each(path.name, volumes, (dz, dy, dx))


def _read_cfl(path: Path, voxel_size: VoxelSize | None) -> Iterator[Volume]:
    from csiq.io.cfl import data_of, read_cfl_volumes

    if voxel_size is None:
        raise NoVoxelSize("BART's files have no voxel size", file=path, hint="--voxel-size Z Y X, in mm")
    yield from _each(data_of(path).name, read_cfl_volumes(path), voxel_size)


def _each(name: str, volumes: np.ndarray, voxel_size: VoxelSize) -> Iterator[Volume]:
    for phase, volume in enumerate(volumes, start=1):
        yield Volume(name if len(volumes) == 1 else f"{name}:phase-{phase}", volume, voxel_size)


def _read_by_plugin(path: Path) -> Iterator[Volume]:
    from csiq.plugins import reader_of

    reader = reader_of(path)
    if reader is None:
        raise RawDataError(
            "expected NIfTI (.nii, .nii.gz), HDF5 (.h5), BART (.cfl) or the folder of a DICOM series",
            file=path,
        )
    yield from (Volume(*found) for found in reader.read_volumes(path))
