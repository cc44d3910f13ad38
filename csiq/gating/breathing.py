"""Breathing from SI projections: one value a navigator.

Coils whose signals agree are joined; of their principal components the one is taken that explains most as
something that travels along the head-foot axis.
"""

from __future__ import annotations

import numpy as np

from csiq.gating.components import agreeing_coils, correlation, principal_components, reproducible_snr
from csiq.gating.features import Features
from csiq.gating.travel import travel_of

#: mm; neighbouring blocks of positions are dealt to two halves to tell signal from noise.
_BLOCK_MM = 20.0


def breathing_trace(features: Features) -> tuple[np.ndarray, float, Features]:
    """Return the breathing signal, its sign still open, its SNR, and the features it is from."""
    per_coil = np.stack([_best(features.select(np.array([c]))) for c in range(len(features.deviation))])
    chosen = features.select(agreeing_coils(per_coil))
    values = _best(chosen)
    block = np.floor(chosen.position / _BLOCK_MM).astype(int) % 2
    halves = [_like(chosen.select(slice(None), np.flatnonzero(block == b)), values) for b in (0, 1)]
    return values, reproducible_snr(*halves), chosen


def _best(features: Features) -> np.ndarray:
    """Return the component that explains most as a travel."""
    components = principal_components(features.deviation)
    scores = components.scores.T
    travel = [s * abs(travel_of(features, v).likeness) for s, v in zip(components.share, scores, strict=True)]
    best: np.ndarray = scores[int(np.argmax(travel))]
    return best


def _like(features: Features, signal: np.ndarray) -> np.ndarray:
    """Return the component most like a signal, with its sign."""
    scores = principal_components(features.deviation).scores.T
    match = [correlation(score, signal) for score in scores]
    best = int(np.argmax(np.abs(match)))
    like: np.ndarray = scores[best] * np.sign(match[best])
    return like
