"""Images of any program, as volumes to grade: NIfTI, HDF5, DICOM, BART, and what other packages read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from csiq.errors import RawDataError

VoxelSize = tuple[float, float, float]

#: Ends of the names of files that may hold images. BART's second file, .hdr, comes with the first.
SUFFIXES = (".nii.gz", ".nii", ".h5", ".hdf5", ".mrd", ".cfl")


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
        mm, z y x: for files that do not say it (BART's without csiq's JSON), and in place of what others say.

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
    if path.suffix in (".cfl", ".hdr"):
        yield from _read_cfl(path, voxel_size)
        return
    check_readable(path, "an image")
    if path.name.lower().endswith((".nii", ".nii.gz")):
        yield from read_nifti(path)
    elif path.suffix in (".h5", ".hdf5", ".mrd"):
        yield from read_h5(path, voxel_size)
    else:
        yield from _read_by_plugin(path)


def read_nifti(path: Path) -> Iterator[Volume]:
    """Yield the magnitudes of a NIfTI file; those on its fourth axis are phases.

    Raises
    ------
    RawDataError
        If it is damaged or no volume.
    """
    from csiq.io.nifti import load_array

    values, image = load_array(path)
    dx, dy, dz = (float(size) for size in image.header.get_zooms()[:3])
    magnitudes = np.abs(values) if np.iscomplexobj(values) else values
    yield from _each(path.name, np.ascontiguousarray(magnitudes, np.float32), (dz, dy, dx))


def read_h5(path: Path, voxel_size: VoxelSize | None = None) -> Iterator[Volume]:
    """Yield the volumes of csiq's own HDF5 files, or of the images in an ISMRMRD file.

    Raises
    ------
    RawDataError
        If it holds none, or is damaged.
    """
    from csiq.io.hdf5 import find_node, groups_of, open_h5
    from csiq.io.ismrmrd_images import image_groups
    from csiq.io.volumes import read_complex_volumes

    with open_h5(path) as file:
        groups = [] if find_node(file, "volumes") is not None else image_groups(file)
        raw = not groups and any(find_node(file, f"{name}/data") is not None for name in groups_of(file))
    if groups:
        yield from _read_ismrmrd(path, groups)
        return
    if raw:
        raise RawDataError(
            "/volumes: expected images, it holds a raw scan", file=path, hint="csiq recon makes images"
        )
    volumes, attributes = read_complex_volumes(path)
    if voxel_size is None and "voxel_size_mm" not in attributes:
        raise NoVoxelSize("no voxel size", file=path, field="/volumes@voxel_size_mm", hint="in mm, z y x")
    size = np.asarray(voxel_size or attributes["voxel_size_mm"])
    if (
        size.shape != (3,)
        or size.dtype.kind not in "fiu"
        or not (np.isfinite(size).all() and (size > 0).all())
    ):
        raise NoVoxelSize(
            "no usable attribute voxel_size_mm", file=path, field="/volumes", hint="in mm, z y x"
        )
    yield from _each(path.name, volumes, (float(size[0]), float(size[1]), float(size[2])))


def _read_ismrmrd(path: Path, groups: list[str]) -> Iterator[Volume]:
    """Yield the images of an ISMRMRD file: of each group its volumes, or the volume its slices make."""
    from csiq.io.ismrmrd_images import read_ismrmrd_images

    for group in groups:
        images = read_ismrmrd_images(path, group)
        name = path.name if len(groups) == 1 else f"{path.name}:/{group}"
        yield from _each(name, images.values, images.geometry.voxel_size)


def _read_cfl(path: Path, voxel_size: VoxelSize | None) -> Iterator[Volume]:
    from csiq.io.cfl import data_of
    from csiq.io.cfl_images import read_cfl_images

    images = read_cfl_images(path, voxel_size)
    yield from _each(data_of(path).name, images.values, images.geometry.voxel_size)


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
