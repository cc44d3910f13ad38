"""What changes in the projections from one navigator to the next, coil by coil, in units of noise.

Each coil's projections are divided by their overall strength first: a coil or a heartbeat that is louder does
not move anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from csiq.errors import RawDataError
from csiq.gating.filters import Band, band_pass
from csiq.gating.projections import Projections

#: A navigator that deviates by more than this many times what is usual counts only so much.
_OUTLIER = 4.0


@dataclass(frozen=True)
class Features:
    """Deviations of projections from their mean over time, in units of each coil's noise.

    Attributes
    ----------
    deviation : float64 array, (n_coils, n_navigators, n_positions)
    position : float64 array, (n_positions,)
        mm.
    total : float64 array, (n_coils, n_navigators)
        Sum of each projection over its mean over time.
    """

    deviation: np.ndarray
    position: np.ndarray
    total: np.ndarray

    def filtered(self, times: np.ndarray, band: Band) -> Features:
        """Return the deviations inside a frequency band."""
        over_time = band_pass(np.moveaxis(self.deviation, 1, 0), times, band)
        return replace(self, deviation=np.moveaxis(over_time, 0, 1))

    def select(self, coils: np.ndarray | slice, positions: np.ndarray | slice = slice(None)) -> Features:
        """Return some coils and positions."""
        return Features(
            self.deviation[coils][:, :, positions],
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
    total = magnitude.sum(axis=2)
    return Features(deviation, projections.position, total / total.mean(axis=1, keepdims=True))


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
