"""Complex volumes and solver states in HDF5, checksummed and written atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from csiq.acquisition import Geometry
from csiq.errors import RawDataError
from csiq.io.atomic import atomic_write
from csiq.io.hdf5 import check_size, find_dataset, find_node, open_h5, reading
from csiq.io.hdf5_write import create_h5

#: Bytes of a chunk, about: small enough to check while reading one slice, large enough to be fast.
_CHUNK = 1 << 22

#: A solver's state, and the one before it: one of them is whole at any moment.
CHECKPOINT, PREVIOUS = "checkpoint.h5", "checkpoint.prev.h5"
#: The last state of a complete run that a limit ended.
EXTEND = "extend.h5"


def write_volumes(
    path: str | Path, volumes: np.ndarray, geometry: Geometry, iteration: int | Sequence[int]
) -> None:
    """Write ``/volumes`` with the attributes ``voxel_size_mm`` (z y x), ``affine`` and ``iteration``.

    Parameters
    ----------
    path : path
    volumes : complex64 array, (n_phases, z, y, x)
    geometry : Geometry
    iteration : int, or one a phase
    """
    with atomic_write(path) as temporary, create_h5(temporary) as file:
        node = _checksummed(file, "volumes", np.asarray(volumes, dtype=np.complex64))
        node.attrs["voxel_size_mm"] = np.array(geometry.voxel_size)
        node.attrs["affine"] = geometry.affine
        node.attrs["orientation_known"] = geometry.known
        node.attrs["iteration"] = iteration


def _checksummed(file: h5py.File, name: str, array: np.ndarray) -> h5py.Dataset:
    if array.ndim == 0 or array.size == 0:
        return file.create_dataset(name, data=array)
    # Chunks span whole trailing axes; leading ones are cut until a chunk is small
    chunks = list(array.shape)
    for axis in range(array.ndim):
        while chunks[axis] > 1 and np.prod(chunks, dtype=np.int64) * array.itemsize > _CHUNK:
            chunks[axis] = (chunks[axis] + 1) // 2
    return file.create_dataset(name, data=array, chunks=tuple(chunks), fletcher32=True)


def read_complex_volumes(path: str | Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Read what :func:`write_volumes` wrote.

    Returns
    -------
    volumes : complex64 array, (n_phases, z, y, x)
    attributes : dict
        ``voxel_size_mm``, ``affine``, ``iteration``, ``orientation_known``, as far as the file has them.

    Raises
    ------
    RawDataError
        If the file is damaged or holds no such dataset.
    """
    path = Path(path)
    with open_h5(path) as file:
        node = find_dataset(file, "volumes")
        if node is None and find_node(file, "dataset/data") is not None:
            hint = "csiq recon makes images"
            raise RawDataError("expected images, it holds a raw scan", file=path, field="/volumes", hint=hint)
        if node is None or node.ndim != 4 or node.dtype.kind not in "cf":
            raise RawDataError("expected (n_phases, z, y, x)", file=path, field="/volumes")
        check_size(node, None)
        with reading(path, "/volumes"):
            return node[()].astype(np.complex64, copy=False), dict(node.attrs)


def write_checkpoint(
    folder: str | Path, arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Any]
) -> None:
    """Write a solver's state; the one before it is kept.

    Parameters
    ----------
    folder : path
    arrays : mapping of str to array
        None values are left out.
    attributes : mapping
        Anything JSON can hold; floats keep all their digits, NaN included.
    """
    path = Path(folder) / CHECKPOINT
    # Not in HDF5 attributes: those have no checksum
    text = np.frombuffer(json.dumps(dict(attributes)).encode(), dtype=np.uint8)
    with atomic_write(path) as temporary:
        with create_h5(temporary) as file:
            _checksummed(file, "attributes", text)
            group = file.create_group("arrays")
            for name, array in arrays.items():
                if array is not None:
                    _checksummed(group, name, np.asarray(array))
        # Only now, with the new state complete on disk but for its name, does the old one move away
        if path.exists():
            path.replace(path.with_name(PREVIOUS))


def read_checkpoint(folder: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Read the latest state that is whole.

    Returns
    -------
    (arrays, attributes), or None if there is no checkpoint

    Raises
    ------
    RawDataError
        If there are checkpoints and all are damaged.
    """
    damage: RawDataError | None = None
    for name in (CHECKPOINT, PREVIOUS, EXTEND):
        path = Path(folder) / name
        if path.exists():
            try:
                return _read_state(path)
            except RawDataError as error:
                damage = damage or error
    if damage is not None:
        raise damage
    return None


def _read_state(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    with open_h5(path) as file, reading(path, "/"):
        text, group = find_dataset(file, "attributes"), file.get("arrays")
        if text is None or not isinstance(group, h5py.Group):
            raise RawDataError("is no checkpoint of csiq", file=path)
        attributes = json.loads(bytes(text[()]))
        arrays = {}
        for name in group:
            node = find_dataset(file, f"arrays/{name}")
            if node is not None:
                check_size(node, None)
                arrays[str(name)] = node[()]
    return arrays, attributes


def end_checkpoints(folder: str | Path, *, keep: bool) -> None:
    """Remove the states of a run that is complete.

    Parameters
    ----------
    folder : path
    keep : bool
        Keep the last one under another name: a limit ended the run, and it can be extended from there.
    """
    last = Path(folder) / CHECKPOINT
    if keep and last.exists():
        last.replace(last.with_name(EXTEND))
    for name in (CHECKPOINT, PREVIOUS, *(() if keep else (EXTEND,))):
        (Path(folder) / name).unlink(missing_ok=True)
