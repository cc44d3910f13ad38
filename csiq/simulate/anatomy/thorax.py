"""The body around the heart: skin, fat, muscles, breasts and arms, and the order in which all is painted.

The chest wall stands still; lungs, mediastinum and bones are in files of their own, and what moves with the
diaphragm is in :mod:`csiq.simulate.anatomy.abdomen`. Lengths mm, axes z y x, RAS.
"""

from __future__ import annotations

import numpy as np

from csiq.simulate.anatomy.abdomen import abdomen_shapes
from csiq.simulate.anatomy.frame import BodySize
from csiq.simulate.anatomy.lungs import airways, lung_shapes, small_vessels
from csiq.simulate.anatomy.placing import at, egg, hollow, mirrored, tangent, tube
from csiq.simulate.anatomy.shapes import Column, Shape
from csiq.simulate.anatomy.skeleton import bones

__all__ = ["BodySize", "thorax_shapes"]

_SKIN = 1.8  # mm
_BOXY = 2.4  # power of the superellipse that is the trunk's outline


def thorax_shapes(size: BodySize) -> list[Shape]:
    """Return all but the heart and its great vessels, in the order of painting."""
    return [
        *_wall(size),
        *_shoulders(size),
        *lung_shapes(size),
        *airways(size),
        *abdomen_shapes(size),
        *bones(size),
        *small_vessels(size),
    ]


def _wall(body: BodySize) -> list[Shape]:
    """Return skin, fat, and two layers of muscle with a seam of fat between them."""
    half = np.array([body.depth, body.width]) / 2
    layers = [("skin", 0.0), ("fat", _SKIN), ("muscle", body.fat)]
    outer = 0.42 * body.muscle
    layers += [("fat", body.fat + outer), ("muscle", body.fat + outer + 1.0 + 0.08 * body.fat)]
    columns: list[Shape] = [
        Column(tissue, body.middle, (half[0] - depth, half[1] - depth), _BOXY) for tissue, depth in layers
    ]
    front = body.middle[0] + half[0] - body.fat
    cleft = egg("fat", (20, front - 5, body.middle[1]), (150, 7, 13))
    breasts = [part for side in (-1.0, 1.0) for part in _breast(body, side)]
    muscles = [_chest_muscle(body, side) for side in (-1.0, 1.0)]
    return [*columns[:2], *breasts, *columns[2:], cleft, *muscles]


def _on_wall(body: BodySize, angle: float, inward: float, side: float, z: float) -> np.ndarray:
    """Return a point at a depth below the skin, at an angle (degrees) from the side to the front."""
    turn = np.deg2rad(angle)
    half = np.array([body.depth, body.width]) / 2 - inward
    share = np.array([np.sin(turn), np.cos(turn)])
    place = half * np.sign(share) * np.abs(share) ** (2 / _BOXY)
    return np.array([z, body.middle[0] + place[0], body.middle[1] + side * place[1]])


def _chest_muscle(body: BodySize, side: float) -> Shape:
    """Return the larger pectoral muscle, thickest above the heart."""
    centre = _on_wall(body, 60.0, body.fat + 0.4 * body.muscle, side, 74.0)
    return egg("muscle", centre, (82, 0.62 * body.muscle, 62), axes=mirrored(tangent(68.0), side))


def _breast(body: BodySize, side: float) -> list[Shape]:
    """Return skin, fat and gland of a breast; lying down, it is flat and falls to the side."""
    if body.bust <= 0:
        return []
    axes, centre = mirrored(tangent(58.0), side), _on_wall(body, 58.0, body.fat, side, 4.0)
    skin = egg("skin", centre, (60 + 0.5 * body.bust, body.bust + body.fat, 54 + 0.6 * body.bust), axes=axes)
    gland = centre + at(0, 0.35 * body.bust * axes[1, 1], 0.35 * body.bust * axes[1, 2])
    return [
        skin,
        skin.grown(-_SKIN, "fat"),
        egg("gland", gland, (26, 0.42 * (body.bust + body.fat), 24), axes=axes),
    ]


def _shoulders(body: BodySize) -> list[Shape]:
    """Return the space beside the neck, the shoulders, and the arms, beside the body or above it."""
    y, x, half = body.middle[0], body.middle[1], body.width / 2
    above = [egg("air", (262, y, x + s * (0.62 * half + 70)), (84, 260, 110)) for s in (-1, 1)]
    shapes: list[Shape] = list(above)
    for side in (-1.0, 1.0):
        shapes += _limb(body, (158, y - 6, x + side * (half - 14)), (58, 52, 56))
        if not body.arms_up:
            shapes += _limb(body, (-96, y - 16, x + side * (half + 47)), (262, 41, 39))
            bone = [(150, y - 14, x + side * (half + 30)), (-150, y - 18, x + side * (half + 48))]
            shapes += hollow(tube("cortical bone", bone, 11.0, step=40.0), "marrow", 4.0)
    return shapes


def _limb(
    body: BodySize, centre: tuple[float, float, float], semi: tuple[float, float, float]
) -> list[Shape]:
    skin = egg("skin", centre, semi)
    return [skin, skin.grown(-_SKIN, "fat"), skin.grown(-_SKIN - 0.5 * body.fat, "muscle")]
