"""Which end of a breathing signal is end-expiration, and how sure that is.

The sign of a principal component is arbitrary. Three cues vote, each as the logarithm of its odds:

- travel: what a rising signal moves to the head is breathing out (diaphragm and heart rise);
- dwell: more time is spent near end-expiration, so that the signal's long tail points to inspiration;
- strength: the whole signal is stronger at end-expiration (less air in the lungs, more body in the coils).

See docs/decisions/0003-orientation-of-breathing.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.gating.components import correlation
from csiq.gating.filters import without_drift

#: Largest logarithm of odds of each cue, and the value of the cue at which half of it is reached.
_TRAVEL, _TRAVEL_HALF = 4.0, 0.25
_DWELL, _DWELL_HALF = 1.5, 0.5
_STRENGTH, _STRENGTH_HALF = 1.0, 0.4


@dataclass(frozen=True)
class Orientation:
    """A vote on the sign of a signal.

    Attributes
    ----------
    sign : int
        1 if the signal rises towards end-expiration, else -1.
    confidence : float
        0 (a guess) .. 1: the probability of being right above chance, 2 P - 1.
    travel, dwell, strength : float
        Logarithms of the odds each cue gives to ``sign``; 0 where a cue was not available.
    """

    sign: int
    confidence: float
    travel: float
    dwell: float
    strength: float


def orient(
    values: np.ndarray, times: np.ndarray, *, total: np.ndarray, headward_travel: float = 0.0
) -> Orientation:
    """Find the sign of a breathing signal.

    Parameters
    ----------
    values, times : float64 arrays, (n_times,)
    total : float64 array, (n_times,)
        Total signal at these times.
    headward_travel : float
        How much a rising signal looks like a travel to the head, -1 .. 1; 0 if not known.
    """
    votes = np.array(
        [
            _vote(headward_travel, _TRAVEL, _TRAVEL_HALF),
            _vote(-_skewness(without_drift(values, times)), _DWELL, _DWELL_HALF),
            _vote(correlation(values, total), _STRENGTH, _STRENGTH_HALF),
        ]
    )
    sign = 1 if votes.sum() >= 0 else -1
    travel, dwell, strength = (float(v) for v in sign * votes)
    return Orientation(sign, float(np.tanh(abs(votes.sum()) / 2)), travel, dwell, strength)


def _vote(cue: float, largest: float, half: float) -> float:
    """Return log odds that rise with a cue and saturate: no single cue is ever certain."""
    return largest * cue / (abs(cue) + half)


def _skewness(values: np.ndarray) -> float:
    """Return a robust skewness, -1 .. 1: where the middle half of the values lies between the tails."""
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return float((high - middle) - (middle - low)) / max(float(high - low), 1e-30)
