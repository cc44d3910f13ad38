"""How far, and which way, a signal moves what the projections show.

A body M that moves on a still background S gives projections p(z) = S(z) + M(z - d). With d = k s for a
signal s the first derivative of p along s is b = -k M'(z - d), the second is c = k^2 M''(z - d) = -k b'. So c
against the gradient b' gives k, sign and millimetres: what changes in breathing is itself seen to travel.
The background is gone, and neither contrast, nor coil profiles, nor the edge of an excited slab feign a
direction, as they do for the plainer comparison of b with the gradient of p.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.gating.features import Features


@dataclass(frozen=True)
class Travel:
    """What a rising signal moves.

    Attributes
    ----------
    likeness : float
        -1 .. 1: how well a pure shift explains the second derivative; positive towards rising position.
        Noise draws it to 0.
    mm_per_unit : float
        Displacement to rising position, mm, per standard deviation of the signal.
    """

    likeness: float
    mm_per_unit: float


def travel_of(features: Features, signal: np.ndarray) -> Travel:
    """Measure how a signal moves the projections.

    Even and odd navigators give both derivatives twice; noise does not bias products between the two.

    Parameters
    ----------
    features : Features
    signal : float64 array, (n_navigators,)
    """
    spread = float(signal.std())
    if spread == 0:
        return Travel(0.0, 0.0)
    unit = (signal - signal.mean()) / spread
    (slope_a, second_a), (slope_b, second_b) = (_derivatives(features, unit, first) for first in (0, 1))
    together = -0.5 * float(second_a @ slope_b + second_b @ slope_a)
    norm = 0.25 * float(np.linalg.norm(second_a + second_b) * np.linalg.norm(slope_a + slope_b))
    power = float(slope_a @ slope_b)
    return Travel(together / norm if norm > 0 else 0.0, together / power if power > 0 else 0.0)


def _derivatives(features: Features, signal: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradient of the first derivative along the signal, and the second, of every other one."""
    s = signal[first::2]
    powers = np.stack([np.ones_like(s), s, 0.5 * s**2], axis=1)
    _, slope, second = np.einsum("kt,ctx->kcx", np.linalg.pinv(powers), features.deviation[:, first::2])
    return np.gradient(slope, features.position, axis=1).ravel(), second.ravel()
