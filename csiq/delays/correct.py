"""The trajectory of a scan with its gradient delays taken into account."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from csiq.acquisition import Acquisition
from csiq.delays.tensor import Delays

#: Of the largest step, by which steps of an even spoke may differ: rounding of single precision.
_EVEN = 1e-3


def sample_steps(coord: np.ndarray) -> np.ndarray:
    """Return how far k-space moves from one sample to the next, at each sample.

    Even spokes have one step; on a gradient's ramp it grows, and late gradients matter less there.

    Parameters
    ----------
    coord : float array, (n_spokes, n_samples, 3)

    Returns
    -------
    float64 array, (n_spokes, n_samples, 3) or (n_spokes, 1, 3)
        z y x, cycles per field of view and sample.
    """
    coord = np.asarray(coord, dtype=np.float64)
    mean = (coord[:, -1:] - coord[:, :1]) / (coord.shape[1] - 1)
    uneven = np.abs(coord - coord[:, :1] - mean * np.arange(coord.shape[1])[:, None])
    if uneven.max() <= _EVEN * max(np.abs(mean).max(), 1e-12):
        return mean
    return np.gradient(coord, axis=1)


def corrected_coord(coord: np.ndarray, delays: Delays) -> np.ndarray:
    """Return ``k + S v``.

    Parameters
    ----------
    coord : float32 array, (n_spokes, n_samples, 3)
        z y x, cycles per field of view.
    delays : Delays

    Returns
    -------
    float32 array, (n_spokes, n_samples, 3)
    """
    corrected = np.empty_like(coord, dtype=np.float32)
    for start in range(0, len(coord), 256):  # steps are in double precision: a few spokes at a time
        part = slice(start, start + 256)
        corrected[part] = coord[part] + sample_steps(coord[part]) @ delays.tensor.T
    return corrected


def correct_delays(scan: Acquisition, delays: Delays) -> Acquisition:
    """Return the scan with its trajectory, navigators too, where late gradients really brought it.

    Parameters
    ----------
    scan : Acquisition
    delays : Delays
        In samples; they are recorded in ``scan.delays``.

    References
    ----------
    Peters DC, et al. Centering the projection reconstruction trajectory: reducing gradient delay errors. Magn
    Reson Med 2003;50:1-6. Moussavi A, et al. Correction of gradient-induced phase errors in radial MRI. Magn
    Reson Med 2014;71:308-312.
    """
    navigators = scan.navigators
    if navigators is not None and navigators.coord is not None:
        navigators = replace(navigators, coord=corrected_coord(navigators.coord, delays))
    coord = corrected_coord(scan.coord, delays)
    return replace(scan, coord=coord, navigators=navigators, delays=replace(delays, applied=True))
