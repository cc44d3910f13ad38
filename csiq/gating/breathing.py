"""Breathing from SI projections: one value a navigator.

Each coil's projections are divided by their overall strength (a coil or a heartbeat that is louder does not
move anything) and by the coil's noise. Coils whose signals agree are joined; of their principal components
the one is taken that explains most as a shift of the projections.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from csiq.errors import RawDataError
from csiq.gating.components import agreeing_coils, correlation, principal_components, reproducible_snr
from csiq.gating.filters import Band, band_pass
from csiq.gating.projections import Projections

#: mm; neighbouring blocks of positions are dealt to two halves to tell signal from noise.
_BLOCK_MM = 20.0
#: A navigator that deviates by more than this many times what is usual counts only so much.
_OUTLIER = 4.0


@dataclass(frozen=True)
class Features:
    """Deviations of projections from their mean over time, in units of each coil's noise.

    Attributes
    ----------
    deviation : float64 array, (n_coils, n_navigators, n_positions)
    gradient : float64 array, (n_coils, n_positions)
        Derivative of the mean along rising position, per mm.
    position : float64 array, (n_positions,)
        mm.
    total : float64 array, (n_coils, n_navigators)
        Sum of each projection over its mean over time.
    """

    deviation: np.ndarray
    gradient: np.ndarray
    position: np.ndarray
    total: np.ndarray

    def pattern(self, signal: np.ndarray) -> np.ndarray:
        """Return how projections change per unit of a signal: regression, (n_coils, n_positions)."""
        centred = signal - signal.mean()
        power = float(centred @ centred)
        pattern: np.ndarray = np.einsum("t,ctx->cx", centred, self.deviation) / max(power, 1e-30)
        return pattern

    def shift_alignment(self, signal: np.ndarray) -> float:
        """Return how much a rising signal looks like a shift to rising position: -1 .. 1.

        What moves by u changes a projection by -u times its gradient, so that a shift has all products of
        one sign; a change of strength has as many of either.
        """
        product = -self.pattern(signal) * self.gradient
        total = float(np.abs(product).sum())
        return float(product.sum()) / total if total > 0 else 0.0

    def filtered(self, times: np.ndarray, band: Band) -> Features:
        """Return the deviations inside a frequency band."""
        over_time = band_pass(np.moveaxis(self.deviation, 1, 0), times, band)
        return replace(self, deviation=np.moveaxis(over_time, 0, 1))

    def select(self, coils: np.ndarray | slice, positions: np.ndarray | slice = slice(None)) -> Features:
        """Return some coils and positions."""
        return Features(
            self.deviation[coils][:, :, positions],
            self.gradient[coils][:, positions],
            self.position[positions],
            self.total[coils],
        )


def features_of(projections: Projections) -> Features:
    """Return normalised deviations of the coils that have any signal.

    Raises
    ------
    RawDataError
        If none has.
    """
    magnitude = np.abs(projections.values).astype(np.float64)
    live = np.flatnonzero(magnitude.sum(axis=(1, 2)) > 0)
    if live.size == 0:
        raise RawDataError("no signal: every SI spoke is zero", field="navigators")
    magnitude, values = magnitude[live], projections.values[live]
    noise = _noise(values)[:, None, None]
    mean = magnitude.mean(axis=1, keepdims=True)
    strength = np.sum(magnitude * mean, axis=2, keepdims=True) / np.sum(mean**2, axis=2, keepdims=True)
    lost = strength < 0.05
    scaled = np.where(lost, mean, magnitude / np.where(lost, 1.0, strength))
    mean = scaled.mean(axis=1, keepdims=True)
    deviation = _tame((scaled - mean) / noise)
    gradient = np.gradient(mean[:, 0] / noise[:, 0], projections.position, axis=1)
    total = magnitude.sum(axis=2)
    return Features(deviation, gradient, projections.position, total / total.mean(axis=1, keepdims=True))


def _noise(values: np.ndarray) -> np.ndarray:
    """Return each coil's noise: the spread over time where it is least, in the tenth quietest positions."""
    variance = np.var(values, axis=1)
    quiet = np.sqrt(np.quantile(variance, 0.1, axis=1))
    floor = 1e-6 * np.sqrt(np.mean(np.abs(values) ** 2, axis=(1, 2)))
    noise: np.ndarray = np.maximum(quiet, floor)
    return noise


def _tame(deviation: np.ndarray) -> np.ndarray:
    """Scale down navigators that deviate far more than usual (a corrupt readout owns no component)."""
    size = np.linalg.norm(deviation, axis=2, keepdims=True)
    limit = _OUTLIER * np.median(size, axis=1, keepdims=True)
    tamed: np.ndarray = deviation * np.minimum(1.0, limit / np.maximum(size, 1e-30))
    return tamed


def shift_trace(features: Features) -> tuple[np.ndarray, float, Features]:
    """Return the breathing signal, its sign still open, its SNR, and the features it is from."""
    per_coil = np.stack([_best(features.select(np.array([c]))) for c in range(len(features.deviation))])
    chosen = features.select(agreeing_coils(per_coil))
    values = _best(chosen)
    block = np.floor(chosen.position / _BLOCK_MM).astype(int) % 2
    halves = [_like(chosen.select(slice(None), np.flatnonzero(block == b)), values) for b in (0, 1)]
    return values, reproducible_snr(*halves), chosen


def _best(features: Features) -> np.ndarray:
    """Return the component that explains most as a shift."""
    components = principal_components(features.deviation)
    scores = components.scores.T
    shift = [s * abs(features.shift_alignment(v)) for s, v in zip(components.share, scores, strict=True)]
    best: np.ndarray = scores[int(np.argmax(shift))]
    return best


def _like(features: Features, signal: np.ndarray) -> np.ndarray:
    """Return the component most like a signal, with its sign."""
    scores = principal_components(features.deviation).scores.T
    match = [correlation(score, signal) for score in scores]
    best = int(np.argmax(np.abs(match)))
    like: np.ndarray = scores[best] * np.sign(match[best])
    return like
