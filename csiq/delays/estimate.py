"""Gradient delays from the scan itself: all spokes cross one smooth k-space.

RING looks for the point where two spokes intersect: there they have measured the same. Here all spokes are
compared at once, and none has to intersect another exactly, which in 3D none does: about its centre k-space
is smooth (the object is no larger than the field of view of the readout), so a few polynomials a coil
describe it, and the delays are those with which all spokes agree about it best.
"""

from __future__ import annotations

import numpy as np

from csiq.acquisition import Acquisition
from csiq.delays.centre import central_samples
from csiq.delays.fit import Fit, observable, search, symmetric
from csiq.delays.tensor import Delays
from csiq.errors import RawDataError

#: Samples on each side of the centre; with them a delay of two samples stays inside.
_EACH_SIDE = 3
_FEWEST = 8  # spokes
_MOST_SD = 0.1  # samples: a larger error may do more harm than the delay
_LEAST_EXPLAINED = 0.95  # below it, noise in the smooth k-space biases the estimate
_MOST = 5.0  # samples: more is another trajectory, not a delay


def estimate_delays(scan: Acquisition) -> Delays:
    """Return the gradient delays of a scan, by the samples about the centre of its k-space.

    Needs no opposed spokes: 2D and 3D, golden angles, phyllotaxis, stack-of-stars (in its plane) and half
    spokes. A change of a whole spoke's amplitude and phase (decay, drift, motion) is taken out first.

    Parameters
    ----------
    scan : Acquisition

    Returns
    -------
    Delays
        S in samples with ``k' = k + S v``, its standard errors (robust, heartbeat by heartbeat), and whether
        it is to be trusted. Equal scans give equal numbers, whatever the number of threads, to 1e-9.

    Raises
    ------
    RawDataError
        If there is no signal about the centre of k-space.

    References
    ----------
    Rosenzweig S, Holme HCM, Uecker M. Simple auto-calibrated gradient delay estimation from few spokes using
    radial intersections (RING). Magn Reson Med 2019;81:1898-1906. Block KT, Uecker M. Simple method for
    adaptive gradient-delay compensation in radial MRI. Proc ISMRM 2011;19:2816. Golub G, Pereyra V. Separable
    nonlinear least squares: the variable projection method. Inverse Problems 2003;19:R1-R26.
    """
    centre = central_samples(scan, _EACH_SIDE, np.zeros((3, 3)))
    if not np.any(centre.data):
        raise RawDataError("no signal about the centre of k-space", file=scan.name, field="kspace")
    names = observable(centre)
    if centre.n_spokes < _FEWEST or not names:
        return Delays(np.zeros((3, 3)), np.zeros((3, 3)), False, "too few spokes cross the centre", 0.0, 1)
    fit = search(centre, names, np.zeros((3, 3)))
    if fit.converged and 0.75 < np.abs(fit.tensor).max() <= _MOST:
        # the centre lies elsewhere on the spokes: take the samples about it
        centre = central_samples(scan, _EACH_SIDE, fit.tensor)
        fit = search(centre, names, fit.tensor)
    sd = symmetric(names, np.sqrt(np.diag(fit.covariance)))
    found = Delays(fit.tensor, sd, explained=fit.explained, n_spokes=centre.n_spokes)
    reason = _doubt(found, fit)
    return Delays(fit.tensor, sd, not reason, reason, fit.explained, centre.n_spokes)


def _doubt(found: Delays, fit: Fit) -> str:
    """Return why an estimate is not to be applied, or nothing."""
    if not fit.converged:
        return "the search did not settle"
    if fit.explained < _LEAST_EXPLAINED:
        return f"spokes agree on {100 * fit.explained:.0f} % of the signal at the centre only"
    if not found.largest_sd <= _MOST_SD:
        return f"the standard error is {found.largest_sd:.2f} samples"
    if found.largest > _MOST:
        return f"{found.largest:.1f} samples are no gradient delay"
    return ""
