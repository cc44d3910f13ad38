"""Siemens TWIX raw files (VB, VD, VE, XA), through pymapvbvd.

A TWIX file holds no trajectory: it is named or given. pymapvbvd prints, draws bars, warns where it should
stop and strips the readout oversampling, which spoils radial spokes; here it runs silenced, its warnings
are errors, all samples are kept, and what it found is compared with the file (:mod:`csiq.io.twix_layout`).
"""

from __future__ import annotations

import io
import logging
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from csiq.acquisition import Acquisition
from csiq.errors import ConfigError, CsiqError, RawDataError
from csiq.io import timing
from csiq.io.finish import Draft, finish
from csiq.io.given_trajectory import given_trajectory, is_name, orient_given, spokes_in_file
from csiq.io.hdf5 import check_memory
from csiq.io.options import ReadOptions
from csiq.io.sniff import check_readable
from csiq.io.spokes import check_radial
from csiq.io.twix_header import CARTESIAN, Protocol, geometry_of, system_of
from csiq.io.twix_layout import Readouts, walk

#: Where fewer lines than this share are measured twice, the second ones are no part of the image
#: (spectra, repeats); where more are, the scan repeats its lines by design.
_SURPLUS = 0.05


@dataclass(frozen=True)
class _Scan:
    """What was read: the imaging readouts' headers, their sizes in the file, noise, and the protocol."""

    image: Any
    n_samples: np.ndarray
    noise: Any
    protocol: Protocol
    dicom: dict[str, Any]


def read_twix(path: str | Path, options: ReadOptions | None = None) -> Acquisition:
    """Read a Siemens TWIX file.

    Parameters
    ----------
    path : path
    options : ReadOptions
        ``trajectory`` is needed; ``echo`` where there are several.

    Returns
    -------
    Acquisition
        Spokes in the order of acquisition; readouts that are no part of the image are left out, and said.

    Raises
    ------
    RawDataError
        If the file is truncated, damaged, Cartesian or no TWIX file, or does not fit the trajectory.
    ConfigError
        If pymapvbvd is not installed, there is no such file, or an option does not fit it.
    """
    path, options = Path(path), options or ReadOptions()
    check_readable(path)
    check_memory(2 * path.stat().st_size, options.max_memory_bytes, path, "samples")
    scan = _load(path, walk(path))
    return finish(_decode(scan, path, options), options)


@contextmanager
def _silenced(path: Path) -> Iterator[None]:
    """Run pymapvbvd without prints, bars and log lines; its warnings and exceptions are one error."""
    quiet, before = io.StringIO(), logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(quiet), redirect_stderr(quiet), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", UserWarning)
            try:
                yield
            except CsiqError:
                raise
            except Exception as error:
                # Lets go of the files it left open while their warnings are still silenced
                traceback.clear_frames(error.__traceback__)
                words = " ".join(str(error).split())[:120] or type(error).__name__
                raise RawDataError(f"not a readable TWIX file (VB/VD/VE/XA): {words}", file=path) from error
    finally:
        logging.disable(before)


def _load(path: Path, readouts: Readouts) -> _Scan:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from mapvbvd import mapVBVD
    except ImportError:
        raise ConfigError(
            "reading Siemens TWIX needs pymapvbvd", file=path, hint="pip install 'csiq[siemens]'"
        ) from None
    with _silenced(path):
        found = mapVBVD(str(path), quiet=True, removeOS=False, regrid=False)
        measurements = found if isinstance(found, list) else [found]
        scan = measurements[-1]
        image, sizes = scan.get("image"), readouts.n_samples[readouts.is_image]
        count = 0 if image is None or image.isBrokenFile else int(image.NAcq)
        if not count or count != len(sizes):
            raise RawDataError(f"{count} of {len(sizes)} imaging readouts could be read", file=path)
        noise = next((m["noise"] for m in reversed(measurements) if m.get("noise") is not None), None)
        return _Scan(image, sizes, noise, Protocol(scan["hdr"]["MeasYaps"], path), dict(scan["hdr"]["Dicom"]))


def _decode(scan: _Scan, path: Path, options: ReadOptions) -> Draft:
    notes: list[str] = []
    geometry = geometry_of(scan.protocol, scan.image.slicePos[0], path)
    if not geometry.known:
        notes.append("orientation is missing or not orthonormal: images are written without one")
    trajectory = _check_trajectory(scan, path, options, notes)
    geometry, words = orient_given(trajectory, geometry)
    notes += words
    echo = _choose_echo(scan, path, options.echo)
    rows = _usual_size(scan, np.flatnonzero(scan.image.Eco == echo), path, notes)
    rows = _choose_lines(scan, rows, options, notes)
    samples = _samples(scan.image, path)[:, rows]
    pre, post = (int(v) for v in scan.image.cutOff[rows].max(axis=0))
    if samples.shape[-1] - pre - post < 2:
        raise RawDataError(f"discards {pre} + {post} of {samples.shape[-1]} samples", file=path)
    samples = np.ascontiguousarray(samples[..., pre : samples.shape[-1] - post])
    times = timing.ticks_to_seconds(scan.image.timestamp[rows])
    heartbeat = timing.heartbeats(times, np.zeros(len(rows), bool), scan.image.pmutime[rows])
    centre = int(scan.image.centerCol[rows[0]]) - pre
    coord = given_trajectory(
        options, samples, geometry, centre=centre if centre > 0 else None, heartbeat=heartbeat
    )
    check_radial(coord, geometry, path)
    return Draft(
        path=path,
        kspace=samples,
        coord=coord,
        times=times,
        heartbeat=heartbeat,
        geometry=geometry,
        noise=_noise(scan, samples.shape[0], path),
        triggered=timing.is_triggered(times, heartbeat),
        system={**system_of(scan.protocol, scan.dicom, echo), "trajectory_unit": "given"},
        warnings=tuple(notes),
    )


