"""The central slices of saved iterates, one file at a time and one phase at a time."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from csiq.errors import RawDataError
from csiq.report.slices import Slice, slices_of, volume_of


def iterate_files(folder: Path) -> dict[int, Path]:
    """Return the files of ``iterates/`` by iteration, rising."""
    files = (folder / "iterates").glob("iter-*.h5")
    numbered = {int(p.stem[5:]): p for p in files if p.stem[5:].isdigit()}
    return dict(sorted(numbered.items()))


def slices_of_iterate(path: Path) -> tuple[tuple[Slice, ...], ...]:
    """Return the central slices of each phase of ``iterates/iter-NNN.h5`` or ``volumes.h5``.

    A file that was read before and has not changed is not read again: a running reconstruction writes its
    page after every iteration.

    Raises
    ------
    RawDataError
        If it is damaged or has no affine.
    """
    about = path.stat()
    return _read(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int, _size: int) -> tuple[tuple[Slice, ...], ...]:
    from csiq.io.hdf5 import check_size, find_dataset, open_h5, reading

    with open_h5(path) as file:
        node = find_dataset(file, "volumes")
        if node is None or node.ndim != 4 or node.dtype.kind not in "cf" or "affine" not in node.attrs:
            raise RawDataError("expected (n_phases, z, y, x) with an affine", file=path, field="/volumes")
        check_size(node, None)
        affine = np.asarray(node.attrs["affine"], dtype=np.float64)
        oriented = bool(node.attrs.get("orientation_known", True))
        with reading(path, "/volumes"):
            return tuple(_central(node[p], affine, oriented) for p in range(len(node)))


def slices_of_volumes(
    volumes: np.ndarray, affine: np.ndarray, *, oriented: bool = True
) -> tuple[tuple[Slice, ...], ...]:
    """Return the central slices of each phase of volumes that are in memory.

    Parameters
    ----------
    volumes : real or complex array, (n_phases, z, y, x)
    affine : float array, (4, 4)
        Voxel (x, y, z) to RAS mm.
    oriented : bool
        Whether the affine is one of the patient.
    """
    return tuple(_central(volume, affine, oriented) for volume in volumes)


def _central(volume: np.ndarray, affine: np.ndarray, oriented: bool) -> tuple[Slice, ...]:
    return tuple(slices_of(volume_of(volume.transpose(2, 1, 0), affine, oriented=oriented)))
