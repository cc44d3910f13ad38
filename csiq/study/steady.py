"""Seconds that busy neighbours do not change: the median of one iteration, times their number.

All scans of a study have the same matrix, number of coils and phases, and an iteration is the same work in
each. What single iterations differ by is the machine: other work on it, a study that was halted. A median
over all of them leaves that out, where a sum would be of nothing but the longest halt.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: A step longer than this many medians was disturbed.
_DISTURBED = 3.0


def steady_clock(clocks: Sequence[np.ndarray], n: int) -> np.ndarray:
    """Return the seconds at each iteration, with the median step of all scans in place of each one.

    Parameters
    ----------
    clocks : sequence of float array, (n_computed,)
        Seconds from the start at iteration 0, 1, ... of each scan, as they were measured.
    n : int
        Iterations and one; after the last that was computed the clock stands.

    Returns
    -------
    float64 array, (n_scans, n)
        nan where nothing was measured.
    """
    first, step = median_of_known([c[0] for c in clocks]), median_of_known(_steps(clocks))
    ends = np.array([len(c) - 1 for c in clocks])[:, None]
    done = np.minimum(np.arange(n)[None], ends)
    # nothing but iteration 0: there is no step, and none is needed
    return first + done * (step if ends.max() > 0 else 0.0)


def disturbed_share(clocks: Sequence[np.ndarray]) -> float:
    """Return the share of steps that took more than three times the median; nan without steps."""
    steps = _steps(clocks)
    known = steps[np.isfinite(steps)]
    return float(np.mean(known > _DISTURBED * np.median(known))) if known.size else float("nan")


def _steps(clocks: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.diff(np.asarray(c, float)) for c in clocks])


def median_of_known(values: Sequence[float] | np.ndarray) -> float:
    """Return the median of what is finite; nan if nothing is."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if known.size else float("nan")
