"""Interleaves of a phyllotaxis whose SI spokes nobody flagged: found in the samples, or told.

Sequences head each interleave with an SI spoke, and many scanners store it like any other readout. Taken for
an imaging spoke it shifts the direction of every spoke behind it: the image is wrong, and nothing else shows.

SI spokes are all alike. So are, nearly, the first imaging spokes of a phyllotaxis, which lie about the pole.
But these turn by the golden angle from interleave to interleave, and SI spokes do not turn at all: what of
the readouts goes with that angle tells one from the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.errors import ConfigError, RawDataError
from csiq.io.alike import explained, profiles
from csiq.io.options import ReadOptions
from csiq.trajectory import GOLDEN_ANGLE, interleave_sizes, phyllotaxis_directions, phyllotaxis_order

#: Fewest interleaves that can tell anything, and as many as are needed.
_FEWEST, _MOST = 12, 512

#: If the first readouts are imaging spokes, they turn at least a third as much as the second ones (in the
#: square: their mean radius about the pole is sqrt(1/2) to sqrt(3/2)); SI spokes do not. The border between,
#: and the standard deviations from it that decide.
_BORDER, _SURE = 0.15, 4.0

_SHUFFLES = 48

#: Share of the variance that the right number of interleaves explains at least, and how much more than the
#: next one.
_EXPLAINED, _BETTER = 0.1, 1.15


@dataclass(frozen=True)
class Interleaves:
    """The interleaves of a phyllotaxis.

    Attributes
    ----------
    number : int array, (n_readouts,)
        Interleave of each readout, from 0.
    headed : bool
        Whether the first readout of each is an SI spoke.
    """

    number: np.ndarray
    headed: bool

    @property
    def is_si(self) -> np.ndarray:
        """Which readouts are SI spokes."""
        return self.headed & np.concatenate([[True], np.diff(self.number) != 0])

    def directions(self) -> np.ndarray:
        """Return the directions of all readouts, (n_readouts, 3), unit vectors z y x."""
        imaging, found = ~self.is_si, np.zeros((len(self.number), 3))
        found[:, 0] = 1.0
        order = phyllotaxis_order(int(imaging.sum()), int(self.number[-1]) + 1)
        found[imaging] = phyllotaxis_directions(order)
        return found


def find_interleaves(kspace: np.ndarray, heartbeat: np.ndarray | None, options: ReadOptions) -> Interleaves:
    """Return the interleaves of a phyllotaxis, of readouts none of which is flagged as a navigator.

    Their number is the one that was told, else that of the heartbeats if these are equal, else the one that
    explains best which readouts are alike. Whether SI spokes head them was told, or is found.

    Parameters
    ----------
    kspace : complex64 array, (n_coils, n_readouts, n_samples)
        In the order of acquisition.
    heartbeat : int array, (n_readouts,), optional
        As the times tell it; all the same in a continuous scan.
    options : ReadOptions
        ``interleaves`` and ``si_spokes``.

    Raises
    ------
    RawDataError
        If the scan does not tell.
    ConfigError
        If the number that was told does not divide the readouts.
    """
    n = kspace.shape[1]
    told = {"first": True, "none": False}.get(options.si_spokes)
    if options.interleaves is not None:
        number = _equal(n, options.interleaves)
    elif heartbeat is not None and heartbeat[0] != heartbeat[-1] and _are_interleaves(heartbeat):
        number = np.unique(heartbeat, return_inverse=True)[1].astype(np.int64)
    else:
        return _searched(profiles(kspace), told)
    return Interleaves(number, _headed(profiles(kspace), number) if told is None else told)


def _equal(n_readouts: int, count: int) -> np.ndarray:
    if n_readouts % count or n_readouts // count < 2:
        hint = "SI spokes count; a scan that lost readouts needs its trajectory as a file"
        raise ConfigError(
            f"{n_readouts} readouts do not make {count} equal interleaves", field="--interleaves", hint=hint
        )
    return np.arange(n_readouts) // (n_readouts // count)


def _are_interleaves(heartbeat: np.ndarray) -> bool:
    """Return whether heartbeats hold what a phyllotaxis has in its interleaves, with or without SI spokes."""
    _, sizes = np.unique(heartbeat, return_counts=True)
    return bool(np.array_equal(sizes, interleave_sizes(len(heartbeat), len(sizes))))


def _searched(rows: np.ndarray, told: bool | None) -> Interleaves:
    """Return the interleaves that explain best which readouts are alike."""
    n = len(rows)
    found = []
    for count in range(_FEWEST, n // 3 + 1):
        if n % count == 0:
            tried = [Interleaves(_equal(n, count), kind) for kind in (True, False) if told in (None, kind)]
            found.append((max(explained(rows, one.directions()) for one in tried), count))
    found = [(-1.0, 0), (-1.0, 0), *sorted(found)]
    (next_best, _), (best, count) = found[-2:]
    if best < max(_EXPLAINED, _BETTER * next_best):
        raise RawDataError(
            "neither heartbeats nor the samples tell the interleaves of a phyllotaxis",
            field="--trajectory",
            hint="--interleaves N, or give the trajectory as a file",
        )
    number = _equal(n, count)
    return Interleaves(number, _headed(rows, number) if told is None else told)


def _headed(rows: np.ndarray, number: np.ndarray) -> bool:
    found = heads_are_si(rows, number)
    if found is None:
        raise RawDataError(
            "it cannot be told whether SI spokes head the interleaves of the phyllotaxis",
            field="--trajectory",
            hint="--si-spokes first or none",
        )
    return found


def heads_are_si(rows: np.ndarray, number: np.ndarray) -> bool | None:
    """Return whether the first readouts of the interleaves are SI spokes; None if it cannot be told.

    Parameters
    ----------
    rows : float array, (n_readouts, n_features)
        See :func:`csiq.io.alike.profiles`.
    number : int array, (n_readouts,)
        Interleave of each readout.
    """
    heads = np.flatnonzero(np.concatenate([[True], np.diff(number) != 0]))
    if len(heads) < _FEWEST or np.diff(heads, append=len(rows)).min() < 2:
        return None
    (first, spread), (second, its_spread) = (_turning(rows[heads + place]) for place in (0, 1))
    difference = _BORDER * second - first
    sure = abs(difference) > _SURE * np.hypot(spread, _BORDER * its_spread)
    # What turns neither way is no phyllotaxis, or nothing but noise
    turns = max(first - _SURE * spread, second - _SURE * its_spread) > 0
    return bool(difference > 0) if sure and turns else None


def _turning(rows: np.ndarray) -> tuple[float, float]:
    """Return how much of one readout an interleave goes with the golden angle, and the spread of chance."""
    n = len(rows)
    chosen = np.linspace(0, n - 1, min(n, _MOST)).astype(int)
    radius, angle = np.sqrt((chosen + 0.5) / n), GOLDEN_ANGLE * chosen
    about = [radius**k * wave(k * angle) for k in (1, 2) for wave in (np.cos, np.sin)]
    columns = np.stack(about, axis=1)
    basis = np.linalg.qr(columns - columns.mean(axis=0))[0]
    x = (rows[chosen] - rows[chosen].mean(axis=0)).astype(np.float64)
    alike = x @ x.T
    rng = np.random.default_rng(0)

    def share(order: np.ndarray) -> float:
        turned = basis[order]
        return float(np.sum(turned * (alike @ turned))) / len(chosen)

    chance = [share(rng.permutation(len(chosen))) for _ in range(_SHUFFLES)]
    return share(np.arange(len(chosen))) - float(np.mean(chance)), float(np.std(chance))
