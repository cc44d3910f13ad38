"""The scale of grades: 0 (nondiagnostic) to 4 (excellent), in halves where people read."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

#: Every grade a reader can give.
HALVES = np.arange(9) / 2
HALVES.flags.writeable = False


def round_to_halves(grades: ArrayLike) -> np.ndarray:
    """Return the nearest grades a reader could give: halves, those midway to the even one, 0 to 4.

    Midway means half to even in units of half grades, as NumPy and R round: 0.25 becomes 0, 0.75 becomes 1,
    1.25 becomes 1.

    Parameters
    ----------
    grades : float array
        NaN where missing.

    Returns
    -------
    float64 array
        Of the same shape; NaN stays.
    """
    found = np.clip(np.round(2 * np.asarray(grades, np.float64)) / 2, HALVES[0], HALVES[-1])
    return np.asarray(found + 0.0)  # no negative zero
