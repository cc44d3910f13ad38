"""The body around the heart: skin to spine, lungs, ribs, diaphragm. Lengths mm, axes z y x, RAS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.simulate.anatomy.shapes import Column, Ellipsoid, Shape, Tube, smooth_curve


@dataclass(frozen=True)
class BodySize:
    """What varies from body to body; defaults are those of an average adult.

    Attributes
    ----------
    middle : (float, float)
        Centre of the trunk, y x; the heart is at the origin, left of the midline.
    width, depth : float
        Of the trunk, mm.
    fat : float
        Subcutaneous, mm.
    dome : float
        Height z of the liver dome at end-expiration.
    """

    middle: tuple[float, float] = (-30.0, 14.0)
    width: float = 345.0
    depth: float = 240.0
    fat: float = 16.0
    dome: float = -46.0

    @property
    def cage(self) -> tuple[float, float]:
        """Half depth and half width inside the ribs."""
        return self.depth / 2 - self.fat - 15, self.width / 2 - self.fat - 17

    @property
    def spine(self) -> tuple[float, float]:
        """Middle of the vertebral bodies, y x."""
        return self.middle[0] - self.depth / 2 + self.fat + 48, self.middle[1]


def thorax_shapes(size: BodySize) -> list[Shape]:
    """Return all but the heart, in the order of painting."""
    return [*_wall(size), *_ribs(size), *_lungs(size), *_diaphragm(size), *_spine(size)]


def _wall(size: BodySize) -> list[Shape]:
    half = np.array([size.depth, size.width]) / 2
    y, x = size.middle
    inner = half - size.fat
    return [
        Column("fat", size.middle, (half[0], half[1]), 2.4),
        Column("muscle", (y - 1, x), (inner[0], inner[1]), 2.4),
    ]


def _ribs(size: BodySize) -> list[Shape]:
    """Return ten pairs that fall toward the front, and the breastbone."""
    ribs: list[Shape] = []
    y, x = size.middle
    half_depth, half_width = np.array(size.cage) + 6
    angle = np.linspace(-0.42 * np.pi, 0.40 * np.pi, 26)  # from beside the spine to beside the breastbone
    for number in range(10):
        top = 118 - 29.0 * number
        for side in (-1, 1):
            points = np.stack(
                [
                    top - 26 * np.sin(angle) - 14 * np.cos(angle),
                    y + half_depth * np.sin(angle),
                    x + side * half_width * np.cos(angle) ** 0.85,
                ],
                axis=1,
            )
            ribs.append(_static("marrow", points, np.full(len(points), 4.5)))
    front = y + half_depth + 1
    breastbone = np.array([[-70, front + 1, x], [0, front + 2, x], [95, front - 6, x]], dtype=float)
    ribs += [_static("marrow", breastbone + np.array([0, 0, off]), np.full(3, 5.5)) for off in (-8, 0, 8)]
    return ribs


def _lungs(size: BodySize) -> list[Shape]:
    """Return the cavity of the chest, filled with lung, and what lies between the lungs."""
    y, x = size.middle
    half_depth, half_width = size.cage
    cavity = Ellipsoid("lung", np.array([-70.0, y, x]), np.array([225.0, half_depth, half_width, 230.0]))
    vessels = [_lung_vessel(size, side, n) for side in (-1, 1) for n in range(7)]
    mediastinum = Ellipsoid(
        "fat", np.array([20.0, y + 8, x - 4]), np.array([190.0, half_depth + 4, 27, 190.0])
    )
    return [cavity, *vessels, mediastinum]


def _lung_vessel(size: BodySize, side: int, number: int) -> Tube:
    """Return one of the larger pulmonary vessels, from the hilum outward."""
    y, x = size.middle
    turn = 2 * np.pi * number / 7 + 0.4 * side
    hilum = np.array([22.0, y - 4, x + side * 34])
    outward = np.array([70 * np.sin(turn), 45 * np.cos(turn), side * 44])
    bend = np.array([8 * np.cos(3 * turn), 8 * np.sin(2 * turn), 0])
    points = np.array([hilum, hilum + 0.5 * outward + bend, hilum + outward])
    return _static("venous blood", points, np.array([4.5, 3.0, 1.2]))


def _diaphragm(size: BodySize) -> list[Shape]:
    """Return liver, left dome and what is below, which breathing moves."""
    y, x = size.middle
    half_depth, half_width = size.cage
    top, deep, wide = size.dome, half_depth - 2, half_width
    return [
        _moving("viscera", (top - 150, y, x), (112, deep, wide - 2, 200)),
        _moving("viscera", (top - 97, y - 6, x - 0.50 * wide), (90, deep * 0.86, wide * 0.52, 160)),
        _moving("liver", (top - 95, y + 2, x + 0.42 * wide), (95, deep * 0.94, wide * 0.58, 120)),
        _moving("liver", (top - 76, y + 22, x - 0.12 * wide), (64, deep * 0.6, wide * 0.55, 70)),
    ]


def _spine(size: BodySize) -> list[Shape]:
    y, x = size.spine
    vertebrae: list[Shape] = [
        Column("muscle", (y - 32, x), (36.0, 44.0)),
        Column("cortical bone", (y, x), (17.0, 21.0)),
        Column("muscle", (y, x), (15.0, 19.0)),
    ]
    for number in range(-8, 9):
        body = Ellipsoid("marrow", np.array([28.0 * number, y, x]), np.array([13.5, 15.0, 19.0, 13.5]))
        vertebrae.append(body)
    canal, arch = y - 25, y - 42
    return [
        *vertebrae,
        Column("cortical bone", (canal - 3, x), (15.0, 15.0)),
        Column("spinal fluid", (canal, x), (8.0, 9.0)),
        Column("cord", (canal, x), (4.0, 5.0)),
        Column("marrow", (arch, x), (9.0, 3.5)),
    ]


def _moving(tissue: str, centre: tuple[float, float, float], semi: tuple[float, ...]) -> Ellipsoid:
    up, deep, wide, down = semi
    return Ellipsoid(
        tissue, np.array(centre, dtype=float), np.array([up, deep, wide, down]), follow_liver=1.0
    )


def _static(tissue: str, knots: np.ndarray, radius: np.ndarray) -> Tube:
    curve = smooth_curve(np.column_stack([knots, radius]), 6.0)
    still = np.zeros(len(curve))
    return Tube(tissue, curve[:, :3], curve[:, 3], still, still)
