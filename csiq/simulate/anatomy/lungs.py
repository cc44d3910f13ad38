"""Lungs with their vessels and airways, and the mediastinum between them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from csiq.simulate.anatomy.frame import BodySize
from csiq.simulate.anatomy.placing import at, egg, hollow, tube
from csiq.simulate.anatomy.shapes import Shape, Tube
from csiq.simulate.anatomy.skeleton import front_wall

# Directions z y x (x away from the midline) of the vessels of the upper and the lower lobes.
_UPPER = np.array([(1.0, 0.1, 0.3), (0.75, 0.8, 0.4), (0.7, -0.7, 0.5), (0.25, 0.9, 0.7), (0.3, -0.2, 1.0)])
_LOWER = np.array(
    [
        (0.2, -0.8, 0.8),
        (-0.3, 0.8, 0.7),
        (-0.6, 0.5, 0.8),
        (-0.8, -0.1, 0.8),
        (-0.9, -0.7, 0.5),
        (-1.0, 0.1, 0.2),
    ]
)
# Where arteries and veins reach a lung, right then left: the ends of those of csiq.simulate.anatomy.vessels.
_ARTERY = {1.0: (46.0, -29.0, 58.0), -1.0: (42.0, -48.0, -53.0)}
_LOWER_ARTERY = {1.0: (4.0, -46.0, 68.0), -1.0: (0.0, -58.0, -58.0)}
_UPPER_VEIN = {1.0: (46.0, -29.0, 66.0), -1.0: (50.0, -43.0, -58.0)}
_LOWER_VEIN = {1.0: (-10.0, -60.0, 64.0), -1.0: (-11.0, -62.0, -57.0)}
_MIDDLE = np.array([(0.15, 0.85, 0.65), (0.1, -0.35, 1.0), (-0.35, 0.3, 1.0)])
_GENERATIONS = 5


def lung_shapes(body: BodySize) -> list[Shape]:
    """Return the cavity of the chest filled with lung, its vessels, and what lies between the lungs."""
    (deep, wide), (y, x) = body.cage, body.cage_middle
    cavity: list[Shape] = [egg("lung", (-60, y, x), (204, deep, wide, 3000))]
    cavity += [egg("lung", (66, y - 4, x + s * 0.40 * wide), (80, 0.78 * deep, 0.48 * wide)) for s in (-1, 1)]
    vessels = [branch for side in (-1.0, 1.0) for branch in _vessels(body, side)]
    return [*cavity, *vessels, *_mediastinum(body)]


def hilum(body: BodySize, side: float) -> np.ndarray:
    """Return where the vessels of a lung enter it, mm z y x."""
    return at(36.0, -38.0, body.middle[1] + side * 40.0)


def airways(body: BodySize) -> list[Shape]:
    """Return windpipe, main bronchi and gullet."""
    x = body.middle[1]
    fork = carina(body)
    right, left = at(34, -44, 50), at(34, -50, -30)
    back = body.spine_at(np.array([210.0, 120.0, 60.0, 10.0, -40.0, -85.0])) + 24.0
    gullet = np.column_stack([[210, 120, 60, 10, -40, -85], back, x + np.array([0, -4, -8, -8, -12, -26])])
    windpipe = tube("cartilage", [fork + at(150, -18, 1), fork + at(60, -6, 0), fork], 9.8)
    bronchi = [
        tube("cartilage", [fork, 0.5 * (fork + right) + at(2, 0, 0), right], [8.4, 7.4, 6.0]),
        tube("cartilage", [fork, 0.5 * (fork + left) + at(3, 0, 0), left], [8.0, 6.8, 5.6]),
    ]
    inner = [hollow(part, "air", 1.5)[1] for part in (windpipe, *bronchi)]
    return [*hollow(tube("muscle", gullet, 6.5), "viscera", 3.0), windpipe, *bronchi, *inner]


def carina(body: BodySize) -> np.ndarray:
    """Return where the windpipe divides, mm z y x."""
    return np.array([62.0, body.spine_at(62.0) + 36.0, body.middle[1] + 2.0])


def _mediastinum(body: BodySize) -> list[Shape]:
    """Return fat round the great vessels, behind the breastbone, and before the spine."""
    x, fat = body.middle[1], 0.8 + 0.4 * body.visceral
    back, front = float(body.spine_at(40)), front_wall(body, 40)
    middle = (back + front) / 2 - 4
    return [
        egg("fat", (82, middle, x + 2), (98, (front - back) / 2 + 10, 33 * fat)),
        egg("fat", (40, front - 4, x - 4), (118, 15 * fat, 24 * fat)),
        egg("fat", (-20, back + 12, x - 8), (200, 26, 27)),
        *(egg("fat", hilum(body, s) + at(0, 2, -8 * s), (26, 20, 20)) for s in (-1.0, 1.0)),
    ]


def small_vessels(body: BodySize) -> list[Shape]:
    """Return the internal thoracic vessels behind the ribs' cartilage, and the azygos vein."""
    x = body.middle[1]
    heights = np.array([110.0, 60.0, 0.0, -60.0])
    fronts = np.array([front_wall(body, z) for z in heights]) - 1.0
    shapes: list[Shape] = []
    for side in (-1.0, 1.0):
        for tissue, off in (("arterial blood", 17.0), ("venous blood", 13.5)):
            way = np.column_stack([heights, fronts, np.full(4, x + side * off)])
            shapes.append(tube(tissue, way, 1.2))
    up = np.linspace(-160, 68, 8)
    azygos = np.column_stack([up, body.spine_at(up) + 19.0, np.full(8, x + 6.0)])
    back = float(body.spine_at(70))
    arch = np.array([(74, back + 26, x + 13), (76, -14, 44)])
    return [*shapes, tube("venous blood", np.vstack([azygos, arch]), 3.4)]


