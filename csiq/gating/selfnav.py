"""How far the heart moves along the head-foot axis, in mm: for a one-dimensional motion correction.

The breathing signal says when; how far one unit of it moves the heart is measured in the projections near the
centre of the field of view, where the heart is.
"""

from __future__ import annotations

import numpy as np

from csiq.acquisition import Geometry, Navigators
from csiq.errors import RawDataError
from csiq.gating.breathing import Features, features_of, shift_trace
from csiq.gating.components import MIN_SNR
from csiq.gating.projections import si_projections

#: mm: what is smoothed, and how far the heart reaches from the centre (beyond is the dome of the liver).
_RESOLUTION_MM, _HEART_MM = 8.0, 40.0
#: The end-expiratory position: this quantile of the displacement toward the head.
_REFERENCE = 0.9


def si_shift_mm(navigators: Navigators, geometry: Geometry) -> np.ndarray:
    """Return the displacement of the heart along array axis z at each navigator.

    Parameters
    ----------
    navigators : Navigators
        SI spokes along axis z.
    geometry : Geometry

    Returns
    -------
    float64 array, (n_navigators,)
        mm, positive towards rising z index; 0 near end-expiration.

    Raises
    ------
    RawDataError
        If the spokes do not run along z, or the motion of the heart drowns in noise.

    Notes
    -----
    A heart M on a still background S gives projections p(z) = S(z) + M(z - d). Per unit of the signal s, with
    d = k s, the first derivative is b = -k M'(z - d) and the second k^2 M'' = -k b'. So the second
    derivative along the signal over the gradient of the first one is -k: the background is gone, and so are
    the strengths of coils. Even and odd navigators give b twice; noise does not bias products between them.

    References
    ----------
    Piccini D, et al. Respiratory self-navigation for whole-heart bright-blood coronary MRI. Magn Reson Med
    2012;68:571-579.
    """
    projections = si_projections(navigators, geometry, resolution_mm=_RESOLUTION_MM)
    if abs(projections.direction[0]) < 0.9:
        raise RawDataError("SI spokes do not run along axis z", field="navigators")
    features = features_of(projections)
    values, snr, used = shift_trace(features)
    if snr < MIN_SNR:
        what = f"the heart's motion drowns in noise: SNR {snr:.2f}, expected {MIN_SNR} or more"
        raise RawDataError(what, field="SI projections", hint="--mode phases")
    signal = (values - values.mean()) / values.std()
    displacement = _mm_per_unit(used, signal) * signal
    headward = 1.0 if projections.headward >= 0 else -1.0
    reference = np.quantile(headward * displacement, _REFERENCE) * headward
    shift: np.ndarray = np.sign(projections.direction[0]) * (displacement - reference)
    return shift


def _mm_per_unit(features: Features, signal: np.ndarray) -> float:
    """Return how far one unit of the signal moves what is near the centre, to rising position."""
    near = np.flatnonzero(np.abs(features.position) <= _HEART_MM)
    first, second = [], []
    for half in (slice(0, None, 2), slice(1, None, 2)):
        powers = np.stack([np.ones_like(signal[half]), signal[half], 0.5 * signal[half] ** 2], axis=1)
        b, c = np.einsum("kt,ctx->kcx", np.linalg.pinv(powers), features.deviation[:, half])[1:]
        first.append(np.gradient(b, features.position, axis=1)[:, near].ravel())
        second.append(c[:, near].ravel())
    return float(-0.5 * (second[0] @ first[1] + second[1] @ first[0]) / (first[0] @ first[1]))
