"""How breathing moves organs.

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
class Affine:
    """Where a point goes: x -> matrix x + shift.

    Attributes
    ----------
    matrix : float64 array, (3, 3)
    shift : float64 array, (3,)
        mm, z y x.
    """

    matrix: np.ndarray
    shift: np.ndarray

    @classmethod
    def identity(cls) -> Affine:
        """Return the map that moves nothing."""
        return cls(np.eye(3), np.zeros(3))

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return where points (..., 3) go, mm z y x."""
        return np.asarray(points) @ self.matrix.T + self.shift

    def shared(self, weight: float) -> Affine:
        """Return the map of something that follows by ``weight``, 0 to 1."""
        return Affine(np.eye(3) + weight * (self.matrix - np.eye(3)), weight * self.shift)


@dataclass(frozen=True)
class Coupling:
    """How organs follow the diaphragm.

    Attributes
    ----------
    heart_si : float
        Foot-head motion of the heart over that of the diaphragm.
    heart_ap : float
        Forward motion of the heart over its own foot-head motion.
    heart_tilt : float
        Rotation of the heart about the left-right axis per mm of its foot-head motion, rad.
    heart_squeeze : float
        Shortening of the heart from head to feet per mm of the diaphragm's motion, a share.

    References
    ----------
    Wang Y, Riederer SJ, Ehman RL. Respiratory motion of the heart. Magn Reson Med 1995;33:713-719.
    """

    heart_si: float = 0.55
    heart_ap: float = 0.25
    heart_tilt: float = 0.0
    heart_squeeze: float = 0.0

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Coupling:
        """Return one person's coupling."""
        return cls(float(rng.uniform(0.4, 0.7)), float(rng.uniform(0.2, 0.3)))

    def heart_shift(self, state: MotionState) -> np.ndarray:
        """Return how far the middle of the heart has moved, mm z y x."""
        down = self.heart_si * state.displacement_mm
        return np.array([-down, self.heart_ap * down, 0.0])

    def heart_map(self, state: MotionState) -> Affine:
        """Return where points of the heart go; its middle, the origin, is the pivot."""
        angle = self.heart_tilt * self.heart_si * state.displacement_mm
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
        squeeze = np.diag([1 - self.heart_squeeze * state.displacement_mm, 1.0, 1.0])
        return Affine(turn @ squeeze, self.heart_shift(state))

    def liver_map(self, state: MotionState) -> Affine:
        """Return where points of the diaphragm and of what lies below go."""
        return Affine(np.eye(3), np.array([-state.displacement_mm, 0.0, 0.0]))
