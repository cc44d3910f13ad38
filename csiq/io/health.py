"""What is in a scan, and what is odd about it: the data part of ``csiq info`` and ``csiq check``.

What makes a scan unusable is an error of its reader; what is found here lets a reconstruction go on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from csiq.acquisition import Acquisition
from csiq.arrays import to_host
from csiq.density import analytic_method
from csiq.io.alike import echo_peak
from csiq.io.finish import coil_levels
from csiq.trajectory import is_fibonacci

#: A coil this much quieter than the median coil is dead.
_SILENT = 1e-3

#: Breathing phases need several breaths, at 3 to 6 s each.
_SHORTEST_S = 20.0

#: Below this share of Nyquist even compressed sensing has little to go by (the paper: 0.2).
_FEWEST = 0.05


@dataclass(frozen=True)
class Finding:
    """Something worth knowing before a reconstruction.

    Attributes
    ----------
    level : str
        ``warning``: the image may suffer; ``note``: good to know.
    what : str
    hint : str
        What to do; may be empty.
    """

    level: str
    what: str
    hint: str = ""


def describe(scan: Acquisition) -> dict[str, Any]:
    """Return what is in a scan, in plain numbers and words that JSON can hold.

    Returns
    -------
    dict
        ``name``, ``sha256``, ``dimensions`` (2 or 3), ``n_coils``, ``n_spokes``, ``n_samples``,
        ``centre_out``, ``matrix``, ``fov_mm``, ``voxel_size_mm`` (z y x), ``nyquist_fraction``,
        ``triggered``, ``n_heartbeats`` and ``heartbeat_s`` (median RR; both None if not triggered),
        ``spokes_per_heartbeat`` (median), ``duration_s``, ``TR_s`` (of the header, else the median step, else
        None), ``gradient_delays`` (None if nobody asked),
        ``n_navigators``, ``n_noise_samples``, ``orientation_known``, ``trajectory_unit``, ``system``,
        ``warnings``.
    """
    geometry = scan.geometry
    _, per_beat = np.unique(scan.heartbeat, return_counts=True)
    rest = {key: value for key, value in scan.system.items() if key not in ("TR_s", "trajectory_unit")}
    return {
        "name": scan.name,
        "sha256": scan.sha256,
        "dimensions": 2 if scan.is_2d else 3,
        "n_coils": scan.n_coils,
        "n_spokes": scan.n_spokes,
        "n_samples": scan.n_samples,
        "centre_out": is_centre_out(scan),
        "matrix": list(geometry.shape),
        "fov_mm": list(geometry.fov),
        "voxel_size_mm": list(geometry.voxel_size),
        "nyquist_fraction": scan.nyquist_fraction,
        "triggered": scan.triggered,
        "n_heartbeats": len(per_beat) if scan.triggered else None,
        "spokes_per_heartbeat": float(np.median(per_beat)),
        "heartbeat_s": _median_or_none(_rr_intervals(scan)),
        "duration_s": duration_of(scan),
        "TR_s": scan.system.get("TR_s") or _median_or_none(np.diff(scan.times)),
        "n_navigators": 0 if scan.navigators is None else int(scan.navigators.times.size),
        "n_noise_samples": 0 if scan.noise is None else int(scan.noise.shape[1]),
        "orientation_known": geometry.known,
        "trajectory_unit": scan.system.get("trajectory_unit", "cycles/fov"),
        "system": rest,
        "gradient_delays": scan.delays.as_json() if scan.delays is not None else None,
        "warnings": list(scan.warnings),
    }


def findings(scan: Acquisition) -> list[Finding]:
    """Return what is odd about a scan, the reader's warnings first."""
    found = [Finding("warning", words) for words in scan.warnings]
    for look in _LOOKS:
        found += look(scan)
    return found


def is_centre_out(scan: Acquisition) -> bool:
    """Return whether spokes start at the centre of k-space instead of crossing it."""
    radius = np.linalg.norm(to_host(scan.coord[:256]), axis=-1)
    return bool(np.median(np.minimum(radius[:, 0], radius[:, -1])) < 0.25 * np.median(radius.max(axis=1)))


