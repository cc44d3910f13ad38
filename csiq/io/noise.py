"""Noise that was measured apart from the scan: in another group, or in another file.

Scanners measure noise once and let the scans that follow depend on it (ISMRMRD: ``measurementDependency``).
Its samples may have another dwell time; the variance of noise goes with the bandwidth, so they are scaled.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from csiq.errors import ConfigError, RawDataError
from csiq.io.given_trajectory import split_dataset
from csiq.io.hdf5 import find_dataset, find_node, groups_of, open_h5, text_of
from csiq.io.header import Header, parse_header
from csiq.io.npy import load_npy
from csiq.io.options import ReadOptions
from csiq.io.records import read_heads, read_samples, rows_of_noise
from csiq.io.sniff import check_readable, identify

_OPTION = "--noise"


def given_noise(options: ReadOptions, n_coils: int, dwell: float | None) -> np.ndarray | None:
    """Return the noise that ``--noise`` names, None if it names none.

    Parameters
    ----------
    options : ReadOptions
    n_coils : int
        Of the scan.
    dwell : float, optional
        Seconds from a sample of the scan to the next; noise of ISMRMRD files is scaled to it.

    Returns
    -------
    complex64 array, (n_coils, n)

    Raises
    ------
    ConfigError
        If there is no such file or group.
    RawDataError
        If it holds no noise, or that of other coils.
    """
    if options.noise is None:
        return None
    path, group = split_dataset(options.noise)
    if path.suffix in (".cfl", ".hdr"):
        found = _of_cfl(path)
    else:
        check_readable(path, "ISMRMRD or .npy", field=_OPTION)
        is_h5 = identify(path) == "hdf5"
        found = _of_h5(path, group, dwell, options) if is_h5 else _of_npy(path, options.max_memory_bytes)
    if len(found) != n_coils:
        raise RawDataError(f"noise of {len(found)} coils, the scan has {n_coils}", file=path, field=_OPTION)
    return np.ascontiguousarray(found, np.complex64)


def _of_npy(path: Path, limit: int | None) -> np.ndarray:
    found = load_npy(path, field=_OPTION, expected="ISMRMRD or .npy", limit=limit)
    if found.ndim != 2 or found.dtype.kind != "c":
        raise RawDataError("expected complex samples (n_coils, n)", file=path, field=_OPTION)
    return found


def _of_cfl(path: Path) -> np.ndarray:
    from csiq.io.cfl import data_of, read_cfl, read_shape

    sizes = (*read_shape(path), 1, 1, 1)
    if np.prod(sizes[4:]) != 1:
        raise RawDataError("expected 1, samples, readouts, coils", file=data_of(path), field="dimensions")
    return np.asarray(read_cfl(path).reshape(sizes[3], -1))


def _of_h5(path: Path, group: str | None, dwell: float | None, options: ReadOptions) -> np.ndarray:
    with open_h5(path) as file:
        name = (group or "dataset").strip("/")
        if find_node(file, f"{name}/data") is None:
            listed = ", ".join(groups_of(file)[:8]) or "none"
            raise ConfigError(
                f"there is no group '{name}'", file=path, field=_OPTION, hint=f"FILE:/GROUP, found: {listed}"
            )
        found = noise_in(file, name, dwell, options.max_memory_bytes)
    if found is None:
        raise RawDataError("holds no noise readouts", file=path, field=f"/{name}")
    return found


def noise_in(file: h5py.File, group: str, dwell: float | None, limit: int | None) -> np.ndarray | None:
    """Return the noise of a group of an open ISMRMRD file; None if it has none.

    Parameters
    ----------
    file : h5py.File
    group : str
    dwell : float, optional
        Of the scan, in seconds; the noise is scaled to its bandwidth.
    limit : int, optional
        Bytes that may be used.

    Returns
    -------
    complex64 array, (n_coils, n)
        Of the coils that most readouts have.
    """
    table = find_dataset(file, f"{group}/data")
    if table is None:
        return None
    heads = read_heads(table, limit)
    rows = rows_of_noise(heads)
    if not rows.size:
        return None
    coils, counts = np.unique(heads["active_channels"][rows], return_counts=True)
    rows = rows[heads["active_channels"][rows] == coils[np.argmax(counts)]]
    # Within a kind all readouts have the same sizes, as read_samples asks for
    shapes = heads[["number_of_samples", "trajectory_dimensions"]][rows]
    sizes = {str(i): rows[shapes == shapes[i]] for i in sorted(np.unique(shapes, return_index=True)[1])}
    samples = read_samples(table, heads, sizes, dict.fromkeys(sizes, slice(None)))
    found = np.concatenate([one.kspace.reshape(len(one.kspace), -1) for one in samples.values()], axis=1)
    own = 1e-6 * float(heads["sample_time_us"][rows[0]])
    scale = np.sqrt(own / dwell) if dwell and own > 0 else 1.0
    return np.asarray(found * np.float32(scale))


def dependent_noise(
    file: h5py.File, header: Header, group: str, dwell: float | None, limit: int | None
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return the noise that a scan without its own depends on, if it is in the same file, and what to say.

    Parameters
    ----------
    file : h5py.File
    header : Header
        Of the scan.
    group : str
        Where the scan is.
    dwell, limit : see :func:`noise_in`

    Returns
    -------
    (complex64 array (n_coils, n) or None, tuple of str)
    """
    wanted, path = header.noise_measurement, Path(file.filename)
    others = [
        name for name in groups_of(file) if name != group and find_node(file, f"{name}/data") is not None
    ]
    for name in others if wanted else ():
        xml = find_dataset(file, f"{name}/xml")
        if xml is None:
            continue
        other = parse_header(text_of(xml, path), path, xml.name)
        if other.measurement != wanted:
            continue
        found = noise_in(file, name, dwell, limit)
        if found is not None:
            return matched(found, other.coil_names, header.coil_names), (
                "its noise is that of another group of the file: the measurement it depends on",
            )
    if wanted:
        return None, ("its noise is that of a measurement which this file does not hold: --noise FILE",)
    return None, ()


def matched(noise: np.ndarray, of_noise: tuple[str, ...], of_scan: tuple[str, ...]) -> np.ndarray:
    """Return the noise of the scan's coils, in their order, where both headers name them."""
    if len(of_noise) != len(noise) or not of_scan or not set(of_scan) <= set(of_noise):
        return noise
    return noise[[of_noise.index(name) for name in of_scan]]
