"""Filters and the spectrum of signals over time: zero phase, samples even or nearly so."""

from __future__ import annotations

import numpy as np

#: Low and high edge in Hz.
Band = tuple[float, float]
#: Seconds: what is slower than several breaths is drift.
_DRIFT_S = 30.0


def band_pass(values: np.ndarray, times: np.ndarray, band: Band) -> np.ndarray:
    """Keep the frequencies of a band.

    The signal is resampled on an even grid, freed of its linear trend, continued by its mirror image (so that
    its ends meet), and weighted in the frequency domain with cosine edges of a tenth of the band.

    Parameters
    ----------
    values : float64 array, (n_times,) or (n_times, n_signals)
    times : float64 array, (n_times,)
        Seconds, rising.
    band : (float, float)
        Low and high edge in Hz; a low edge of 0 keeps drift and mean, and a high edge above the Nyquist
        frequency of the samples keeps all that they show.

    Returns
    -------
    float64 array of the shape of ``values``
    """
    columns = values.reshape(len(times), -1).astype(np.float64)
    step = 0.5 * float(np.median(np.diff(times)))  # half: uneven samples lose less between grid points
    if band[0] == 0 and band[1] >= 0.25 / step:
        return values
    grid = np.arange(times[0], times[-1] + step / 2, step)
    even = np.stack([np.interp(grid, times, column) for column in columns.T], axis=1)
    line = np.polynomial.polynomial.polyfit(grid, even, 1)
    flat = even - np.polynomial.polynomial.polyval(grid, line).T
    n = 2 * len(grid)
    spectrum = np.fft.rfft(np.concatenate([flat, flat[::-1]]), axis=0)
    kept = np.fft.irfft(spectrum * _response(np.fft.rfftfreq(n, step), band)[:, None], n=n, axis=0)[: n // 2]
    if band[0] == 0:
        kept += np.polynomial.polynomial.polyval(grid, line).T
    return np.stack([np.interp(times, grid, column) for column in kept.T], axis=1).reshape(values.shape)


def _response(frequency: np.ndarray, band: Band) -> np.ndarray:
    low, high = band
    edge = 0.1 * (high - low)
    upper = np.clip((high + edge / 2 - frequency) / edge, 0, 1)
    lower = np.clip((frequency - low + edge / 2) / edge, 0, 1) if low > 0 else np.ones_like(frequency)
    return np.sin(0.5 * np.pi * np.minimum(upper, lower)) ** 2


def dominant_frequency(values: np.ndarray, times: np.ndarray) -> float:
    """Return the frequency in Hz where the power spectrum is highest, the mean left out."""
    step = float(np.median(np.diff(times)))
    grid = np.arange(times[0], times[-1] + step / 2, step)
    even = np.interp(grid, times, values)
    n = 8 * len(even)
    power = np.abs(np.fft.rfft((even - even.mean()) * np.hanning(len(even)), n=n)) ** 2
    frequency = np.fft.rfftfreq(n, step)
    return float(frequency[np.argmax(power)])


def running_median(values: np.ndarray, times: np.ndarray, width: float) -> np.ndarray:
    """Return the median of each sample's surroundings, ``width`` seconds wide.

    It is computed twenty times a width and interpolated: it does not change faster.
    """
    n = min(len(times), 2 + int(20 * (times[-1] - times[0]) / width))
    at = times[np.linspace(0, len(times) - 1, n).round().astype(int)]
    start = np.searchsorted(times, at - width / 2)
    stop = np.searchsorted(times, at + width / 2, side="right")
    medians = np.array([np.median(values[a:b]) for a, b in zip(start, stop, strict=True)])
    return np.interp(times, at, medians)


def without_drift(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return a signal without its drift, for questions about single breaths; never for binning."""
    return values - running_median(values, times, _DRIFT_S)
