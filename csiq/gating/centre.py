"""A signal from the centre of k-space: every spoke measures the sum over the whole body.

It is there in every radial scan, but knows no direction: what it shows is a change of strength.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.acquisition import Acquisition
from csiq.arrays import to_host, xp_of
from csiq.errors import RawDataError
from csiq.gating.components import agreeing_coils, correlation, principal_components, reproducible_snr
from csiq.gating.filters import Band, band_pass

#: Cycles per field of view: spokes that pass farther from the centre (outer partitions) say nothing of it.
_AT_CENTRE = 0.75
#: Spokes over which a decay is steepest, and the degree of the polynomial it is described with.
_DECAY_SPOKES, _DECAY_DEGREE = 20.0, 5


@dataclass(frozen=True)
class CentreTrace:
    """A signal from the centre of k-space, its sign still open.

    Attributes
    ----------
    values : float64 array, (n_times,)
    total : float64 array, (n_times,)
        Strength relative to its mean (or its decay), summed over the coils the signal came from.
    times : float64 array, (n_times,)
    heartbeat : int array, (n_times,)
    snr : float
        From two halves of the data.
    """

    values: np.ndarray
    total: np.ndarray
    times: np.ndarray
    heartbeat: np.ndarray
    snr: float


def centre_trace(scan: Acquisition, band: Band | None) -> CentreTrace:
    """Return the signal of the k-space centre: one value a heartbeat if triggered, else one a spoke.

    Parameters
    ----------
    scan : Acquisition
    band : (float, float), optional
        Hz; None keeps every frequency.

    Raises
    ------
    RawDataError
        If the centre has no signal, or heartbeats are not in order.
    """
    central, strength = _strength(scan)
    times, heartbeat = scan.times[central], scan.heartbeat[central]
    changes = _changes(strength, times, band)
    halves = _heartbeat_halves(heartbeat, scan.name) if scan.triggered else _even_and_odd(len(times))
    spokes = halves[0] if scan.triggered else np.arange(len(times))
    kept = _filtered(changes[:, spokes], times[spokes], band)
    coils = agreeing_coils(kept)
    values = _first(kept[coils])
    alone = [_first(_filtered(changes[np.ix_(coils, half)], times[half], band)) for half in halves]
    alone = [np.interp(times[spokes], times[half], part) for half, part in zip(halves, alone, strict=True)]
    snr = reproducible_snr(*(part * np.sign(correlation(part, values)) for part in alone))
    weight = strength[coils].mean(axis=1)
    total = weight @ changes[np.ix_(coils, spokes)] / weight.sum()
    return CentreTrace(values, total, times[spokes], heartbeat[spokes], snr)


def _strength(scan: Acquisition) -> tuple[np.ndarray, np.ndarray]:
    """Return the spokes that pass the centre, and their magnitude there, (n_coils, n_central).

    Coils without any signal are left out.
    """
    xp = xp_of(scan.kspace)
    radius = np.linalg.norm(to_host(scan.coord), axis=-1)
    nearest = radius.argmin(axis=1)
    central = np.flatnonzero(radius.min(axis=1) <= _AT_CENTRE)
    if central.size < _DECAY_DEGREE + 2:
        what = f"{central.size} of {scan.n_spokes} spokes pass the centre of k-space"
        raise RawDataError(what, file=scan.name, field="coord", hint="--phases 1 reconstructs without")
    centre = scan.kspace[:, xp.asarray(central), xp.asarray(nearest[central])]
    strength = to_host(xp.abs(centre)).astype(np.float64)
    live = strength.mean(axis=1) > 0
    if not live.any():
        raise RawDataError("no signal at the centre of k-space", file=scan.name, field="kspace")
    return central, strength[live]


def _even_and_odd(n: int) -> tuple[np.ndarray, np.ndarray]:
    every = np.arange(n)
    return every[::2], every[1::2]


def _heartbeat_halves(heartbeat: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return one fixed readout of every heartbeat, from its middle, and the one behind it.

    Magnetisation and direction change within a heartbeat, hardly from one readout to the next.
    """
    if np.any(np.diff(heartbeat) < 0):
        raise RawDataError("heartbeats are not in order", file=name, field="heartbeat")
    _, first, count = np.unique(heartbeat, return_index=True, return_counts=True)
    middle = int(np.median(count)) // 2
    return first + np.minimum(middle, count - 1), first + np.minimum(middle + 1, count - 1)


def _changes(strength: np.ndarray, times: np.ndarray, band: Band | None) -> np.ndarray:
    """Return changes relative to each coil's strength, (n_coils, n_spokes).

    A band without drift leaves out a decay as well (RF and relaxation of hyperpolarised gas, the way to the
    steady state): steep at first and slower later, so that its logarithm is smooth in the logarithm of time.
    """
    mean = strength.mean(axis=1, keepdims=True)
    if band is None or band[0] == 0:
        changes: np.ndarray = strength / mean - 1
        return changes
    logarithm = np.log(np.maximum(strength, 1e-3 * mean))
    scale = _DECAY_SPOKES * float(np.median(np.diff(times)))
    age = np.log1p((times - times[0]) / scale)
    age = 2 * age / age[-1] - 1
    fit = np.polynomial.chebyshev.chebfit(age, logarithm.T, _DECAY_DEGREE)
    return logarithm - np.polynomial.chebyshev.chebval(age, fit)


def _filtered(changes: np.ndarray, times: np.ndarray, band: Band | None) -> np.ndarray:
    """Return the changes inside the band, in units of each coil's noise."""
    noise = np.median(np.abs(np.diff(changes, axis=1)), axis=1, keepdims=True)
    kept = changes if band is None else band_pass(changes.T, times, band).T
    scaled: np.ndarray = kept / np.maximum(noise, 1e-12)
    return scaled


def _first(changes: np.ndarray) -> np.ndarray:
    first: np.ndarray = principal_components(changes[:, :, None], 1).scores[:, 0]
    return first