def _check_trajectory(scan: _Scan, path: Path, options: ReadOptions, notes: list[str]) -> str:
    """Return the trajectory that was asked for, unless the scan cannot have it."""
    cartesian = scan.protocol.number("sKSpace.ucTrajectory", 0) == CARTESIAN
    kind = "a Cartesian scan" if cartesian else "no trajectory in a TWIX file"
    if options.trajectory is None:
        raise RawDataError(
            f"{kind}; csiq needs radial spokes",
            file=path,
            field="trajectory",
            hint="--trajectory phyllotaxis, golden2d, golden3d, stack-of-stars or FILE",
        )
    if cartesian and is_name(options.trajectory) and not options.force:
        raise RawDataError(
            f"its protocol says Cartesian, '{options.trajectory}' would be a guess",
            file=path,
            field="sKSpace.ucTrajectory",
            hint="give the trajectory as a file, or --force",
        )
    if cartesian:
        notes.append("the protocol says Cartesian; read as radial, as told")
    return options.trajectory


def _choose_echo(scan: _Scan, path: Path, echo: int | None) -> int:
    found = [int(e) for e in np.unique(scan.image.Eco)]
    listed = ", ".join(map(str, found))
    if echo is None and len(found) > 1:
        raise ConfigError(f"holds {len(found)} echoes", file=path, hint=f"--echo, one of: {listed}")
    if echo is not None and echo not in found:
        raise ConfigError(f"there is no echo {echo}", file=path, field="--echo", hint=f"found: {listed}")
    return found[0] if echo is None else echo


def _usual_size(scan: _Scan, rows: np.ndarray, path: Path, notes: list[str]) -> np.ndarray:
    """Return the readouts as long as most are; spectra share the scan with image lines."""
    sizes, counts = np.unique(scan.n_samples[rows], return_counts=True)
    usual = int(sizes[np.argmax(counts)])
    # pymapvbvd reads every readout with the size of the first
    if usual != int(scan.image.NCol):
        raise RawDataError(
            f"the first readout has {int(scan.image.NCol)} samples, most have {usual}", file=path
        )
    odd = len(rows) - int(counts.max())
    if odd > _SURPLUS * len(rows):
        raise RawDataError(f"{odd} of {len(rows)} readouts are not of {usual} samples", file=path)
    if odd:
        others = ", ".join(str(size) for size in sizes if size != usual)
        notes.append(f"{odd} of {len(rows)} readouts left out: {others} samples, not {usual} (spectra?)")
    return rows[scan.n_samples[rows] == usual]


def _choose_lines(scan: _Scan, rows: np.ndarray, options: ReadOptions, notes: list[str]) -> np.ndarray:
    """Return the readouts that make the image, in order: the first of each line."""
    image = scan.image
    slices = np.unique(image.Sli[rows])
    if len(slices) > 1:
        raise RawDataError(f"{len(slices)} slices; csiq reads one slice or one volume", field="Sli")
    lines = np.stack([image.Par[rows], image.Lin[rows]], axis=1)
    _, first = np.unique(lines, axis=0, return_index=True)
    surplus = len(rows) - len(first)
    wanted = spokes_in_file(options.trajectory) if options.trajectory else None
    if not surplus or wanted == len(rows):
        return rows
    if surplus > _SURPLUS * len(rows) and wanted != len(first):
        notes.append(f"the scan repeats its {len(first)} lines; all {len(rows)} readouts are used")
        return rows
    notes.append(f"{surplus} of {len(rows)} readouts left out: they repeat a line")
    return rows[np.sort(first)]


def _samples(readouts: Any, path: Path) -> np.ndarray:
    """Return samples as complex64 (n_coils, n_readouts, n_samples)."""
    with _silenced(path):
        readouts.flagRemoveOS = False
        data = readouts.unsorted()
    return np.ascontiguousarray(data.transpose(1, 2, 0), dtype=np.complex64)


def _noise(scan: _Scan, n_coils: int, path: Path) -> np.ndarray | None:
    if scan.noise is None or int(scan.noise.NCha) != n_coils:
        return None
    return _samples(scan.noise, path).reshape(n_coils, -1)
