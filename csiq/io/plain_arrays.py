"""Raw scans as plain arrays: a ``.npy`` file of k-space, or an HDF5 file of a few datasets.

==================  =================================  ==========================================
dataset             shape                              also called
==================  =================================  ==========================================
``kspace``          (n_coils, n_spokes, n_samples)     ``ksp``, or any complex one (``--group``)
``coord``           (n_spokes, n_samples, 2 or 3)      ``traj``, ``trajectory``; (z) y x
``times``           (n_spokes,), s                     optional
``heartbeat``       (n_spokes,)                        optional
``noise``           (n_coils, n)                       optional
==================  =================================  ==========================================

Coordinates are in cycles per field of view. The attribute ``fov_mm`` of the file (z y x, or one length for
all), or ``--fov``, says the field of view; the orientation is not known.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from csiq.acquisition import Acquisition
from csiq.errors import ConfigError, RawDataError
from csiq.io.draft import Draft
from csiq.io.finish import finish
from csiq.io.given_trajectory import given_trajectory
from csiq.io.hdf5 import check_size, find_dataset, find_node, open_h5, reading
from csiq.io.npy import load_npy
from csiq.io.options import ReadOptions, without_effect
from csiq.io.plain import plain_geometry, plain_times
from csiq.io.spokes import check_radial
from csiq.io.units import find_unit, unit_scale

_KSPACE = ("kspace", "ksp")
_COORD = ("coord", "traj", "trajectory")
_LONGEST = 1e5  # mm


def read_npy(path: str | Path, options: ReadOptions) -> Acquisition:
    """Read k-space (n_coils, n_spokes, n_samples) of a ``.npy`` file; trajectory and ``fov`` are options.

    Raises
    ------
    RawDataError
        If it is no k-space, or does not fit the trajectory.
    ConfigError
        If an option is missing.
    """
    path = Path(path)
    kspace = load_npy(path, limit=options.max_memory_bytes)
    if kspace.ndim != 3 or kspace.dtype.kind not in "cf":
        raise RawDataError(
            f"expected k-space (n_coils, n_spokes, n_samples), got {kspace.dtype} {kspace.shape}", file=path
        )
    if options.trajectory is None:
        raise RawDataError(
            "no trajectory in a .npy file", file=path, field="trajectory", hint="--trajectory FILE"
        )
    return _scan(path, kspace, {}, options)


def read_plain_h5(path: str | Path, options: ReadOptions) -> Acquisition | None:
    """Read plain arrays of an HDF5 file; None if it holds no k-space with a trajectory.

    Parameters
    ----------
    path : path
    options : ReadOptions
        ``group`` names the dataset of k-space, or the group that holds all.

    Raises
    ------
    RawDataError
        If the arrays do not fit together, or are damaged.
    ConfigError
        If there are several scans, or an option is missing.
    """
    path = Path(path)
    # names, attributes and types are damaged as easily as numbers
    with open_h5(path) as file, reading(path):
        name, base = _find_kspace(file, path, options)
        if name is None or find_node(file, "ismrmrd_header") is not None:
            return None
        stored = next((f"{base}/{c}" for c in _COORD if find_node(file, f"{base}/{c}") is not None), None)
        if stored is None and options.trajectory is None:
            _refuse_unnamed(file, name, path)
            return None
        kspace = _array(file, name, path, options)
        if kspace.ndim != 3:
            return None
        beside: dict[str, Any] = {
            part: _array(file, f"{base}/{part}", path, options)
            for part in ("times", "heartbeat", "noise")
            if find_node(file, f"{base}/{part}") is not None
        }
        if stored is not None and options.trajectory is None:
            beside["coord"] = _array(file, stored, path, options)
        if options.fov is None and "fov_mm" in file.attrs:
            options = replace(options, fov=_fov(file.attrs["fov_mm"], path))
    return _scan(path, kspace, beside, options)


def _refuse_unnamed(file: h5py.File, name: str, path: Path) -> None:
    """Raise if an array is surely k-space: one of coordinates, 2 or 3 a sample, lies beside it, unnamed."""
    kspace, fitting = find_dataset(file, name), []
    if kspace is None or kspace.ndim != 3:
        return
    base = kspace.parent.name.rstrip("/")
    for one in kspace.parent:
        place = f"{base}/{one}"
        kind, shape = _kind_and_shape(file, place)
        if kind == "f" and len(shape) == 3 and shape[:2] == kspace.shape[1:] and shape[2] in (2, 3):
            fitting.append(place)
    if fitting:
        hint = f"--trajectory {path.name}:DATASET, one of: {', '.join(fitting)}"
        raise RawDataError("no trajectory of a usual name", file=path, field=name, hint=hint)


def _find_kspace(file: h5py.File, path: Path, options: ReadOptions) -> tuple[str | None, str]:
    """Return the dataset of k-space, and the group it lies in."""
    base = ""
    if options.group is not None:
        node = find_node(file, options.group)
        if isinstance(node, h5py.Dataset):
            return options.group, options.group.rpartition("/")[0]
        if node is None:
            return None, base
        base = options.group
    where: Any = file if not base else find_node(file, base)
    usual = [f"{base}/{name}" for name in _KSPACE if name in where]
    complex_ones = [
        f"{base}/{name}" for name in where if name != "noise" and _is_complex(file, f"{base}/{name}")
    ]
    found = usual or complex_ones
    if len(found) > 1 and not usual:
        listed = ", ".join(name.strip("/") for name in found)
        raise ConfigError(
            f"holds {len(found)} arrays of k-space", file=path, hint=f"--group, one of: {listed}"
        )
    return (found[0], base) if found else (None, base)


def _kind_and_shape(file: h5py.File, name: str) -> tuple[str, tuple[int, ...]]:
    """Return the kind of numbers and the shape of what may be a dataset; of anything else nothing."""
    node = find_node(file, name)
    return (node.dtype.kind, node.shape or ()) if isinstance(node, h5py.Dataset) else ("", ())


def _is_complex(file: h5py.File, name: str) -> bool:
    kind, shape = _kind_and_shape(file, name)
    return kind == "c" and len(shape) == 3


def _array(file: h5py.File, name: str, path: Path, options: ReadOptions) -> np.ndarray:
    node = find_dataset(file, name)
    if node is None or node.dtype.kind not in "cfiu":
        raise RawDataError("expected an array of numbers", file=path, field=name)
    check_size(node, options.max_memory_bytes)
    with reading(path, name):
        return np.asarray(node[()])


def _fov(value: Any, path: Path) -> tuple[float, float, float]:
    """Return the field of view of an attribute: z y x, or one length for all three."""
    try:
        z, y, x = (float(length) for length in np.broadcast_to(value, (3,)))
    except (TypeError, ValueError):
        z = y = x = 0.0
    if not all(0 < length < _LONGEST for length in (z, y, x)):
        hint = "--fov Z Y X, in mm, wins over it"
        raise RawDataError("expected one or three lengths, z y x", file=path, field="/@fov_mm", hint=hint)
    return z, y, x


def _scan(path: Path, kspace: np.ndarray, beside: dict[str, Any], options: ReadOptions) -> Acquisition:
    kspace = np.ascontiguousarray(kspace, np.complex64)
    n_spokes = kspace.shape[1]
    stored = beside.get("coord")
    geometry, notes = plain_geometry(options, path, stored)
    times, words = plain_times(beside.get("times"), n_spokes, options, path)
    heartbeat = np.asarray(beside.get("heartbeat", np.zeros(n_spokes)), np.int64)
    if stored is None:
        coord = given_trajectory(options, kspace, geometry, heartbeat=heartbeat)
    else:
        if stored.shape[:2] != kspace.shape[1:]:
            raise RawDataError(
                f"trajectory has {stored.shape[0]} spokes x {stored.shape[1]} samples, "
                f"data {kspace.shape[1]} x {kspace.shape[2]}",
                file=path,
                field="coord",
            )
        if stored.shape[-1] == 2:
            stored = np.concatenate([np.zeros_like(stored[..., :1]), stored], axis=-1)
        unit, _ = find_unit(stored, geometry, path, stated=options.traj_units, declared="cycles/fov")
        coord = np.ascontiguousarray(stored * unit_scale(unit, geometry), np.float32)
    check_radial(coord, geometry, path)
    noise = beside.get("noise")
    if noise is not None and (noise.ndim != 2 or len(noise) != len(kspace)):
        raise RawDataError(f"expected ({len(kspace)}, n), got {noise.shape}", file=path, field="noise")
    none = "plain arrays have none"
    idle = without_effect(options, echo=none, **({"group": none} if path.suffix == ".npy" else {}))
    draft = Draft(
        path=path,
        kspace=kspace,
        coord=coord,
        times=times,
        heartbeat=heartbeat,
        geometry=geometry,
        noise=None if noise is None else np.ascontiguousarray(noise, np.complex64),
        system={"trajectory_unit": "cycles/fov"},
        warnings=(*notes, *words, *idle),
    )
    return finish(draft, options)
