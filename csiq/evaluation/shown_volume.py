"""A volume of a manifest as it is shown: whatever format it has, with its axes as the patient's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from csiq.errors import RawDataError
from csiq.io.image_set import ImageSet
from csiq.report.slices import Volume as Shown


def shown_volume(path: Path) -> Shown:
    """Read the volume that a cell of a manifest names, in the order x y z of RAS.

    Parameters
    ----------
    path : Path
        NIfTI, HDF5, ``.npy``, BART, the folder of a run or of a DICOM series; with ``:2`` behind it where one
        of several is meant. Of a run without that, its best-ranked phase. Axes of files that do not say how
        the patient lies are taken as they are.

    Raises
    ------
    CsiqError
        If it is not there, cannot be read, or holds several and none is named.
    """
    import nibabel

    images = _images(path)
    values, place = np.nan_to_num(images.magnitude().values[0].transpose(2, 1, 0)), images.geometry
    if not place.known:
        dz, dy, dx = place.voxel_size
        return Shown(values, (dx, dy, dz), False)
    image: Any = nibabel.as_closest_canonical(nibabel.Nifti1Image(values, place.affine))
    dx, dy, dz = (float(v) for v in image.header.get_zooms()[:3])
    return Shown(np.asarray(image.dataobj, dtype=np.float32), (dx, dy, dz), True)


def _images(path: Path) -> ImageSet:
    from csiq.convert.formats import source_of
    from csiq.convert.route import ConvertOptions, read_images_of
    from csiq.training.volume_cell import VolumeCell

    file, number = VolumeCell.parse(path.parent, path.name).located()
    if file.suffix == ".npy":
        images = _mapped(file)
    else:
        images = read_images_of(file, source_of(file, stated="images").format, ConvertOptions())
    if number is None and images.n_phases > 1:
        raise RawDataError(f"holds {images.n_phases} volumes", file=file, hint=f"name one: {file.name}:1")
    return images.phase(number or 1)


def _mapped(path: Path) -> ImageSet:
    """Return a ``.npy`` volume; nothing says how the patient lies in it."""
    from csiq.io.geometry import unknown_geometry
    from csiq.training.mapped_volume import map_npy

    volume = map_npy(path)
    z, y, x = (int(n) for n in volume.shape)
    dz, dy, dx = volume.voxel_size
    geometry = unknown_geometry((z, y, x), (z * dz, y * dy, x * dx))
    return ImageSet(np.asarray(volume)[None], geometry, name=path.name)
