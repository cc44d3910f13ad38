"""The decay of a hyperpolarised signal: found at the centre of k-space, and divided out.

Hyperpolarised xenon loses magnetisation with every excitation and by T1; it never comes back. Late spokes
are then too weak against early ones: the image is blurred, and breathing or heart-beat drown in the fall of
the signal. The decay is smooth and slow, what moves is fast: a polynomial of low degree through the
logarithm of the signal at the centre of k-space follows the one and not the other. Where magnetisation is
replenished (xenon dissolved in blood and tissue) the signal first falls to its balance; one exponential,
added where it explains much, follows that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from csiq.acquisition import Acquisition
from csiq.errors import RawDataError

#: Degree of the polynomial. 1 is one exponential (constant flip angle and T1), 2 also follows a drift of
#: either. In measured xenon 3 gained nothing, and with three breaths in a scan it follows the breathing.
DEGREE = 2

#: Passes of reweighting, and residuals (in robust standard deviations) from which a spoke counts less.
_PASSES, _TUNING = 10, 2.0

#: Time constants tried for the transient, as shares of the scan; gain in log-likelihood that admits one.
_TRANSIENTS = np.geomspace(0.003, 0.1, 12)
_ADMITTED = 30.0

#: Share of the signal by which motion may change it: spokes whose noise is below it weigh the same, or the
#: strong first seconds of a scan would decide alone, and the fit follow what moves in them.
_MOTION = 0.05

#: A transient starts this much (natural logarithm) above the balance, or it is motion.
_LEAST_TRANSIENT = 0.2

#: A signal that falls by less than this over the scan does not decay, it drifts.
_NOTEWORTHY = 0.9


def centre_signal(scan: Acquisition) -> np.ndarray:
    """Return the magnitude at the centre of k-space, over all coils, of each spoke.

    Returns
    -------
    float64 array, (n_spokes,)
        Root sum of squares over the coils, at each spoke's sample nearest to the centre.
    """
    nearest = np.argmin(np.linalg.norm(scan.coord, axis=-1), axis=1)
    samples = np.take_along_axis(scan.kspace, nearest[None, :, None], axis=2)[..., 0]
    return np.sqrt(np.sum(np.abs(samples).astype(np.float64) ** 2, axis=0))


def signal_decay(scan: Acquisition, degree: int = DEGREE) -> np.ndarray:
    """Return the smooth course of the signal, 1 at its geometric mean.

    A polynomial in time, with a transient where there is one, is fitted to log |k0|: robustly (Cauchy
    weights), and with less weight where noise counts, since the logarithm of a noisy magnitude has a
    variance of (sigma / |k0|)^2.

    Parameters
    ----------
    scan : Acquisition
    degree : int
        Of the polynomial; lower in a scan of few spokes.

    Returns
    -------
    float64 array, (n_spokes,)

    Raises
    ------
    RawDataError
        If there is no signal at the centre of k-space.
    """
    return np.exp(_fit(scan, degree)(scan.times))


def correct_decay(scan: Acquisition, degree: int = DEGREE) -> Acquisition:
    """Return the scan with the decay of its signal divided out; noise is left as it is.

    Late spokes gain noise with their signal: weights for that are the caller's. The geometric mean of the
    signal over the spokes stays.

    Parameters
    ----------
    scan : Acquisition
    degree : int

    Returns
    -------
    Acquisition
        With a warning that says by how much the signal had fallen, where that is more than a drift.
    """
    course = _fit(scan, degree)
    decay = np.exp(course(scan.times))
    navigators = scan.navigators
    if navigators is not None:
        # within the scan's own times: a polynomial means nothing outside them
        at = np.clip(navigators.times, scan.times.min(), scan.times.max())
        kspace = _divided(navigators.kspace, np.exp(course(at)))
        navigators = replace(navigators, kspace=kspace)
    corrected = replace(scan, kspace=_divided(scan.kspace, decay), navigators=navigators)
    left = decay[-1] / decay[0]
    if left > _NOTEWORTHY:
        return corrected
    return corrected.with_warnings(
        f"the signal falls to {100 * left:.0f} % over the scan (hyperpolarised gas?): divided out"
    )


def _divided(kspace: np.ndarray, decay: np.ndarray) -> np.ndarray:
    return kspace / decay.astype(np.float32)[None, :, None]


def _fit(scan: Acquisition, degree: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return log |k0| as a smooth function of time, its mean over the spokes taken off."""
    signal = centre_signal(scan)
    used = signal > 0
    if not used.any():
        raise RawDataError("no signal at the centre of k-space", file=scan.name, field="kspace")
    start, length = float(scan.times.min()), float(np.ptp(scan.times)) or 1.0
    x, height, weight = (scan.times[used] - start) / length, np.log(signal[used]), _weights(signal[used])
    # A robust fit needs several spokes a coefficient
    degree = min(degree, max(int(used.sum()) // 8, 0))

    def basis(x: np.ndarray, constant: float | None) -> np.ndarray:
        """Return polynomials at x in [0, 1], and a decay with this constant if there is one, as columns."""
        columns = np.polynomial.legendre.legvander(2 * x - 1, degree)
        return columns if constant is None else np.column_stack([columns, np.exp(-x / constant)])

    best: float | None = None
    coefficients, loss, scale = _robust(basis(x, None), height, weight, None)
    for constant in _TRANSIENTS:
        found, its_loss, _ = _robust(basis(x, constant), height, weight, scale)
        if found[-1] > _LEAST_TRANSIENT and its_loss < loss - (_ADMITTED if best is None else 0):
            best, coefficients, loss = constant, found, its_loss
    mean = float(np.mean(basis((scan.times - start) / length, best) @ coefficients))
    return lambda times: basis((times - start) / length, best) @ coefficients - mean


def _weights(signal: np.ndarray) -> np.ndarray:
    """Return weights for the logarithm of a signal, 1 where its noise is far below motion."""
    # Second differences are blind to decay and nearly so to motion; their variance is 6 times the noise's
    bends = np.abs(np.diff(signal, 2))
    sigma = 1.4826 * float(np.median(bends)) / np.sqrt(6) if bends.size else 0.0
    return 1 / np.sqrt(1 + (sigma / signal / _MOTION) ** 2)


def _robust(
    basis: np.ndarray, height: np.ndarray, weight: np.ndarray, scale: float | None
) -> tuple[np.ndarray, float, float]:
    """Return coefficients, the Cauchy loss and the spread of the residuals (``scale`` if given)."""
    trust, spread = np.ones_like(weight), scale or 1.0
    for _ in range(_PASSES):
        w = weight * np.sqrt(trust)
        coefficients = np.linalg.lstsq(basis * w[:, None], height * w, rcond=None)[0]
        residual = (height - basis @ coefficients) * weight
        # A spread of 0 is a perfect fit: rounding, not noise
        spread = scale or max(1.4826 * float(np.median(np.abs(residual))), 1e-6)
        trust = 1 / (1 + (residual / (_TUNING * spread)) ** 2)
    loss = _TUNING**2 / 2 * float(np.sum(np.log1p((residual / (_TUNING * spread)) ** 2)))
    return coefficients, loss, spread
