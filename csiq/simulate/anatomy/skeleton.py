"""Bones of the chest: ribs with their cartilage, breastbone, spine, shoulder blades, collar bones."""

from __future__ import annotations

import numpy as np

from csiq.simulate.anatomy.frame import BodySize
from csiq.simulate.anatomy.placing import at, egg, hollow, mirrored, tangent, tilted, tube
from csiq.simulate.anatomy.shapes import Envelope, Plane, Shape, Tube, smooth_curve

#: Height z of each rib's joint with the breastbone (eighth to twelfth: of its tip), mm.
_TIPS = (112.0, 76.0, 52.0, 29.0, 8.0, -10.0, -24.0, -62.0, -92.0, -120.0)
#: Degrees from the side to the front where bone ends, and where cartilage ends.
_BONE_ENDS = (52, 50, 50, 50, 46, 40, 34, 24, 12, -2)
_ENDS = (72, 78, 78, 78, 78, 77, 76, 46, 30, 8)
_SPACING = 25.0  # mm from vertebra to vertebra
_FIRST = 168.0  # mm, z: first thoracic vertebra


def bones(body: BodySize) -> list[Shape]:
    """Return all bones, in the order of painting."""
    shoulders = [part for side in (-1.0, 1.0) for part in _shoulder_blade(body, side)]
    ribs = [part for side in (-1.0, 1.0) for number in range(len(_TIPS)) for part in _rib(body, number, side)]
    return [*shoulders, *ribs, *breastbone(body), *_spine(body)]


