"""Write an :class:`Acquisition` as an ISMRMRD file that other programs read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from csiq.acquisition import Acquisition
from csiq.errors import ShapeError
from csiq.io.atomic import atomic_write
from csiq.io.geometry import lps_from_geometry
from csiq.io.hdf5_write import create_h5
from csiq.io.header_xml import header_xml
from csiq.io.ismrmrd_package import from_ismrmrd
from csiq.io.records import BLOCK, LAST_IN_MEASUREMENT, NAVIGATION, NOISE, bit
from csiq.io.timing import TICK_S


@dataclass(frozen=True)
class _Part:
    """Readouts of one kind: headers (n,), k-space (n_coils, n, n_samples), coordinates or None."""

    heads: np.ndarray
    kspace: np.ndarray
    coord: np.ndarray | None = None


def write_ismrmrd(
    path: str | Path,
    scan: Acquisition,
    *,
    discard: tuple[int, int] = (0, 0),
    user: Mapping[str, str | float | int] | None = None,
) -> None:
    """Write a scan as ISMRMRD (HDF5, group ``dataset``), atomically.

    Noise comes first, then navigators and imaging readouts by time. Trajectories are stored x y z in cycles
    per field of view, as the user parameters ``trajectory_units`` and ``trajectory_axes`` say. Times are in
    2.5 ms ticks as the standard has them and, to the microsecond, in ``user_int``; the heartbeat is in
    ``idx.segment``, and ``physiology_time_stamp[0]`` counts ticks since its first readout. No name, date or
    institution is written.

    Parameters
    ----------
    path : path
    scan : Acquisition
        Of ``scan.system``, ``field_T``, ``vendor``, ``model``, ``TR_s``, ``TE_s``, ``flip_deg`` and
        ``dwell_s`` are written.
    discard : (int, int)
        Samples at the start and end of each spoke that a reader is to leave out (``discard_pre``,
        ``discard_post``).
    user : mapping, optional
        Further user parameters of the header.

    Raises
    ------
    ShapeError
        If the scan has more heartbeats, coils or samples than the format can number.
    """
    _check_limits(scan)
    parts = [*_noise_parts(scan), *_timed_parts(scan, discard)]
    heads = np.concatenate([part.heads for part in parts])
    order = _acquired_order(heads)
    heads["scan_counter"][order] = np.arange(1, len(order) + 1)
    heads["flags"][order[-1]] |= bit(LAST_IN_MEASUREMENT)
    with atomic_write(path) as temporary, create_h5(temporary) as file:
        group = file.create_group("dataset")
        xml = group.create_dataset("xml", (1,), dtype=h5py.special_dtype(vlen=bytes))
        xml[0] = header_xml(scan, user or {})
        _write_table(group, parts, heads, order)


def _check_limits(scan: Acquisition) -> None:
    limits = (
        ("samples", scan.n_samples, 65535),
        ("coils", scan.n_coils, 1024),
        ("heartbeats", int(np.ptp(scan.heartbeat)) + 1, 65535),
    )
    for name, count, most in limits:
        if count > most:
            raise ShapeError(f"{count} {name}, ISMRMRD counts to {most}", file=scan.name)


def _timed_parts(scan: Acquisition, discard: tuple[int, int]) -> list[_Part]:
    nav = scan.navigators
    start = min(scan.times.min(), np.inf if nav is None else nav.times.min())
    first = min(scan.heartbeat.min(), scan.heartbeat.min() if nav is None else nav.heartbeat.min())
    parts = [_Part(_heads(scan, scan.kspace.shape, 3), scan.kspace, scan.coord)]
    parts[0].heads["idx"]["kspace_encode_step_1"] = np.arange(scan.n_spokes) % 65536
    clocks = [(scan.times, scan.heartbeat)]
    if nav is not None:
        heads = _heads(scan, nav.kspace.shape, 0 if nav.coord is None else 3)
        heads["flags"] = bit(NAVIGATION)
        parts.append(_Part(heads, nav.kspace, nav.coord))
        clocks.append((nav.times, nav.heartbeat))
    for part, (times, heartbeat) in zip(parts, clocks, strict=True):
        _set_clock(part.heads, times - start, heartbeat - first)
        part.heads["discard_pre"], part.heads["discard_post"] = discard
        if part.coord is not None:
            radius = np.median(np.linalg.norm(part.coord, axis=-1), axis=0)
            part.heads["center_sample"] = int(np.argmin(radius))
    _set_trigger(parts)
    return parts


def _noise_parts(scan: Acquisition) -> list[_Part]:
    """Return the noise as readouts as long as the spokes, and a shorter last one."""
    if scan.noise is None:
        return []
    n_samples = min(scan.n_samples, scan.noise.shape[1])
    whole = scan.noise.shape[1] // n_samples * n_samples
    pieces = [scan.noise[:, :whole].reshape(scan.n_coils, -1, n_samples), scan.noise[:, None, whole:]]
    parts = []
    for piece in pieces:
        if piece.shape[2]:
            heads = _heads(scan, piece.shape, 0)
            heads["flags"] = bit(NOISE)
            parts.append(_Part(heads, piece.astype(np.complex64)))
    return parts


def _heads(scan: Acquisition, shape: tuple[int, ...], n_dims: int) -> np.ndarray:
    n_coils, n, n_samples = shape
    heads = np.zeros(n, dtype=from_ismrmrd("hdf5").acquisition_header_dtype)
    heads["version"] = heads["measurement_uid"] = 1
    heads["number_of_samples"], heads["trajectory_dimensions"] = n_samples, n_dims
    heads["available_channels"] = heads["active_channels"] = n_coils
    mask = sum(1 << coil for coil in range(n_coils))
    heads["channel_mask"] = [(mask >> (64 * word)) & (2**64 - 1) for word in range(16)]
    heads["sample_time_us"] = 1e6 * float(scan.system.get("dwell_s", 0.0))
    position, directions = lps_from_geometry(scan.geometry)
    heads["position"] = position
    heads["read_dir"], heads["phase_dir"], heads["slice_dir"] = directions
    return heads


def _set_clock(heads: np.ndarray, seconds: np.ndarray, heartbeat: np.ndarray) -> None:
    micro = np.rint(np.asarray(seconds, np.float64) * 1e6).astype(np.int64)
    heads["acquisition_time_stamp"] = np.rint(micro / (TICK_S * 1e6))
    heads["user_int"][:, 0], heads["user_int"][:, 1] = micro // 1_000_000, micro % 1_000_000
    heads["idx"]["segment"] = heartbeat


def _set_trigger(parts: list[_Part]) -> None:
    """Set ticks since the first readout of each heartbeat, where ISMRMRD has the time since the trigger."""
    stamp = np.concatenate([part.heads["acquisition_time_stamp"] for part in parts])
    _, beat = np.unique(np.concatenate([part.heads["idx"]["segment"] for part in parts]), return_inverse=True)
    first = np.full(beat.max() + 1, np.iinfo(np.uint32).max, dtype=np.uint32)
    np.minimum.at(first, beat, stamp)
    since = np.split(stamp - first[beat], np.cumsum([len(part.heads) for part in parts])[:-1])
    for part, ticks in zip(parts, since, strict=True):
        part.heads["physiology_time_stamp"][:, 0] = ticks


def _acquired_order(heads: np.ndarray) -> np.ndarray:
    """Return the rows in order: noise, then by time, a navigator before the spoke of the same moment."""
    is_noise = (heads["flags"] & bit(NOISE)) != 0
    is_navigator = (heads["flags"] & bit(NAVIGATION)) != 0
    return np.lexsort((~is_navigator, heads["user_int"][:, 1], heads["user_int"][:, 0], ~is_noise))


def _write_table(group: h5py.Group, parts: list[_Part], heads: np.ndarray, order: np.ndarray) -> None:
    acquisition_dtype = from_ismrmrd("hdf5").acquisition_dtype
    n = len(order)
    table = group.create_dataset("data", (n,), acquisition_dtype, chunks=(min(n, 512),), maxshape=(None,))
    ends = np.cumsum([len(part.heads) for part in parts])
    for start in range(0, n, BLOCK):
        rows = order[start : start + BLOCK]
        block = np.empty(len(rows), dtype=acquisition_dtype)
        block["head"] = heads[rows]
        for part, end in zip(parts, ends, strict=True):
            here = np.flatnonzero((rows < end) & (rows >= end - len(part.heads)))
            if here.size:
                _fill_block(block, here, part, rows[here] - (end - len(part.heads)))
        table[start : start + len(rows)] = block


def _fill_block(block: np.ndarray, here: np.ndarray, part: _Part, rows: np.ndarray) -> None:
    data = np.ascontiguousarray(part.kspace[:, rows].transpose(1, 0, 2)).view(np.float32)
    data = data.reshape(len(rows), -1)
    # The trajectory goes in as x y z
    traj = np.zeros((len(rows), 0), np.float32)
    if part.coord is not None:
        traj = np.ascontiguousarray(part.coord[rows, :, ::-1], dtype=np.float32).reshape(len(rows), -1)
    for at, samples, points in zip(here, data, traj, strict=True):
        block["data"][at], block["traj"][at] = samples, points
