"""Great vessels: aorta with its root, pulmonary trunk, caval and pulmonary veins.

They follow the heart where they join it and less further on; where they stand still they belong to the body,
so that what moves with the heart stays within about 80 mm of its middle. Knots are upright (z, y, x in mm
from the heart's base in a heart of scale 1 that is not turned), except where a vessel is bound to the body.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from csiq.simulate.anatomy.frame import BodySize
from csiq.simulate.anatomy.heart import HeartSize
from csiq.simulate.anatomy.shapes import Ellipsoid, Envelope, Plane, Shape, Tube, smooth_curve

_ANNULUS = np.array([16.5, 11.5, 13.0])  # of the aortic valve
_AXIS = np.array([0.82, 0.10, 0.56]) / np.linalg.norm([0.82, 0.10, 0.56])
_SINUS = 6.5  # mm from the axis to the middle of a sinus
_AORTIC_WALL, _PULMONARY_WALL = 1.6, 1.2  # mm
_STILL = 76.0  # mm: half the cube around the origin outside of which vessels stand still
_FADE = 32.0  # mm over which they come to rest


@dataclass(frozen=True)
class Vessels:
    """Great vessels in the order of painting.

    Attributes
    ----------
    far : tuple of Shape
        What stands still or follows the diaphragm; part of the body.
    near : tuple of Shape
        What moves with the heart, painted before its chambers.
    mouths : tuple of Shape
        Blood that opens chambers to vessels, painted after the chambers.
    """

    far: tuple[Shape, ...]
    near: tuple[Shape, ...]
    mouths: tuple[Shape, ...]


def root_frame(size: HeartSize) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle of the aortic annulus, and axes as rows: along the root, frontward, leftward."""
    front = np.array([0.0, 1.0, 0.0])
    front = front - (front @ _AXIS) * _AXIS
    front /= np.linalg.norm(front)
    left = np.cross(_AXIS, front)
    left = left if left[2] < 0 else -left
    return size.upright(_ANNULUS), np.array([_AXIS, front, left]) @ size.rotation.T


def sinus_direction(size: HeartSize, name: str) -> np.ndarray:
    """Return the unit vector from the root's axis to the ``right``, ``left`` or ``non`` coronary sinus."""
    turn = {"right": 0.0, "left": 2 * np.pi / 3, "non": -2 * np.pi / 3}[name]
    _, axes = root_frame(size)
    return np.asarray(np.cos(turn) * axes[1] + np.sin(turn) * axes[2])


def aortic_root(size: HeartSize) -> list[Shape]:
    """Return wall, blood and closed cusps of the three sinuses, painted over the heart's base."""
    annulus, axes = root_frame(size)
    s = size.scale
    sinuses = []
    for name in ("right", "left", "non"):
        centre = annulus + s * (9 * axes[0] + _SINUS * sinus_direction(size, name))
        sinuses.append(Ellipsoid("arterial blood", centre, s * np.array([10.5, 8.6, 8.6, 10.5]), axes, 1.0))
    blood = Envelope("arterial blood", tuple(sinuses), blend=4.0 * s, name="aortic root")
    cusps = []
    for sinus in sinuses:
        top = Plane(sinus.centre + 2.5 * s * axes[0], axes[0])
        bowl = replace(sinus, semi=s * np.array([8.5, 6.6, 6.6, 8.5]))
        cusps.append(Envelope("myocardium", (bowl,), planes=(top,), sheet=0.7, name="aortic cusp"))
    return [blood.grown(_AORTIC_WALL, "muscle", "aortic wall"), blood, *cusps]


