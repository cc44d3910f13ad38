"""What lies below the diaphragm and moves with it: liver, stomach, spleen, colon. Lengths mm, axes z y x."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from csiq.simulate.anatomy.frame import BodySize
from csiq.simulate.anatomy.placing import FRONT, at, cut, egg, tilted, tube
from csiq.simulate.anatomy.shapes import Ellipsoid, Envelope, Shape, Tube

_MUSCLE = 2.6  # mm: thickness of the diaphragm
_CAVA = (-29.0, 27.0)  # mm, y x: where the inferior vena cava passes the diaphragm


def abdomen_shapes(body: BodySize) -> list[Shape]:
    """Return the diaphragm and what is below it, in the order of painting."""
    dome = _domes(body)
    return [
        *_pads(body),
        dome,
        dome.grown(-_MUSCLE, "fat"),
        *_liver(body),
        *_stomach(body),
        *_spleen(body),
        *_colon(body),
    ]


def _moving(
    tissue: str, centre: tuple[float, float, float], semi: tuple[float, ...], lean: float = 0.0
) -> Ellipsoid:
    return egg(tissue, centre, semi, axes=tilted(lean), follow_liver=1.0)


def _domes(body: BodySize) -> Envelope:
    """Return the diaphragm: two domes, the right one higher, over a belly as wide as the cage.

    They lean forward: behind, the lungs reach lower. Nothing of it reaches into the chest wall, which stands
    still, and the belly is a cylinder, so that the wall does not seem to move along it.
    """
    (deep, wide), (y, x) = body.cage, body.cage_middle
    top = body.dome
    parts = (
        _moving("muscle", (top - 86, y, x), (64, deep - 4, wide - 4, 3000)),
        _moving("muscle", (top - 92, y, x + 0.42 * wide), (92, 0.84 * deep, 0.5 * wide, 50), 9.0),
        _moving("muscle", (top - 104, y, x - 0.42 * wide), (92, 0.84 * deep, 0.5 * wide, 50), 9.0),
        _moving("muscle", (top - 92, y + 4, x), (87, 0.84 * deep, 0.5 * wide, 50), 4.0),
    )
    return Envelope("muscle", parts, blend=14.0)


def _pads(body: BodySize) -> list[Shape]:
    """Return the fat beside the heart's lower edge."""
    (deep, wide), (y, x) = body.cage, body.cage_middle
    size = 0.7 + 0.9 * body.visceral
    pads: list[Shape] = []
    for off, below, width in ((32.0, -2.0, 20.0), (-74.0, 6.0, 18.0)):
        front = y + deep * np.sqrt(0.74**2 - (off / wide) ** 2)
        semi = (22 * size, 10 * size, width * size)
        pads.append(egg("fat", (body.dome - below, front, x + off), semi, follow_liver=0.8))
    return pads


def _liver(body: BodySize) -> list[Shape]:
    (deep, wide), (y, x) = body.cage, body.cage_middle
    top = body.dome
    lobes: list[Shape] = [
        _moving("liver", (top - 92, y, x + 0.42 * wide), (88.5, 0.81 * deep, 0.475 * wide, 90), 9.0),
        _moving(
            "liver", (top - 66, y + 0.42 * deep, x - 0.08 * wide), (44, 0.46 * deep, 0.56 * wide, 60), 6.0
        ),
    ]
    return [*lobes, *_liver_vessels(body)]


def _liver_vessels(body: BodySize) -> list[Tube]:
    """Return hepatic veins, which meet under the diaphragm, and the branches of the portal vein."""
    deep, wide = body.cage
    mouth = at(body.dome - 22, *_CAVA)
    gate = mouth + at(-50, 24, 6)
    hepatic = [
        (-26, -0.28 * deep, 0.46 * wide),
        (-34, 0.42 * deep, 0.34 * wide),
        (-20, 0.50 * deep, -0.28 * wide),
    ]
    portal = [(16, -12, 0.38 * wide), (26, 16, 0.30 * wide), (18, 30, -0.24 * wide), (2, -34, 0.28 * wide)]
    rng = np.random.default_rng([body.seed, 22])
    branches = [*_branches(mouth, hepatic, 4.6, rng), *_branches(gate, portal, 4.0, rng)]
    return [tube("venous blood", way, radius, follow_liver=1.0) for way, radius in branches]


def _branches(
    root: np.ndarray, ends: Sequence[tuple[float, float, float]], radius: float, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, list[float]]]:
    """Yield ways and radii of vessels from a root to their ends, and of two twigs that leave each."""
    for end in ends:
        way = np.array([(0, 0, 0), 0.5 * np.array(end) + at(4, 5, 0), end])
        yield root + way, [radius, 0.8 * radius, 0.3 * radius]
        for share in (0.4, 0.75):
            start = (1 - share) * way[1] + share * way[2]
            twig = 0.24 * np.linalg.norm(end) * rng.normal(size=3) / np.sqrt(3) + 0.25 * np.array(end)
            yield root + np.array([start, start + twig]), [0.5 * radius, 0.25 * radius]


def _stomach(body: BodySize) -> list[Shape]:
    """Return the fundus under the left dome: a wall, food or fluid, and gas above it, in front."""
    (deep, wide), (y, x) = body.cage, body.cage_middle
    full = {"fluid": 1.0, "food": 1.05, "": 0.72}[body.meal]
    centre = np.array([body.dome - 12 - 46 * full, y - 0.08 * deep, x - 0.42 * wide])
    semi = (42 * full, 0.46 * deep * full, 0.30 * wide * full, 70 * full)
    wall = egg("muscle", centre, semi, follow_liver=1.0)
    inside = wall.grown(-3.0, {"fluid": "gastric fluid", "food": "food", "": "viscera"}[body.meal])
    level = centre + 0.45 * semi[1] * FRONT
    return [wall, inside, cut(inside.grown(0.0, "air"), level, -FRONT)]


def _spleen(body: BodySize) -> list[Shape]:
    (deep, wide), (y, x) = body.cage, body.cage_middle
    angle = -28.0
    turn = np.deg2rad(angle)
    centre = (body.dome - 76, y + 0.88 * deep * np.sin(turn), x - 0.76 * wide * np.cos(turn))
    axes = np.array([[1.0, 0, 0], [0, np.sin(turn), -np.cos(turn)], [0, np.cos(turn), np.sin(turn)]])
    return [egg("spleen", centre, (46, 15, 40), axes=axes, follow_liver=1.0)]


def _colon(body: BodySize) -> list[Shape]:
    """Return the left flexure in front of the spleen, with gas in some."""
    (deep, wide), (y, x) = body.cage, body.cage_middle
    centre = (body.dome - 62, y + 0.42 * deep, x - 0.62 * wide)
    wall = egg("viscera", centre, (30, 24, 24), follow_liver=1.0)
    return [wall, wall.grown(-2.5, "air" if body.gas else "food")]
