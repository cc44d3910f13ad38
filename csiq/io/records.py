"""The records of an ISMRMRD file: headers, trajectories and samples of all readouts, in bulk.

One readout at a time takes the ``ismrmrd`` package 50 s for 15 000 readouts of 8 coils; whole blocks
through h5py take 2 s. Readouts are sorted by their flags into imaging, navigator, noise and the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from csiq.errors import RawDataError
from csiq.io.hdf5 import check_memory, check_size, reading
from csiq.io.sniff import in_bytes

#: Readouts handled at once: large enough to be fast, small enough to need little memory.
BLOCK = 1024

#: Flags of the ISMRMRD standard, by the number of their bit (from 1).
NOISE, NAVIGATION, RTFEEDBACK, LAST_IN_MEASUREMENT = 19, 23, 28, 25
CALIBRATION, CALIBRATION_AND_IMAGING = 20, 21

#: Readouts that are neither image nor breathing: phase correction, feedback, dummies, coil and phase scans.
_OTHER = {
    24: "phase correction",
    26: "feedback",
    27: "dummy",
    29: "coil correction",
    30: "phase",
    31: "phase",
}

#: Fields of a readout's header that csiq uses.
_NEEDED = (
    "flags", "scan_counter", "acquisition_time_stamp", "physiology_time_stamp", "number_of_samples",
    "active_channels", "discard_pre", "discard_post", "center_sample", "encoding_space_ref",
    "trajectory_dimensions", "position", "read_dir", "phase_dir", "slice_dir", "idx", "user_int",
)  # fmt: skip


def bit(flag: int) -> np.uint64:
    """Return the mask of a flag."""
    return np.uint64(1 << (flag - 1))


@dataclass(frozen=True)
class Sorted:
    """Row numbers of the readouts of each kind, in the order of the file."""

    imaging: np.ndarray
    navigator: np.ndarray
    noise: np.ndarray
    other: np.ndarray


@dataclass(frozen=True)
class Samples:
    """What the readouts of one kind hold.

    Attributes
    ----------
    kspace : complex64 array, (n_coils, n_readouts, n_samples)
    traj : float32 array, (n_readouts, n_samples, n_dims), as stored (x first), n_dims may be 0
    """

    kspace: np.ndarray
    traj: np.ndarray


def read_heads(node: h5py.Dataset, limit: int | None) -> np.ndarray:
    """Return the headers of all readouts.

    Raises
    ------
    RawDataError
        If the dataset is no table of ISMRMRD acquisitions, is damaged, or is larger than memory or file.
    """
    path = Path(node.file.filename)
    head = node.dtype.fields["head"][0] if node.dtype.fields and "head" in node.dtype.fields else None
    if node.ndim != 1 or head is None or not {"traj", "data"} <= set(node.dtype.names):
        raise RawDataError("is no table of ISMRMRD acquisitions", file=path, field=node.name)
    missing = [name for name in _NEEDED if name not in (head.names or ())]
    if missing:
        raise RawDataError(f"acquisition headers lack {missing[0]}", file=path, field=f"{node.name}/head")
    check_size(node, limit)
    if node.shape[0] == 0:
        raise RawDataError("0 readouts", file=path, field=node.name, hint="was the scan stopped at once?")
    with reading(path, node.name):
        heads = node.fields("head")[:]
    _check_declared(heads, limit, path, node.name)
    return heads


def _check_declared(heads: np.ndarray, limit: int | None, path: Path, where: str) -> None:
    samples = heads["number_of_samples"].astype(np.int64)
    floats = samples * (2 * heads["active_channels"].astype(np.int64) + heads["trajectory_dimensions"])
    need = 4 * int(floats.sum())
    check_memory(need, limit, path, where)
    size = path.stat().st_size
    # Variable-length samples lie in the file's heap, which no filter compresses
    if need > size:
        raise RawDataError(
            f"headers declare {in_bytes(need)}, the file has {in_bytes(size)}", file=path, field=where
        )


def sort_readouts(heads: np.ndarray, path: Path, where: str) -> tuple[Sorted, tuple[str, ...]]:
    """Return the rows of each kind of readout by their flags, and what was left aside.

    Raises
    ------
    RawDataError
        If there is no imaging readout.
    """
    flags = heads["flags"].astype(np.uint64)

    def has(*wanted: int) -> np.ndarray:
        """Return which readouts, (n,), carry at least one of the flags."""
        return (flags & np.bitwise_or.reduce([bit(flag) for flag in wanted])) != 0

    noise = has(NOISE)
    other = ~noise & (has(*_OTHER) | (has(CALIBRATION) & ~has(CALIBRATION_AND_IMAGING)))
    navigator = ~noise & ~other & has(NAVIGATION, RTFEEDBACK)
    imaging = ~noise & ~other & ~navigator
    found = Sorted(*(np.flatnonzero(kind) for kind in (imaging, navigator, noise, other)))
    if not found.imaging.size:
        raise RawDataError(
            f"0 imaging readouts ({found.noise.size} noise, {found.navigator.size} navigator, "
            f"{found.other.size} other)",
            file=path,
            field=where,
        )
    notes: tuple[str, ...] = ()
    if found.other.size:
        notes = (f"{found.other.size} readouts left out by their flags (calibration, correction, dummy)",)
    return found, notes


def rows_of_noise(heads: np.ndarray) -> np.ndarray:
    """Return the rows of the noise readouts."""
    return np.flatnonzero((heads["flags"].astype(np.uint64) & bit(NOISE)) != 0)


def check_uniform(heads: np.ndarray, rows: np.ndarray, name: str, path: Path, where: str) -> int:
    """Return a header value that must be the same in all these readouts.

    Raises
    ------
    RawDataError
        Naming the first readout that differs from most.
    """
    values = heads[name][rows]
    kinds, counts = np.unique(values, return_counts=True)
    usual = kinds[np.argmax(counts)]
    if len(kinds) > 1:
        odd = int(np.flatnonzero(values != usual)[0])
        raise RawDataError(
            f"readout {int(rows[odd])} has {name} {values[odd]}, most have {usual}",
            file=path,
            field=f"{where}/head",
        )
    return int(usual)


def read_samples(
    node: h5py.Dataset, heads: np.ndarray, rows: dict[str, np.ndarray], keep: dict[str, slice]
) -> dict[str, Samples]:
    """Return samples and trajectories of the given readouts, block by block.

    Parameters
    ----------
    node : h5py.Dataset
    heads : structured array, (n_readouts,)
    rows : dict of int arrays
        For each kind its rows, ascending; within a kind all have the same sizes.
    keep : dict of slice
        For each kind the samples to keep.

    Raises
    ------
    RawDataError
        If a readout holds another number of values than its header says, or the file is damaged.
    """
    path, out = Path(node.file.filename), {kind: _allocate(heads[r], keep[kind]) for kind, r in rows.items()}
    for start in range(0, node.shape[0], BLOCK):
        inside = {kind: slice(*np.searchsorted(r, (start, start + BLOCK))) for kind, r in rows.items()}
        if all(part.start == part.stop for part in inside.values()):
            continue
        with reading(path, node.name):
            block = node.fields(["traj", "data"])[start : start + BLOCK]
        for kind, part in inside.items():
            chosen = rows[kind][part]
            if chosen.size:
                _fill(out[kind], part, block[chosen - start], heads[chosen], (chosen, keep[kind], path))
    return out


def _allocate(heads: np.ndarray, keep: slice) -> Samples:
    first, n = heads[0], len(heads)
    n_kept = len(range(*keep.indices(int(first["number_of_samples"]))))
    return Samples(
        np.empty((int(first["active_channels"]), n, n_kept), np.complex64),
        np.empty((n, n_kept, int(first["trajectory_dimensions"])), np.float32),
    )


def _fill(
    out: Samples, part: slice, block: np.ndarray, heads: np.ndarray, what: tuple[np.ndarray, slice, Path]
) -> None:
    rows, keep, path = what
    n_samples, n_coils, n_dims = (
        int(heads[0][name]) for name in ("number_of_samples", "active_channels", "trajectory_dimensions")
    )
    data = _joined(block["data"], 2 * n_coils * n_samples, (rows, "data", path))
    traj = _joined(block["traj"], n_dims * n_samples, (rows, "traj", path))
    cplx = data.view(np.complex64).reshape(len(rows), n_coils, n_samples)
    out.kspace[:, part] = cplx[..., keep].transpose(1, 0, 2)
    out.traj[part] = traj.reshape(len(rows), n_samples, n_dims)[:, keep]


def _joined(values: np.ndarray, expected: int, what: tuple[np.ndarray, str, Path]) -> np.ndarray:
    rows, name, path = what
    lengths = np.fromiter((len(v) for v in values), np.int64, len(values))
    odd = np.flatnonzero(lengths != expected)
    if odd.size:
        raise RawDataError(
            f"readout {int(rows[odd[0]])} holds {lengths[odd[0]]} values, its header says {expected}",
            file=path,
            field=name,
        )
    # Integers or doubles in the file are cast here: everything behind is complex64
    return np.concatenate(list(values)).astype(np.float32, copy=False)
