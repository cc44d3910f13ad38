"""The gating signal of a run, read back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from csiq.errors import RawDataError
from csiq.io.tables import read_table


@dataclass(frozen=True)
class Breathing:
    """The gating signal of a run: the columns of ``respiration.tsv``, as arrays of one length.

    Attributes
    ----------
    times : float array
        Seconds.
    signal : float array
        Displacement, arbitrary unit.
    phase : int array
        Phase from 1; 0: not used.
    """

    times: np.ndarray
    signal: np.ndarray
    phase: np.ndarray

    @property
    def is_known(self) -> bool:
        """Whether there is a signal at all; a run with one phase needs none."""
        return bool(np.isfinite(self.signal).all()) and self.signal.size > 0

    @property
    def n_phases(self) -> int:
        """Number of phases."""
        return int(self.phase.max(initial=0))

    @property
    def counts(self) -> list[int]:
        """Spokes in each phase."""
        return [int((self.phase == p).sum()) for p in range(1, self.n_phases + 1)]

    @property
    def edges(self) -> list[float]:
        """Boundaries between neighbouring phases: halfway between their nearest values."""
        low_high = [
            (float(self.signal[self.phase == p].min()), float(self.signal[self.phase == p].max()))
            for p in range(1, self.n_phases + 1)
            if (self.phase == p).any()
        ]
        low_high.sort()
        return [(low[1] + high[0]) / 2 for low, high in pairwise(low_high)]

    def thinned(self, most: int = 1500) -> Breathing:
        """Return the signal with repeated values (one heartbeat) shown once, at most ``most`` points."""
        new = np.ones(self.signal.size, dtype=bool)
        new[1:] = (np.diff(self.signal) != 0) | (np.diff(self.phase) != 0)
        keep = np.flatnonzero(new)
        keep = keep[:: max(1, math.ceil(keep.size / most))]
        return Breathing(self.times[keep], self.signal[keep], self.phase[keep])


def read_breathing(path: Path) -> Breathing | None:
    """Read ``respiration.tsv``; None if it is not there or empty.

    Raises
    ------
    RawDataError
        If it is damaged.
    """
    if not path.is_file():
        return None
    rows = read_table(path)
    if not rows:
        return None
    try:
        times, signal, phase = (np.array([row[k] for row in rows]) for k in ("time_s", "signal", "phase"))
    except KeyError as error:
        raise RawDataError(f"lacks the column {error}", file=path) from None
    return Breathing(times.astype(float), signal.astype(float), phase.astype(int))
