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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from csiq.acquisition import Acquisition, Navigators
from csiq.errors import ConfigError, CsiqError, RawDataError, one_line
from csiq.io import timing
from csiq.io.draft import Draft
from csiq.io.finish import finish
from csiq.io.given_trajectory import given_trajectory, is_name, orient_given
from csiq.io.hdf5 import check_memory
from csiq.io.options import ReadOptions, without_effect
from csiq.io.sniff import RAW, check_readable
from csiq.io.spokes import check_radial
from csiq.io.twix_header import CARTESIAN, Protocol, geometry_of, system_of
from csiq.io.twix_layout import Readouts, walk
from csiq.io.twix_lines import TwixScan, choose_echo, choose_lines, flagged_navigators, usual_size


@dataclass(frozen=True)
class _Clock:
    """Seconds, heartbeat and kind of imaging readouts and flagged navigators, in the order of acquisition."""

    times: np.ndarray
    heartbeat: np.ndarray
    navigator: np.ndarray


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
    check_readable(path, RAW)
    check_memory(2 * path.stat().st_size, options.max_memory_bytes, path, "samples")
    scan = _load(path, walk(path))
    said = "the file says it"
    idle = without_effect(options, group="a TWIX file has none", fov=said, tr=said)
    return finish(_decode(scan, path, options).noted(*idle), options)


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
                what = f"not a readable TWIX file (VB/VD/VE/XA): {one_line(error)}"
                raise RawDataError(what, file=path) from error
    finally:
        logging.disable(before)


def _load(path: Path, readouts: Readouts) -> TwixScan:
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
        image, navigator = scan.get("image"), scan.get("rtfeedback")
        _check_found(image, int(readouts.is_image.sum()), "imaging", path)
        _check_found(navigator, int(readouts.is_feedback.sum()), "feedback", path)
        noise = next((m["noise"] for m in reversed(measurements) if m.get("noise") is not None), None)
        protocol = Protocol(scan["hdr"]["MeasYaps"], path)
        return TwixScan(image, navigator, noise, readouts, protocol, dict(scan["hdr"]["Dicom"]))


def _check_found(found: Any, expected: int, kind: str, path: Path) -> None:
    count = 0 if found is None or found.isBrokenFile else int(found.NAcq)
    if count != expected or (kind == "imaging" and not count):
        raise RawDataError(f"{count} of {expected} {kind} readouts could be read", file=path)


def _decode(scan: TwixScan, path: Path, options: ReadOptions) -> Draft:
    notes: list[str] = []
    geometry = geometry_of(scan.protocol, scan.image.slicePos[0], path)
    if options.keep_identifiers:
        notes.append("--keep-identifiers: nothing of the subject is kept of a TWIX file")
    if not geometry.known:
        notes.append("orientation is missing or not orthonormal: images are written without one")
    trajectory = _check_trajectory(scan, path, options, notes)
    geometry, words = orient_given(trajectory, geometry)
    notes += words
    echo = choose_echo(scan, path, options.echo)
    rows = usual_size(scan, np.flatnonzero(scan.image.Eco == echo), path, notes)
    rows = choose_lines(scan, rows, options, notes)
    keep = _kept(scan, rows, path)
    samples = np.ascontiguousarray(_samples(scan.image, path)[:, rows, keep])
    clock = _clock(scan, rows, flagged_navigators(scan, notes))
    centre = int(scan.image.centerCol[rows[0]]) - keep.start
    # Where navigators are flagged, what is not flagged is the image
    telling = options if not clock.navigator.any() else replace(options, si_spokes="none")
    image = ~clock.navigator
    coord = given_trajectory(
        telling,
        samples,
        geometry,
        centre=centre if centre > 0 else None,
        heartbeat=clock.heartbeat[image],
    )
    check_radial(coord, geometry, path)
    return Draft(
        path=path,
        kspace=samples,
        coord=coord,
        times=clock.times[image],
        heartbeat=clock.heartbeat[image],
        geometry=geometry,
        navigators=_navigators(scan, path, keep, clock),
        noise=_noise(scan, samples.shape[0], path),
        triggered=timing.is_triggered(clock.times, clock.heartbeat),
        system={**system_of(scan.protocol, scan.dicom, echo), "trajectory_unit": "given"},
        warnings=tuple(notes),
    )


def _kept(scan: TwixScan, rows: np.ndarray, path: Path) -> slice:
    """Return the samples that the scanner does not discard."""
    pre, post = (int(v) for v in scan.image.cutOff[rows].max(axis=0))
    if scan.image.NCol - pre - post < 2:
        raise RawDataError(f"discards {pre} + {post} of {int(scan.image.NCol)} samples", file=path)
    return slice(pre, int(scan.image.NCol) - post)


def _clock(scan: TwixScan, rows: np.ndarray, flagged: np.ndarray) -> _Clock:
    """Return when the chosen imaging readouts and the flagged navigators happened."""
    places = np.concatenate([np.flatnonzero(scan.readouts.is_image)[rows], flagged])
    order = np.argsort(places)
    nav = scan.navigator if flagged.size else None

    def both(name: str) -> np.ndarray:
        """Return a column of image and navigator readouts together, in the order of acquisition."""
        parts = [getattr(scan.image, name)[rows], *([] if nav is None else [getattr(nav, name)])]
        return np.asarray(np.concatenate(parts)[order])

    is_navigator = (np.arange(len(places)) >= len(rows))[order]
    times = timing.ticks_to_seconds(both("timestamp"))
    return _Clock(times, timing.heartbeats(times, is_navigator, both("pmutime")), is_navigator)


def _navigators(scan: TwixScan, path: Path, keep: slice, clock: _Clock) -> Navigators | None:
    here = clock.navigator
    if not here.any():
        return None
    samples = np.ascontiguousarray(_samples(scan.navigator, path)[..., keep])
    return Navigators(samples, clock.times[here], clock.heartbeat[here])


def _check_trajectory(scan: TwixScan, path: Path, options: ReadOptions, notes: list[str]) -> str:
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


def _samples(readouts: Any, path: Path) -> np.ndarray:
    """Return samples as complex64 (n_coils, n_readouts, n_samples)."""
    with _silenced(path):
        readouts.flagRemoveOS = False
        data = readouts.unsorted()
    return np.ascontiguousarray(data.transpose(1, 2, 0), dtype=np.complex64)


def _noise(scan: TwixScan, n_coils: int, path: Path) -> np.ndarray | None:
    if scan.noise is None or int(scan.noise.NCha) != n_coils:
        return None
    return _samples(scan.noise, path).reshape(n_coils, -1)
