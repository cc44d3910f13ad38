"""Where a heart lies and how large it is. Lengths mm, axes z y x, RAS.

The heart frame has its origin in the middle of the left ventricle's base; ``u`` points to the apex, ``v``
from the left ventricle to the right, ``w`` (upward) completes it. What hangs on vessels rather than on the
ventricles is given upright: z y x as seen from the same origin in a heart that is not turned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from csiq.simulate.anatomy.people import HeartFacts, Person
from csiq.simulate.anatomy.shapes import Ellipsoid, Tube, smooth_curve

_APEX = np.array([-0.53, 0.58, -0.62])  # toward feet, front and left
_RIGHT = np.array([-0.04, 0.71, 0.70])
_BASE = (5.0, -8.0, -2.0)  # mm z y x: with it the whole heart has its middle near the origin
#: Blood of the four chambers of a heart of scale 1, ml.
_USUAL_ML = 392.0
#: Who has which dominance: the posterior descending branch leaves the RCA, the LCX, or both share the work.
DOMINANCE = {"right": 0.85, "left": 0.10, "balanced": 0.05}


@dataclass(frozen=True)
class HeartSize:
    """What varies from heart to heart.

    Attributes
    ----------
    base : float array, (3,)
        Middle of the left ventricle's base, mm.
    rotation : float array, (3, 3)
        Turns the usual orientation.
    scale : float
        Of all lengths but walls, fat and vessels' diameters.
    volumes : dict of float
        Blood in ``LV``, ``RV``, ``LA``, ``RA``, ml.
    wall : float
        Of the left ventricle, mm.
    fat : float
        Epicardial fat away from grooves, mm.
    vessel : float
        Scale of the diameters of the coronaries.
    dominance : str
        A key of :data:`DOMINANCE`.
    seed : int
        Of what makes the courses of vessels, muscles and trabeculae this person's own.
    """

    base: np.ndarray = field(default_factory=lambda: np.array(_BASE))
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))
    scale: float = 1.0
    volumes: Mapping[str, float] = field(
        default_factory=lambda: {"LV": 120.0, "RV": 135.0, "LA": 62.0, "RA": 75.0}
    )
    wall: float = 9.0
    fat: float = 4.0
    vessel: float = 1.0
    dominance: str = "right"
    seed: int = 0

    @classmethod
    def of(cls, person: Person) -> HeartSize:
        """Draw the heart of a person: how large it is follows from :class:`HeartFacts`."""
        facts, rng = HeartFacts.of(person), person.rng(20)
        volumes = {"LV": facts.lv_ml, "RV": facts.rv_ml, "LA": facts.la_ml, "RA": facts.ra_ml}
        scale = (sum(volumes.values()) / _USUAL_ML) ** (1 / 3)
        small = 0.94 if person.is_woman else 1.0  # coronaries of women are thinner
        return cls(
            base=np.array(_BASE) + rng.uniform(-3, 3, 3),
            rotation=rotation(np.deg2rad(rng.uniform(-8, 8, 3))),
            scale=float(scale),
            volumes=volumes,
            wall=facts.wall_mm,
            fat=facts.fat_mm,
            vessel=float(small * rng.uniform(0.9, 1.08)),
            dominance=str(rng.choice(list(DOMINANCE), p=list(DOMINANCE.values()))),
            seed=person.seed,
        )

    @property
    def frame(self) -> np.ndarray:
        """Rows are u, v, w as vectors z y x."""
        u = _APEX / np.linalg.norm(_APEX)
        v = _RIGHT - (_RIGHT @ u) * u
        v /= np.linalg.norm(v)
        w = np.cross(u, v)
        w = w if w[0] > 0 else -w
        return np.array([u, v, w]) @ self.rotation.T

    def rng(self, part: int) -> np.random.Generator:
        """Return the generator of one part of this heart."""
        return np.random.default_rng([self.seed, 21, part])

    def place(self, points: np.ndarray) -> np.ndarray:
        """Return points of the heart frame (u, v, w) in patient space."""
        return self.base + self.scale * np.asarray(points, dtype=float) @ self.frame

    def upright(self, points: np.ndarray) -> np.ndarray:
        """Return points given upright (z, y, x from the base) in patient space."""
        return self.base + self.scale * np.asarray(points, dtype=float) @ self.rotation.T

    def egg(self, tissue: str, centre: tuple[float, float, float], semi: np.ndarray) -> Ellipsoid:
        """Return an ellipsoid along u, v, w: semi-axes forward, v, w, backward."""
        return Ellipsoid(tissue, self.place(np.array(centre)), self.scale * semi, self.frame, 1.0)

    def egg_along(self, tissue: str, ends: np.ndarray, semi: tuple[float, float]) -> Ellipsoid:
        """Return an ellipsoid between two points of the heart frame.

        Parameters
        ----------
        ends : float array, (2, 3)
        semi : (float, float)
            Across, toward w (or what is left of it) and sideways.
        """
        ends = np.asarray(ends, dtype=float)
        along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
        up = np.array([0.0, 0.0, 1.0]) if abs(along[2]) < 0.8 else np.array([1.0, 0.0, 0.0])
        up = up - (up @ along) * along
        up /= np.linalg.norm(up)
        axes = np.array([along, up, np.cross(along, up)]) @ self.frame
        half = np.linalg.norm(ends[1] - ends[0]) / 2
        lengths = self.scale * np.array([half, *semi, half])
        return Ellipsoid(tissue, self.place(ends.mean(axis=0)), lengths, axes, 1.0)

    def strand(self, tissue: str, knots: np.ndarray, radius: np.ndarray, name: str = "") -> Tube:
        """Return a tube through points of the heart frame that follows the heart; radii are in mm."""
        curve = smooth_curve(np.column_stack([self.place(knots), radius]), 3.0)
        ones = np.ones(len(curve))
        return Tube(tissue, curve[:, :3], curve[:, 3], ones, 0 * ones, name)


def rotation(angles: np.ndarray) -> np.ndarray:
    """Return the rotation by three angles (rad) about z, y and x."""
    total = np.eye(3)
    for axis, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        one, two = [a for a in range(3) if a != axis]
        turn = np.eye(3)
        turn[one, one], turn[one, two], turn[two, one], turn[two, two] = c, -s, s, c
        total = turn @ total
    return total
