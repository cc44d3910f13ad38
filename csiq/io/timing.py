"""When each readout was acquired, in which heartbeat, and which ones were lost."""

from __future__ import annotations

import numpy as np

#: ISMRMRD's and Siemens' time stamps count these from midnight.
TICK_S = 2.5e-3
_DAY_TICKS = round(86400 / TICK_S)

#: A pause this much longer than the usual step (and than 0.1 s) separates heartbeats.
_PAUSE = 5.0


def ticks_to_seconds(ticks: np.ndarray) -> np.ndarray:
    """Return seconds since the first readout; a scan over midnight goes on counting.

    Parameters
    ----------
    ticks : int array, (n,)
        In the order of acquisition.
    """
    relative = ticks.astype(np.int64) - int(ticks[0])
    midnight = np.diff(relative, prepend=0) < -_DAY_TICKS // 2
    return (relative + _DAY_TICKS * np.cumsum(midnight)) * TICK_S


def lost_readouts(counter: np.ndarray) -> tuple[int, int]:
    """Return how many readouts the scan counter misses, and the largest gap.

    A counter that was never set (constant) or that restarts tells nothing and counts as no loss.
    """
    steps = np.diff(counter.astype(np.int64))
    gaps = steps[steps > 1] - 1
    return (int(gaps.sum()), int(gaps.max())) if gaps.size else (0, 0)


def pauses(times: np.ndarray) -> np.ndarray:
    """Return the number of the burst of each readout, from 0; a burst ends where the scan pauses."""
    steps = np.diff(times)
    usual = float(np.median(steps)) if steps.size else 0.0
    return np.concatenate([[0], np.cumsum(steps > max(_PAUSE * usual, 0.1))]).astype(np.int64)


def heartbeats(times: np.ndarray, is_navigator: np.ndarray, since_trigger: np.ndarray | None) -> np.ndarray:
    """Return the heartbeat (or interleave) of each readout, from 0.

    A navigator heads an interleave; without navigators the time since the ECG trigger falls back at each
    heartbeat; without a trigger, pauses in the acquisition separate them. All are 0 in a continuous scan
    that has none of these.

    Parameters
    ----------
    times : float array, (n,)
        Of imaging and navigator readouts in the order of acquisition.
    is_navigator : bool array, (n,)
    since_trigger : int array, (n,), optional
        ISMRMRD's first physiology time stamp.
    """
    if is_navigator.any():
        # Several navigators in a row head one interleave
        heads = is_navigator & ~np.concatenate([[False], is_navigator[:-1]])
        return np.maximum(np.cumsum(heads) - 1, 0).astype(np.int64)
    if since_trigger is not None and np.ptp(since_trigger) > 0:
        return np.concatenate([[0], np.cumsum(np.diff(since_trigger.astype(np.int64)) < 0)]).astype(np.int64)
    return pauses(times)


def is_triggered(times: np.ndarray, heartbeat: np.ndarray) -> bool:
    """Return whether spokes come in bursts, one a heartbeat, with pauses between them.

    Parameters
    ----------
    times, heartbeat : arrays, (n,), in the order of acquisition
    """
    new = np.diff(heartbeat) != 0
    if new.sum() < 2:
        return False
    steps = np.diff(times)
    within = steps[~new]
    usual = float(np.median(within)) if within.size else 0.0
    return bool(np.median(steps[new]) > max(_PAUSE * usual, 0.1))
