"""How breathing moves organs, and traces of breathing and heartbeats.

Displacement is that of the diaphragm in mm: 0 at end-expiration, positive in inspiration, when organs
move toward the feet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MotionState:
    """Where breathing has brought the diaphragm.

    Attributes
    ----------
    displacement_mm : float
        0 at end-expiration, positive toward the feet.
    """

    displacement_mm: float = 0.0


@dataclass(frozen=True)
class Coupling:
    """How organs follow the diaphragm.

    Attributes
    ----------
    heart_si : float
        Foot-head motion of the heart over that of the diaphragm.
    heart_ap : float
        Forward motion of the heart over its own foot-head motion.

    References
    ----------
    Wang Y, Riederer SJ, Ehman RL. Respiratory motion of the heart. Magn Reson Med 1995;33:713-719.
    """

    heart_si: float = 0.55
    heart_ap: float = 0.25

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Coupling:
        """Return one person's coupling."""
        return cls(float(rng.uniform(0.4, 0.7)), float(rng.uniform(0.2, 0.3)))

    def heart_shift(self, state: MotionState) -> np.ndarray:
        """Return how far the heart has moved, mm z y x."""
        down = self.heart_si * state.displacement_mm
        return np.array([-down, self.heart_ap * down, 0.0])

    def liver_shift(self, state: MotionState) -> np.ndarray:
        """Return how far liver and diaphragm have moved, mm z y x."""
        return np.array([-state.displacement_mm, 0.0, 0.0])
