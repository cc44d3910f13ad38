"""How breathing moves organs.

Displacement is that of the diaphragm in mm: 0 at end-expiration, positive in inspiration, when organs
move toward the feet. The chest wall stays where it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_DOME = -46.0  # mm, z: about the top of the diaphragm at end-expiration, which moves by the displacement


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

    The middle of the heart, the origin of patient space, is translated in proportion to the displacement;
    about it the heart turns and is flattened from below, its volume kept. What lies under the diaphragm is
    pushed down and pressed together, so that the dome flattens.

    Attributes
    ----------
    heart_si : float
        Foot-head motion of the heart over that of the diaphragm.
    heart_ap : float
        Forward motion of the heart over its own foot-head motion.
    heart_lr : float
        Motion of the heart along +x over its own foot-head motion.
    heart_tilt, heart_roll : float
        Rotation of the heart about the left-right and the front-back axis per mm of its foot-head motion,
        rad.
    heart_squeeze : float
        Shortening of the heart from head to feet per mm of the diaphragm's motion, a share.
    liver_squeeze : float
        The same of all that lies below the diaphragm.
    lag : float
        Seconds by which the heart follows the diaphragm: it takes one path in inspiration and another in
        expiration (hysteresis). The maps below know no time; :func:`csiq.simulate.setting.heart_offsets` adds
        what a lag makes of the heart's translation.

    References
    ----------
    Wang Y, Riederer SJ, Ehman RL. Respiratory motion of the heart. Magn Reson Med 1995;33:713-719.
    McLeish K, et al. A study of the motion and deformation of the heart due to respiration. IEEE Trans Med
    Imaging 2002;21:1142-1150.
    Nehrke K, et al. Free-breathing cardiac MR imaging: study of implications of respiratory motion. Radiology
    2001;220:810-815.
    """

    heart_si: float = 0.55
    heart_ap: float = 0.25
    heart_lr: float = 0.0
    heart_tilt: float = 0.0
    heart_roll: float = 0.0
    heart_squeeze: float = 0.0
    liver_squeeze: float = 0.0
    lag: float = 0.0

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Coupling:
        """Return one person's coupling.

        Deep inspiration, 20 mm at the diaphragm, turns the heart by 1 to 4 degrees and shortens it by 1 to
        4 %.
        """
        return cls(
            heart_si=float(rng.uniform(0.4, 0.7)),
            heart_ap=float(rng.uniform(0.2, 0.3)),
            heart_lr=float(rng.uniform(-0.1, 0.1)),
            heart_tilt=float(rng.uniform(0.002, 0.005)),
            heart_roll=float(rng.uniform(-0.003, 0.003)),
            heart_squeeze=float(rng.uniform(0.0005, 0.002)),
            liver_squeeze=float(rng.uniform(0.0005, 0.002)),
            lag=float(rng.uniform(0.0, 0.12)),
        )

    def heart_shift(self, state: MotionState) -> np.ndarray:
        """Return how far the middle of the heart has moved, mm z y x."""
        return self.heart_direction * state.displacement_mm

    @property
    def heart_direction(self) -> np.ndarray:
        """Motion of the heart's middle per mm of the diaphragm's, z y x."""
        return self.heart_si * np.array([-1.0, self.heart_ap, self.heart_lr])

    def heart_map(self, state: MotionState) -> Affine:
        """Return where points of the heart go; its middle, the origin, is the pivot."""
        moved = self.heart_si * state.displacement_mm
        flat = 1 - self.heart_squeeze * state.displacement_mm
        squeeze = np.diag([flat, flat**-0.5, flat**-0.5])
        turn = _turn(self.heart_tilt * moved, (0, 1)) @ _turn(self.heart_roll * moved, (0, 2))
        return Affine(turn @ squeeze, self.heart_shift(state))

    def liver_map(self, state: MotionState) -> Affine:
        """Return where points of the diaphragm and of what lies below go; the dome's top is the pivot."""
        down = state.displacement_mm
        squeeze = np.array([self.liver_squeeze * down, 0.0, 0.0])
        return Affine(np.diag(1 - squeeze), squeeze * _DOME - np.array([down, 0.0, 0.0]))


def _turn(angle: float, plane: tuple[int, int]) -> np.ndarray:
    """Return the rotation by an angle (rad) in the plane of two axes."""
    one, two = plane
    matrix = np.eye(3)
    matrix[one, one] = matrix[two, two] = np.cos(angle)
    matrix[one, two], matrix[two, one] = -np.sin(angle), np.sin(angle)
    return matrix