def duration_of(scan: Acquisition) -> float:
    """Return the seconds from the first to the last readout, navigators among them."""
    times = scan.times if scan.navigators is None else np.concatenate([scan.times, scan.navigators.times])
    return float(np.ptp(times))


def _rr_intervals(scan: Acquisition) -> np.ndarray:
    """Return the seconds between the starts of heartbeats; empty if the scan is not triggered."""
    if not scan.triggered:
        return np.empty(0)
    beats = np.unique(scan.heartbeat)
    starts = np.array([scan.times[scan.heartbeat == beat].min() for beat in beats])
    return np.diff(np.sort(starts))


def _median_or_none(values: np.ndarray) -> float | None:
    return float(np.median(values)) if values.size else None


def _look_at_coils(scan: Acquisition) -> list[Finding]:
    levels = coil_levels(to_host(scan.kspace))
    usual = float(np.median(levels))
    silent = [str(i) for i, level in enumerate(levels) if level <= _SILENT * usual]
    found = []
    if silent:
        found.append(Finding("warning", f"coils without signal: {', '.join(silent)}", "they are left out"))
    if scan.n_coils == 1:
        found.append(Finding("note", "one coil: no help from coil sensitivities against undersampling"))
    if scan.noise is None and scan.n_coils > 1:
        found.append(Finding("note", "no noise readouts: coils are not whitened"))
    return found


def _look_at_sampling(scan: Acquisition) -> list[Finding]:
    fraction = scan.nyquist_fraction
    if fraction >= _FEWEST:
        return []
    what = f"{scan.n_spokes} spokes are {100 * fraction:.1f} % of Nyquist"
    return [Finding("warning", what, "a smaller --matrix needs fewer")]


def _look_at_time(scan: Acquisition) -> list[Finding]:
    duration = duration_of(scan)
    found = []
    if duration < _SHORTEST_S:
        what = f"{duration:.1f} s are too short to sort by breathing"
        found.append(Finding("note", what, "--phases 1"))
    intervals = _rr_intervals(scan)
    missed = int(np.sum(intervals > 1.8 * np.median(intervals))) if intervals.size else 0
    if missed > 0.1 * intervals.size:
        what = f"{missed} of {intervals.size} heartbeats follow after a pause of 1.8 RR or more"
        found.append(Finding("warning", what, "arrhythmia or missed triggers"))
    return found


def _look_at_navigators(scan: Acquisition) -> list[Finding]:
    if scan.navigators is None:
        return [Finding("note", "no SI spokes: breathing is taken from the centre of k-space")]
    beats, with_navigator = np.unique(scan.heartbeat), np.unique(scan.navigators.heartbeat)
    bare = np.setdiff1d(beats, with_navigator).size
    if not bare:
        return []
    return [Finding("warning", f"{bare} of {beats.size} heartbeats have no SI spoke")]


def _look_at_interleaves(scan: Acquisition) -> list[Finding]:
    number = np.unique(scan.heartbeat).size
    if scan.is_2d or number < 2 or is_fibonacci(number) or analytic_method(scan.coord) != "phyllotaxis":
        return []
    what = f"{number} interleaves of a phyllotaxis, not a Fibonacci number"
    return [Finding("note", what, "large steps between spokes excite eddy currents")]


def _look_at_echo(scan: Acquisition) -> list[Finding]:
    peak = echo_peak(to_host(scan.kspace))
    centre = int(np.argmin(np.median(np.linalg.norm(to_host(scan.coord), axis=-1), axis=0)))
    if abs(peak - centre) <= 2:
        return []
    what = f"the signal peaks at sample {peak}, the trajectory passes the centre at sample {centre}"
    return [Finding("warning", what, "is this the scan's trajectory?")]


def _look_at_orientation(scan: Acquisition) -> list[Finding]:
    if scan.geometry.known:
        return []
    return [Finding("note", "the orientation in the patient is not known: images say so (NIfTI code 0)")]


_LOOKS: tuple[Callable[[Acquisition], list[Finding]], ...] = (
    _look_at_coils,
    _look_at_sampling,
    _look_at_time,
    _look_at_navigators,
    _look_at_interleaves,
    _look_at_echo,
    _look_at_orientation,
)
