"""Breathing phases: spokes sorted by a signal into bins of equal size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.errors import ConfigError, RawDataError, ShapeError


@dataclass(frozen=True)
class Bins:
    """The spokes of each phase.

    Attributes
    ----------
    indices : tuple of int64 arrays
        Spoke numbers of each phase, rising; phase index 0 is end-expiration.
    edges : float64 array, (n_phases + 1,)
        Signal at the borders of the phases, from phase 1 on: falling, or rising with ``low_first``.
    phase_of_spoke : int64 array, (n_spokes,)
        1 .. n_phases as people count them; 0 for a spoke that is not used.
    """

    indices: tuple[np.ndarray, ...]
    edges: np.ndarray
    phase_of_spoke: np.ndarray

    @property
    def n_phases(self) -> int:
        """Number of phases."""
        return len(self.indices)

    @property
    def counts(self) -> tuple[int, ...]:
        """Spokes of each phase."""
        return tuple(len(index) for index in self.indices)


def respiratory_bins(
    signal_values: np.ndarray, n_phases: int, heartbeat: np.ndarray | None = None, *, low_first: bool = False
) -> Bins:
    """Sort spokes into breathing phases of equal size; none is lost.

    Parameters
    ----------
    signal_values : float array, (n_spokes,)
        Displacement, arbitrary unit; larger is nearer to expiration. A spoke whose value is not finite is
        left out (phase 0).
    n_phases : int
    heartbeat : int array, (n_spokes,), optional
        Whole heartbeats are binned, by their mean signal; counts then differ by at most the spokes of one
        heartbeat where heartbeats are equally long. Without it counts differ by at most one spoke.
    low_first : bool
        Phase 1 has the lowest values instead: for signals whose orientation is not applicable.

    Returns
    -------
    Bins
        ``n_phases`` index arrays; phase 0 is end-expiration.

    Raises
    ------
    ShapeError
        If signal and heartbeats differ in length.
    ConfigError
        If ``n_phases`` is less than one.
    RawDataError
        If a phase would be empty.

    References
    ----------
    Feng L, et al. XD-GRASP. Magn Reson Med 2016;75:775-788.
    """
    values = np.asarray(signal_values, dtype=np.float64)
    groups = np.arange(values.size) if heartbeat is None else np.asarray(heartbeat)
    if values.ndim != 1 or groups.shape != values.shape:
        raise ShapeError(f"signal has shape {values.shape}, heartbeats {groups.shape}", field="signal")
    used = np.flatnonzero(np.isfinite(values))
    _, group, size = np.unique(groups[used], return_inverse=True, return_counts=True)
    height = np.bincount(group, weights=values[used]) / np.maximum(size, 1)
    order = np.argsort(height if low_first else -height, kind="stable")
    cuts = _equal_cuts(size[order], n_phases, "spokes" if heartbeat is None else "heartbeats")
    phase_of_group = np.empty(len(size), dtype=np.int64)
    phase_of_group[order] = np.repeat(np.arange(1, n_phases + 1), np.diff(cuts))
    phase_of_spoke = np.zeros(values.size, dtype=np.int64)
    phase_of_spoke[used] = phase_of_group[group]
    indices = tuple(np.flatnonzero(phase_of_spoke == p) for p in range(1, n_phases + 1))
    return Bins(indices, _edges(height[order], cuts), phase_of_spoke)


def _equal_cuts(size: np.ndarray, n_phases: int, what: str) -> np.ndarray:
    """Return where to cut groups of given sizes, in their order, for sums that are as equal as can be."""
    if n_phases < 1:
        raise ConfigError(f"expected one phase or more, got {n_phases}", field="phases")
    end = np.concatenate([[0], np.cumsum(size)])
    wanted = end[-1] * np.arange(n_phases + 1) / n_phases
    cuts = np.abs(end[None, :] - wanted[:, None]).argmin(axis=1)
    empty = np.flatnonzero(np.diff(cuts) < 1)
    if empty.size:
        raise RawDataError(
            f"phase {empty[0] + 1} of {n_phases} would be empty: {len(size)} {what}",
            field="phases",
            hint=f"--phases {max(1, min(n_phases - 1, len(size)))}",
        )
    return cuts


def _edges(height: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Return the ends of the sorted signal, and the middle between neighbours at each cut."""
    inner = 0.5 * (height[cuts[1:-1] - 1] + height[cuts[1:-1]])
    return np.concatenate([height[:1], inner, height[-1:]])