def _vessels(body: BodySize, side: float) -> Iterator[Tube]:
    """Yield arteries, and veins that run between them, of one lung."""
    rng = np.random.default_rng([body.seed, 21, int(side > 0)])
    between = [(d[:-1] + d[1:]) / 2 for d in (_UPPER, _LOWER)]
    first, last = np.array(_ARTERY[side]), np.array(_LOWER_ARTERY[side])
    yield tube("venous blood", [first, (first + last) / 2 + at(0, -4, 2 * side), last], [6.5, 5.6, 4.4])
    for tissue, start, directions, radius in (
        ("venous blood", first, _UPPER, 3.9),
        ("venous blood", (first + last) / 2, _MIDDLE, 3.2),
        ("venous blood", last, _LOWER, 3.7),
        ("arterial blood", np.array(_UPPER_VEIN[side]), between[0], 3.0),
        ("arterial blood", np.array(_LOWER_VEIN[side]), between[1], 3.2),
    ):
        for way in directions:
            direction = way * at(1, 1, side) + rng.normal(0, 0.12, 3)
            yield from _tree(body, rng, tissue, start, direction, radius, _GENERATIONS)


def _tree(
    body: BodySize,
    rng: np.random.Generator,
    tissue: str,
    start: np.ndarray,
    direction: np.ndarray,
    radius: float,
    generations: int,
) -> Iterator[Tube]:
    """Yield a branch and, from its end, two thinner ones, as long as they stay in the lung."""
    direction = direction / np.linalg.norm(direction)
    length = (8 + 7.5 * radius) * rng.uniform(0.85, 1.2)
    bend = rng.normal(0, 0.12, 3) * length
    end = start + length * direction + 0.3 * bend
    thin = radius * rng.uniform(0.66, 0.78)
    if not _in_lung(body, end):
        return
    way = np.array([start, (start + end) / 2 + 0.5 * bend, end])
    yield tube(tissue, way, [radius, (radius + thin) / 2, thin], follow_liver=_follow(way[:, 0]), step=7.0)
    if generations > 1:
        across = np.cross(direction, rng.normal(size=3))
        across /= np.linalg.norm(across)
        for sign, share in ((1.0, rng.uniform(0.3, 0.6)), (-1.0, rng.uniform(0.5, 0.9))):
            yield from _tree(body, rng, tissue, end, direction + sign * share * across, thin, generations - 1)


def _follow(z: np.ndarray) -> np.ndarray:
    """Return how much of the diaphragm's motion the lung makes at a height: none at the top, most below."""
    return np.clip((70.0 - z) / 160.0, 0.0, 0.8)


def _in_lung(body: BodySize, point: np.ndarray) -> bool:
    (deep, wide), (y, x) = body.cage, body.cage_middle
    scale = 0.92 * float(body.narrowing(point[0] + 18.0))
    return bool(np.hypot((point[1] - y) / (scale * deep), (point[2] - x) / (scale * wide)) < 1)
