"""The body's size and landmarks, from which all its shapes are placed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.simulate.anatomy.heart import HeartSize
from csiq.simulate.anatomy.people import Build, Person

_USUAL_RV, _USUAL_LA = 135.0, 62.0  # ml, of a heart of scale 1
_SPINE, _VERTEBRA = 25.0, 17.0  # mm: from the back of the cage to the middle of a vertebral body; its radius
_BREASTBONE, _BACK = 16.0, 28.0  # mm of wall in front, and behind, where muscle is added
_WALLS = _BREASTBONE + _BACK
_GULLET = 9.0  # mm between heart and spine
_LUNG_MIDDLE, _LUNG_UP, _LUNG_DOWN = -60.0, 222.0, 1000.0  # mm: height z of the widest place, and reach


@dataclass(frozen=True)
class BodySize:
    """What varies from body to body; defaults are those of an average adult.

    Attributes
    ----------
    middle : (float, float)
        Centre of the trunk, y x; the heart is at the origin, left of the midline.
    width, depth : float
        Of the trunk from skin to skin, mm.
    fat : float
        Subcutaneous, mm.
    muscle : float
        Thickness of ribs and muscles at the side, mm.
    dome : float
        Height z of the right dome of the diaphragm at end-expiration.
    visceral : float
        0 to 1: fat in the belly and the mediastinum.
    bust : float
        Half thickness of the breasts, mm; 0 in men.
    arms_up : bool
        Whether the arms lie above the head instead of beside the body.
    meal : str
        What is in the stomach: ``fluid``, ``food`` or nothing (empty).
    gas : bool
        Whether the left flexure of the colon holds gas.
    kyphosis : float
        How far the spine at the heart lies behind that 100 mm above and below, mm.
    seed : int
        Of lung vessels and other branches.
    """

    middle: tuple[float, float] = (-27.0, 14.0)
    width: float = 345.0
    depth: float = 256.0
    fat: float = 14.0
    muscle: float = 18.0
    dome: float = -35.0
    visceral: float = 0.4
    bust: float = 0.0
    arms_up: bool = False
    meal: str = "food"
    gas: bool = False
    kyphosis: float = 10.0
    seed: int = 0

    @classmethod
    def of(cls, person: Person) -> BodySize:
        """Return a person's body: its build is :class:`Build`'s, the rest follows from the seed.

        The breastbone lies on the heart, and the cage is at least so deep that the spine leaves it room.
        """
        build, rng, heart = Build.of(person), person.rng(15), HeartSize.of(person)
        inner = heart_front(heart) + float(rng.uniform(1, 5))
        needed = inner - heart_back(heart) + _GULLET + _SPINE + _VERTEBRA
        depth = max(build.cage_depth, needed) + 2 * build.fat + _WALLS + 0.4 * build.muscle
        front = inner + _BREASTBONE + build.fat
        return cls(
            middle=(float(front - depth / 2), float(rng.uniform(10, 18))),
            width=build.width,
            depth=float(depth),
            fat=build.fat,
            muscle=build.muscle,
            dome=float(rng.uniform(-40, -31)),
            visceral=build.visceral,
            bust=build.bust,
            arms_up=bool(rng.random() < 0.15),
            meal=str(rng.choice(["fluid", "food", ""], p=[0.35, 0.4, 0.25])),
            gas=bool(rng.random() < 0.4),
            kyphosis=float(rng.uniform(6, 11) + 0.08 * (person.age - 40)),
            seed=person.seed,
        )

    @property
    def cage(self) -> tuple[float, float]:
        """Half depth and half width inside the ribs, where the chest is widest."""
        walls = 2 * self.fat + _WALLS + 0.4 * self.muscle
        return (self.depth - walls) / 2, self.width / 2 - self.fat - self.muscle

    @property
    def cage_middle(self) -> tuple[float, float]:
        """Middle of the cage, y x: in front of the trunk's, since the back is thicker."""
        front = self.middle[0] + self.depth / 2 - self.fat - _BREASTBONE
        return front - self.cage[0], self.middle[1]

    @property
    def spine(self) -> tuple[float, float]:
        """Middle of the vertebral bodies at the height of the heart, y x."""
        return self.cage_middle[0] - self.cage[0] + _SPINE, self.middle[1]

    def spine_at(self, z: float | np.ndarray) -> np.ndarray:
        """Return y of the middle of the vertebral bodies at a height."""
        bend = 1.2 * (np.asarray(z, dtype=float) - 10) / 100
        return np.asarray(self.spine[0] - self.kyphosis * (np.cos(bend) - 0.8) / (1 - np.cos(1.2)))

    def narrowing(self, z: float | np.ndarray) -> np.ndarray:
        """Return by how much the cage is narrower at a height than where it is widest, 0 to 1."""
        height = np.asarray(z, dtype=float) - _LUNG_MIDDLE
        reach = np.where(height > 0, _LUNG_UP, _LUNG_DOWN)
        return np.asarray((1 - np.clip(np.abs(height) / reach, 0, 0.99) ** 3) ** (1 / 3))


def heart_front(heart: HeartSize) -> float:
    """Return how far in front of the origin a heart reaches with its fat, mm, to about 2 mm.

    It is the right ventricle that lies behind the breastbone.
    """
    grown = (heart.volumes["RV"] / _USUAL_RV) ** (1 / 3) / heart.scale
    ventricle = heart.egg("venous blood", (22, 26, -6), np.array([46, 37, 38, 36]) * grown)
    reach = np.linalg.norm(ventricle.axes[:, 1] * ventricle.semi[:3])
    return float(ventricle.centre[1] + reach + heart.fat + 3)


def heart_back(heart: HeartSize) -> float:
    """Return y of the back of the left atrium with its fat, mm, to about 4 mm."""
    grown = (heart.volumes["LA"] / _USUAL_LA) ** (1 / 3)
    middle = heart.upright(np.array([10.0, -28.0, 10.0]))[1]
    return float(middle - 18 * grown - heart.fat - 2.5)
