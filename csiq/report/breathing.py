"""The gating signal of a run: read back, and drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from csiq.errors import RawDataError
from csiq.io.tables import read_table
from csiq.report.figures import INK, blank, plain, style


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


def breathing_figure(breathing: Breathing, label: str, size: tuple[float, float] = (8.4, 3.0)) -> Figure:
    """Plot the gating signal over time and its histogram, spokes coloured by phase, with the bin edges.

    Parameters
    ----------
    breathing : Breathing
    label : str
        Of the vertical axis.
    size : (float, float)
        Inches.
    """
    figure = blank(size)
    over_time, counts = figure.subplots(1, 2, sharey=True, width_ratios=(4, 1))
    shown = breathing.thinned()
    over_time.plot(shown.times, shown.signal, color="#c3c9d0", lw=0.6, zorder=1)
    bins = np.histogram_bin_edges(breathing.signal, 40)
    size_of_dots = 3 if shown.signal.size > 300 else 6
    for phase in range(breathing.n_phases + 1):
        here = shown.phase == phase
        colour = style(phase)[0] if phase else "#9aa3ad"
        over_time.plot(shown.times[here], shown.signal[here], ".", ms=size_of_dots, color=colour, zorder=2)
        counts.hist(breathing.signal[breathing.phase == phase], bins, orientation="horizontal", color=colour)
    for axes in (over_time, counts):
        plain(axes)
        for edge in breathing.edges:
            axes.axhline(edge, color=INK, lw=0.9, ls=(0, (4, 3)), zorder=3)
    over_time.set_xlabel("time (s)")
    over_time.set_ylabel(label)
    over_time.set_yticks([])
    counts.set_xlabel("spokes")
    counts.xaxis.set_major_locator(MaxNLocator(2, integer=True))
    return figure