def rib_curve(body: BodySize, number: int, side: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the axis of a rib from the spine to its front end, and the angle of each point in degrees.

    Ribs fall from the spine to where their bone ends; cartilage climbs from there to the breastbone.

    Returns
    -------
    float64 array, (n, 3); float64 array, (n,)
    """
    start, tip = _FIRST - _SPACING * number - 4, _TIPS[number]
    low = tip - (0, 2, 6, 12, 22, 34, 46, 14, 6, 2)[number]
    end, bone = _ENDS[number], _BONE_ENDS[number]
    angle = np.array([-74, -50, -15, (bone - 15) / 2, bone, end], dtype=float)
    z = np.array([start, start - 0.22 * (start - low), start - 0.6 * (start - low),
                  start - 0.85 * (start - low), low, tip])  # fmt: skip
    way = smooth_curve(np.column_stack([z, angle, np.zeros(6), angle]), 5.0)
    height, turn = way[:, 0], np.deg2rad(way[:, 3])
    (deep, wide), (y, x) = body.cage, body.cage_middle
    scale = body.narrowing(height)
    points = np.stack(
        [
            height,
            y + (deep * scale**0.5 + 3.5) * np.sin(turn),
            x + side * (wide * scale + 3.5) * np.cos(turn) ** 0.9,
        ],
        axis=1,
    )
    return points, way[:, 3]


def _rib(body: BodySize, number: int, side: float) -> list[Shape]:
    points, angle = rib_curve(body, number, side)
    bone = int(np.searchsorted(angle, _BONE_ENDS[number])) + 1
    radius = 4.3 + 0.012 * body.width * 0.25
    still = np.zeros(len(points))
    front = points[bone - 1 :]
    shapes: list[Shape] = []
    if len(front) > 1:
        shapes.append(Tube("cartilage", front, 0 * front[:, 0] + radius, 0 * front[:, 0], 0 * front[:, 0]))
    shell = Tube("cortical bone", points[:bone], still[:bone] + radius, still[:bone], still[:bone])
    return [*shapes, *hollow(shell, "marrow", 1.5)]


def front_wall(body: BodySize, z: float) -> float:
    """Return y of the inner side of the breastbone, which leans forward toward the feet."""
    return body.cage_middle[0] + body.cage[0] - 0.10 * max(z - 10, 0)


def breastbone(body: BodySize) -> list[Shape]:
    """Return manubrium, body and xiphoid, each a plate with a rim of cortical bone."""
    x = body.middle[1]
    xiphoid = tube("cartilage", [(-28, front_wall(body, 0) + 5, x), (-50, front_wall(body, 0) + 1, x)], 5.0)
    plates = [_plate(body, (-29.0, 76.0), 16.5), _plate(body, (80.0, 122.0), 26.0)]
    return [xiphoid, *plates, *(plate.grown(-1.4, "marrow") for plate in plates)]


def _plate(body: BodySize, ends: tuple[float, float], half_width: float) -> Envelope:
    """Return a plate behind the skin of the chest between two heights."""
    low, high = (at(z, front_wall(body, z) + 7, body.middle[1]) for z in ends)
    up = (high - low) / np.linalg.norm(high - low)
    axes = np.array([up, np.cross([0, 0, 1.0], up), [0, 0, 1.0]])
    long = egg("cortical bone", (low + high) / 2, (1.6 * (ends[1] - ends[0]), 7.0, half_width), axes=axes)
    return Envelope("cortical bone", (long,), planes=(Plane(high, up), Plane(low, -up)), rounding=6.0)


def _spine(body: BodySize) -> list[Shape]:
    """Return vertebral bodies, discs, canal with cord, and what the back muscles hold on to."""
    heights = np.linspace(-215, 215, 30)
    y, x = body.spine_at(heights), body.middle[1]
    axis = np.column_stack([heights, y, np.full(len(heights), x)])
    back = axis - at(0, 27.0, 0)
    shapes: list[Shape] = [
        *(tube("muscle", back + at(0, -12.0, side * 25.0), 17.0) for side in (-1, 1)),
        *(tube("fat", back + at(0, -20.0, side * 4.0), 4.0) for side in (-1, 1)),
        *hollow(tube("cortical bone", axis, 17.0), "marrow", 1.2),
    ]
    for number in range(-2, 15):
        shapes += _vertebra(body, _FIRST - _SPACING * number)
    canal = axis - at(0, 25.5, 0)
    return [
        *shapes,
        tube("cortical bone", canal - at(0, 1.0, 0), 12.5),
        tube("fat", canal, 10.0),
        tube("spinal fluid", canal + at(0, 0.5, 0), 8.0),
        tube("cord", canal + at(0, 1.0, 0), 4.6),
    ]


def _vertebra(body: BodySize, z: float) -> list[Shape]:
    """Return the disc below a vertebra, its spinous and its transverse processes."""
    y, x = float(body.spine_at(z)), body.middle[1]
    below = z - _SPACING / 2
    lean = np.rad2deg(np.arctan2(body.spine_at(below + 10) - body.spine_at(below - 10), 20.0))
    middle, axes = (below, float(body.spine_at(below)), x), tilted(float(lean))
    arch = y - 36.0
    shapes: list[Shape] = [
        egg("cortical bone", middle, (5.6, 17.6, 18.6), axes=axes),
        egg("disc", middle, (4.2, 16.6, 17.6), axes=axes),
        *hollow(tube("cortical bone", [(z - 4, arch, x), (z - 22, arch - 16, x)], [4.6, 4.0]), "marrow", 1.3),
    ]
    for side in (-1.0, 1.0):
        ways = [(z + 2, arch + 8, x + side * 10), (z + 4, arch - 4, x + side * 31)]
        shapes += hollow(tube("cortical bone", ways, [5.5, 4.8]), "marrow", 1.3)
    return shapes


def _shoulder_blade(body: BodySize, side: float) -> list[Shape]:
    """Return a thin plate behind the upper ribs, between muscles."""
    angle = -52.0
    (deep, wide), (y, x) = body.cage, body.cage_middle
    reach = np.deg2rad(angle)
    scale = float(body.narrowing(95.0))
    centre = (
        92.0,
        y + (deep * scale**0.5 + 17) * np.sin(reach),
        x + side * (wide * scale + 17) * np.cos(reach),
    )
    axes = mirrored(tangent(angle), side)
    return [
        egg("muscle", centre, (84.0, 15.0, 54.0), axes=axes),
        egg("cortical bone", centre, (66.0, 4.2, 42.0), axes=axes),
        egg("marrow", centre, (62.0, 2.6, 38.0), axes=axes),
    ]