def great_vessels(size: HeartSize, body: BodySize) -> Vessels:
    """Return all great vessels.

    Parameters
    ----------
    body : BodySize
        The aorta descends beside its spine.
    """
    tubes = [*_aorta(size, body), *_pulmonary_arteries(size)]
    veins = [*_caval_veins(size, body), *_pulmonary_veins(size)]
    far: list[Shape] = []
    near: list[Shape] = []
    mouths: list[Shape] = []
    for tube, wall in [(t, _wall_of(t)) for t in tubes] + [(v, 0.8) for v in veins]:
        walled = replace(tube, tissue="muscle", radius=tube.radius + wall, name=f"{tube.name} wall")
        for part in (walled, tube):
            moving, still = _split(part)
            far += still
            near += moving
        mouths += [_mouth(t) for t in _split(tube)[0]] if tube.name in _OPEN else []
    # walls first, then all blood: a wall never closes another vessel's lumen
    return Vessels(tuple(_walls_first(far)), tuple(_walls_first(near)), tuple(mouths))


_OPEN = {
    "pulmonary trunk", "superior vena cava", "inferior vena cava",
    "left superior pulmonary vein", "left inferior pulmonary vein",
    "right superior pulmonary vein", "right inferior pulmonary vein", "aorta",
}  # fmt: skip


def _wall_of(tube: Tube) -> float:
    return _PULMONARY_WALL if "pulmonary" in tube.name else _AORTIC_WALL


def _walls_first(shapes: Iterable[Shape]) -> list[Shape]:
    return sorted(shapes, key=lambda shape: not shape.name.endswith("wall"))


def _mouth(tube: Tube) -> Tube:
    """Return the part of a tube that lies in the chamber it joins, a few mm beyond included."""
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(tube.points, axis=0), axis=1))])
    count = max(int(np.searchsorted(along, _MOUTH)), 2)
    return _cut(tube, slice(0, count))


_MOUTH = 30.0  # mm


def _cut(tube: Tube, part: slice) -> Tube:
    return replace(
        tube,
        points=tube.points[part],
        radius=tube.radius[part],
        follow_heart=tube.follow_heart[part],
        follow_liver=tube.follow_liver[part],
    )


def _split(tube: Tube) -> tuple[list[Tube], list[Tube]]:
    """Return the part of a tube that follows the heart, and the part that does not."""
    moves = np.flatnonzero(tube.follow_heart > 0)
    if moves.size == 0:
        return [], [tube]
    first, last = int(moves[0]), int(moves[-1])
    if last + 2 >= len(tube.points):
        return [_cut(tube, slice(first, None))], []
    # no round end of a wall may stand in the lumen that goes on: walls meet 6 mm before the blood does
    back = 2 if tube.name.endswith("wall") else 0
    moving = _cut(tube, slice(first, last + 2 - back))
    still = _cut(tube, slice(max(last + 1 - back, 0), None))
    return [moving] if len(moving.points) > 1 else [], [still]


def _aorta(size: HeartSize, body: BodySize) -> list[Tube]:
    annulus, axes = root_frame(size)
    junction = annulus + 20 * size.scale * axes[0]
    start = annulus + 8 * size.scale * axes[0]
    arch = size.upright(np.array([92.0, -4.0, 14.0]))
    x = body.spine[1] - 30.0

    def beside(z: float) -> list[float]:
        return [z, float(body.spine_at(z)) + 9.0, x]

    knots = np.array([
        start, junction, size.upright(np.array([58.0, 17, 27])), [arch[0] - 18, arch[1] + 14, arch[2] + 10],
        arch, [arch[0] - 5, (arch[1] + beside(90)[1]) / 2, (arch[2] + x) / 2 - 8],
        beside(arch[0] - 28), beside(arch[0] - 60), beside(0), beside(-60), beside(-200),
    ])  # fmt: skip
    radius = np.array([11.5, 13.5, 15.5, 15, 14, 12.5, 12, 11.8, 11.5, 11, 9.5]) * size.scale**0.5
    tubes = [_tube("arterial blood", knots, radius, "aorta")]
    for name, off, r in (
        ("brachiocephalic artery", (2, 4, 6), 6.2),
        ("left common carotid artery", (3, -7, -5), 3.9),
        ("left subclavian artery", (1, -20, -12), 4.8),
    ):
        low = arch + np.array(off)
        lean = np.array([38.0, -2.0, 3.0 * off[2]])
        branch = np.array([low, low + 0.5 * lean, low + lean, low + 2 * lean])
        tubes.append(_tube("arterial blood", branch, np.full(4, r), name))
    return tubes


