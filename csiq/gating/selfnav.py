"""How far the heart moves along the head-foot axis, in mm, and the one-dimensional correction of that motion.

The breathing signal says when; how far one unit of it moves the heart is measured in the projections near the
centre of the field of view, where the heart is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from csiq.acquisition import Acquisition, Geometry, Navigators
from csiq.errors import ConfigError, RawDataError
from csiq.gating.breathing import breathing_trace
from csiq.gating.components import MIN_SNR
from csiq.gating.features import features_of
from csiq.gating.projections import si_projections
from csiq.gating.travel import travel_of

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

    References
    ----------
    Piccini D, et al. Respiratory self-navigation for whole-heart bright-blood coronary MRI. Magn Reson Med
    2012;68:571-579.
    """
    projections = si_projections(navigators, geometry, resolution_mm=_RESOLUTION_MM)
    if abs(projections.direction[0]) < 0.9:
        raise RawDataError("SI spokes do not run along axis z", field="navigators")
    features = features_of(projections)
    values, snr, used = breathing_trace(features)
    if snr < MIN_SNR:
        what = f"the heart's motion drowns in noise: SNR {snr:.2f}, expected {MIN_SNR} or more"
        raise RawDataError(what, field="SI projections", hint="--mode phases")
    signal = (values - values.mean()) / values.std()
    heart = used.select(slice(None), np.flatnonzero(np.abs(used.position) <= _HEART_MM))
    displacement = travel_of(heart, values).mm_per_unit * signal
    headward = 1.0 if projections.headward >= 0 else -1.0
    reference = np.quantile(headward * displacement, _REFERENCE) * headward
    shift: np.ndarray = np.sign(projections.direction[0]) * (displacement - reference)
    return shift


def correct_shift(scan: Acquisition, shift: np.ndarray | None = None) -> Acquisition:
    """Return the scan with the heart's displacement along z taken out of each heartbeat.

    The one-dimensional correction of the self-navigated sequence: a shift d of the heart turned every sample
    by exp(-2 pi i k_z d / FOV).

    Parameters
    ----------
    scan : Acquisition
    shift : float64 array, (n_spokes,), optional
        mm; :func:`spoke_shift` by default.

    Raises
    ------
    ConfigError
        If there are no SI spokes to navigate by.

    References
    ----------
    Piccini D, et al. Respiratory self-navigation for whole-heart bright-blood coronary MRI. Magn Reson Med
    2012;68:571-579.
    """
    shift = spoke_shift(scan) if shift is None else shift
    turns = scan.coord[..., 0] * (shift / scan.geometry.fov[0])[:, None]
    return replace(scan, kspace=(scan.kspace * np.exp(2j * np.pi * turns)).astype(np.complex64))


def spoke_shift(scan: Acquisition) -> np.ndarray:
    """Return the heart's displacement along z at each spoke, mm, as the SI spoke of its heartbeat shows it.

    Raises
    ------
    ConfigError
        If there are no SI spokes to navigate by.
    """
    navigators = scan.navigators
    if navigators is None:
        raise ConfigError(
            "there are no SI spokes", file=scan.name, field="--mode selfnav", hint="--mode phases"
        )
    shift = si_shift_mm(navigators, scan.geometry)
    return shift[np.argmin(np.abs(navigators.heartbeat[None] - scan.heartbeat[:, None]), axis=1)]
