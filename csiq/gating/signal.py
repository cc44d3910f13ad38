"""The breathing signal of a scan: from SI projections or the k-space centre, oriented, one value a spoke."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from csiq.acquisition import Acquisition, Geometry, Navigators
from csiq.config import Gating
from csiq.errors import ConfigError, RawDataError
from csiq.gating.bins import Bins, respiratory_bins
from csiq.gating.breathing import breathing_trace
from csiq.gating.centre import centre_trace
from csiq.gating.components import MIN_SNR, correlation
from csiq.gating.features import features_of
from csiq.gating.filters import Band, dominant_frequency, without_drift
from csiq.gating.orientation import Orientation, orient
from csiq.gating.projections import RESOLUTION_MM, si_projections
from csiq.gating.stack import stack_navigators
from csiq.gating.travel import travel_of

#: Fewer periods than this in a scan cannot be sorted (and may be a drift).
MIN_PERIODS = 1.5
#: Hz, for continuous scans without a band in the config. SI projections show displacement, drift included;
#: in the k-space centre a drift is as likely one of the scanner.
DEFAULT_BAND: dict[str, Band] = {"si": (0.0, 1.0), "k0": (0.08, 1.0)}

#: What the travel to the head counts if the file does not say where the head is, and +z is taken for it.
_UNKNOWN_HEAD = 0.5


@dataclass(frozen=True)
class Signal:
    """Displacement over time.

    Attributes
    ----------
    values : float64 array, (n_spokes,)
        Arbitrary unit, mean 0 and standard deviation 1 over the navigators; up = expiration.
    times : float64 array, (n_spokes,)
        Seconds from the start of the scan.
    heartbeat : int array, (n_spokes,), or None
        Of an ECG-triggered scan, whose heartbeats are binned whole.
    source : "si" or "k0"
        SI projections or k-space centre.
    orientation : "end-expiration-up" or "not applicable"
    confidence : float
        0 (the sign is a guess) .. 1; 1 where orientation is not applicable.
    cues : Orientation, or None
        What the confidence rests on.
    snr : float
    frequency : float
        Hz, where the spectrum is highest; of a triggered scan it may be an alias.
    navigator_times, navigator_values : float64 arrays, (n_navigators,)
        The signal as it was measured: once a heartbeat, or once a spoke.
    projections : float32 array, (n_navigators, n_positions), or None
        Root sum of squares over coils, for a picture.
    position : float64 array, (n_positions,), or None
        mm along the head-foot axis, rising to the head.
    """

    values: np.ndarray
    times: np.ndarray
    heartbeat: np.ndarray | None
    source: Literal["si", "k0"]
    orientation: Literal["end-expiration-up", "not applicable"]
    confidence: float
    cues: Orientation | None
    snr: float
    frequency: float
    navigator_times: np.ndarray
    navigator_values: np.ndarray
    projections: np.ndarray | None = field(default=None, repr=False)
    position: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class _Trace:
    """What a source measured, before it is oriented and spread over the spokes."""

    values: np.ndarray
    total: np.ndarray
    times: np.ndarray
    heartbeat: np.ndarray
    snr: float
    headward_travel: float = 0.0
    projections: np.ndarray | None = None
    position: np.ndarray | None = None


def respiratory_signal(scan: Acquisition, config: Gating) -> Signal:
    """Find the breathing of a scan.

    Parameters
    ----------
    scan : Acquisition
    config : Gating
        ``source``: auto takes SI projections where there are any; ``band`` in Hz, for continuous scans (one
        of a triggered scan may only cut from above); ``orient``: whether the signal is breathing, with an
        end-expiration to be found.

    Raises
    ------
    RawDataError
        If there is no signal above the noise, the scan is too short to have one, or there are no SI spokes
        although asked for.
    ConfigError
        If the band does not suit a triggered scan.
    """
    navigators = _navigators(scan, config.source)
    source: Literal["si", "k0"] = "si" if navigators else "k0"
    band = _band(scan, config.band, source)
    trace = _si_trace(navigators, scan.geometry, band) if navigators else _k0_trace(scan, band)
    frequency = _check(trace, "breathing" if config.orient else "periodic", scan.name, source)
    cues, sign = _sign(trace, config.orient)
    values = sign * (trace.values - trace.values.mean()) / trace.values.std()
    return Signal(
        values=_per_spoke(scan, replace(trace, values=values)),
        times=scan.times,
        heartbeat=scan.heartbeat if scan.triggered else None,
        source=source,
        orientation="end-expiration-up" if cues else "not applicable",
        confidence=cues.confidence if cues else 1.0,
        cues=cues,
        snr=trace.snr,
        frequency=frequency,
        navigator_times=trace.times,
        navigator_values=values,
        projections=trace.projections,
        position=trace.position,
    )


def _check(trace: _Trace, kind: str, name: str, source: str) -> float:
    """Return the dominant frequency in Hz, drift left out; refuse noise, and less than two periods."""
    where = "SI projections" if source == "si" else "k-space centre"
    hint = "--phases 1 reconstructs without"
    if not trace.snr >= MIN_SNR:
        what = f"no {kind} signal: SNR {trace.snr:.2f}, expected {MIN_SNR} or more"
        raise RawDataError(what, file=name, field=where, hint=hint)
    frequency = dominant_frequency(without_drift(trace.values, trace.times), trace.times)
    duration = float(trace.times[-1] - trace.times[0])
    if frequency * duration < MIN_PERIODS:
        what = f"no {kind} signal: {frequency * duration:.1f} periods in {duration:.1f} s"
        raise RawDataError(what, file=name, field=where, hint=hint)
    return frequency


def bin_spokes(signal: Signal, n_phases: int) -> Bins:
    """Sort the spokes of a signal into phases: whole heartbeats if triggered, end-expiration first.

    A signal without orientation runs from low to high.
    """
    low_first = signal.orientation == "not applicable"
    return respiratory_bins(signal.values, n_phases, signal.heartbeat, low_first=low_first)


def respiration_table(signal: Signal, bins: Bins) -> list[tuple[int, float, float, int]]:
    """Return the rows of ``respiration.tsv``: spoke, time_s, signal, phase (0: not used)."""
    rows = zip(signal.times.tolist(), signal.values.tolist(), bins.phase_of_spoke.tolist(), strict=True)
    return [(spoke, *row) for spoke, row in enumerate(rows)]


def _navigators(scan: Acquisition, source: str) -> Navigators | None:
    """Return what gives SI projections, or None for the k-space centre."""
    if source == "k0":
        return None
    navigators = scan.navigators or (None if scan.triggered else stack_navigators(scan))
    if source == "si" and navigators is None:
        raise RawDataError("no SI spokes", file=scan.name, field="navigators", hint='gate with source = "k0"')
    return navigators


def _band(scan: Acquisition, band: Band | None, source: Literal["si", "k0"]) -> Band | None:
    """Return the band to keep; of a triggered scan drift is displacement, and heartbeats are the samples."""
    if not scan.triggered:
        return band or DEFAULT_BAND[source]
    if band is None:
        return None
    first = np.unique(scan.heartbeat, return_index=True)[1]
    nyquist = 0.5 / float(np.median(np.diff(scan.times[first]))) if first.size > 1 else 0.0
    if band[0] > 0 or band[1] > nyquist:
        raise ConfigError(
            f"band {list(band)} Hz does not suit a triggered scan, one value a heartbeat",
            field="gating.band",
            hint=f"leave it out, or low edge 0 (drift is displacement) and high edge below {nyquist:.2f}",
        )
    return band


def _si_trace(navigators: Navigators, geometry: Geometry, band: Band | None) -> _Trace:
    coarse = si_projections(navigators, geometry, resolution_mm=RESOLUTION_MM)
    features = features_of(coarse)
    if band is not None:
        features = features.filtered(navigators.times, band)
    values, snr, used = breathing_trace(features)
    known = 1.0 if coarse.head_known else _UNKNOWN_HEAD
    fine = si_projections(navigators, geometry)
    picture = np.sqrt(np.sum(np.abs(fine.values) ** 2, axis=0))
    upward = -1 if coarse.headward < 0 else 1
    return _Trace(
        values=values,
        total=used.total.mean(axis=0),
        times=navigators.times,
        heartbeat=navigators.heartbeat,
        snr=snr,
        headward_travel=known * coarse.headward * travel_of(used, values).likeness,
        projections=picture[:, ::upward].astype(np.float32),
        position=upward * fine.position[::upward],
    )


def _k0_trace(scan: Acquisition, band: Band | None) -> _Trace:
    centre = centre_trace(scan, band)
    return _Trace(centre.values, centre.total, centre.times, centre.heartbeat, centre.snr)


def _sign(trace: _Trace, has_end_expiration: bool) -> tuple[Orientation | None, int]:
    """Return the vote on the sign, if there is one to take; without it, up is where the signal is strong."""
    if not has_end_expiration:
        return None, -1 if correlation(trace.values, trace.total) < 0 else 1
    vote = orient(trace.values, trace.times, total=trace.total, headward_travel=trace.headward_travel)
    return vote, vote.sign


def _per_spoke(scan: Acquisition, trace: _Trace) -> np.ndarray:
    """Return one value a spoke: constant within a heartbeat if triggered, else interpolated in time.

    A heartbeat without a navigator of its own takes the value between its neighbours.
    """
    if not scan.triggered:
        return np.interp(scan.times, trace.times, trace.values)
    _, group, count = np.unique(scan.heartbeat, return_inverse=True, return_counts=True)
    middle = np.bincount(group, weights=scan.times) / count
    known, which, repeats = np.unique(trace.heartbeat, return_inverse=True, return_counts=True)
    measured = np.bincount(which, weights=trace.values) / repeats
    start = np.bincount(which, weights=trace.times) / repeats
    beats = np.unique(scan.heartbeat)
    values = np.interp(middle, start, measured)
    at = np.minimum(np.searchsorted(known, beats), len(known) - 1)
    per_beat = np.where(known[at] == beats, measured[at], values)
    spokes: np.ndarray = per_beat[group]
    return spokes