def _pulmonary_arteries(size: HeartSize) -> list[Tube]:
    ways = {
        "pulmonary trunk": [(31, 34, -7), (38, 29, -8), (46, 23, -10), (56, 9, -12), (60, 1, -12)],
        "right pulmonary artery": [(57, 4, -10), (56, -7, 6), (53, -12, 26), (52, -16, 46), (46, -18, 66)],
        "left pulmonary artery": [(59, 2, -12), (63, -14, -20), (62, -30, -32), (52, -40, -44),
                                  (36, -46, -52)],
    }  # fmt: skip
    radius = {"pulmonary trunk": [12, 12.5, 13, 12, 10.5]}
    usual = [10, 10.5, 9.5, 8.5, 6]
    return [
        _tube(
            "venous blood",
            size.upright(np.array(way)),
            size.scale**0.5 * np.array(radius.get(name, usual)),
            name,
        )
        for name, way in ways.items()
    ]


def _caval_veins(size: HeartSize, body: BodySize) -> list[Tube]:
    blood = "venous blood"
    superior = np.array([(2, -3, 42), (22, -4, 47), (45, 2, 52), (70, 4, 53), (100, 8, 51)])
    side = np.array([(97, 9, 50), (106, 22, 28), (112, 24, 0), (122, 16, -30), (132, 4, -60)])
    inferior = [*size.upright(np.array([(-10.0, -2, 40), (-30, -14, 36), (-50, -22, 32)]))]
    inferior += [np.array([z, body.spine_at(z) + 33.0, body.spine[1] + 19.0]) for z in (-90.0, -180.0)]
    radius = np.array([9, 9.5, 9.5, 9, 8])
    follows = np.array([1, 1, 0, 0, 0.0])  # further down it follows the liver it runs through
    curve = smooth_curve(np.column_stack([inferior, radius + 2, follows]), 3.0)
    return [
        _tube(blood, size.upright(superior), radius, "superior vena cava"),
        _tube(blood, size.upright(side), np.full(5, 6.2), "left brachiocephalic vein"),
        Tube(blood, curve[:, :3], curve[:, 3], curve[:, 4], 1 - curve[:, 4], "inferior vena cava"),
    ]


def _pulmonary_veins(size: HeartSize) -> list[Tube]:
    ways = {
        "left superior": [(18, -27, -6), (24, -20, -24), (30, -15, -42), (42, -18, -60)],
        "left inferior": [(2, -36, -4), (-2, -46, -20), (-8, -54, -38), (-18, -60, -56)],
        "right superior": [(14, -29, 24), (15, -25, 42), (15, -20, 58), (20, -15, 74)],
        "right inferior": [(2, -34, 22), (-2, -42, 40), (-8, -50, 56), (-18, -58, 72)],
    }
    radius = np.array([7.0, 6.6, 5.8, 4.2])
    return [
        _tube("arterial blood", size.upright(np.array(knots)), radius, f"{name} pulmonary vein")
        for name, knots in ways.items()
    ]


def _tube(tissue: str, knots: np.ndarray, radius: np.ndarray, name: str) -> Tube:
    """Return a tube that follows the heart near the origin and stands still outside a cube around it."""
    curve = smooth_curve(np.column_stack([knots, radius]), 3.0)
    away = np.abs(curve[:, :3]).max(axis=1) + curve[:, 3]
    # once a vessel has come to rest, it stays so
    follow = np.minimum.accumulate(np.clip((_STILL - away) / _FADE, 0, 1))
    return Tube(tissue, curve[:, :3], curve[:, 3], follow, np.zeros(len(curve)), name)
