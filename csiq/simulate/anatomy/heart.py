"""The heart: four chambers, great vessels, coronaries in their fat. Lengths mm, axes z y x, RAS.

The heart frame has its origin in the middle of the left ventricle's base; ``u`` points to the apex, ``v``
from the left ventricle to the right, ``w`` (upward) completes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from csiq.simulate.anatomy.raster import pack, union_gap
from csiq.simulate.anatomy.shapes import Ellipsoid, Envelope, Shape, Tube, smooth_curve

_APEX = np.array([-0.53, 0.58, -0.62])  # toward feet, front and left
_RIGHT = np.array([-0.04, 0.71, 0.70])
_GROOVE_FILL = 22.0  # mm: epicardial fat evens out the grooves in which the coronaries run

# Courses in the heart frame (u, v, w), before they are laid on the epicardium.
_COURSES = {
    "RCA": [(-12, 20, 27), (-12, 34, 40), (-13, 55, 33), (-14, 70, 14), (-14, 72, -8), (-13, 60, -30),
            (-11, 40, -40), (-8, 22, -39), (4, 14, -36), (22, 12, -33), (42, 9, -26)],
    "LAD": [(-13, 6, 26), (-9, -4, 34), (0, 4, 37), (12, 11, 36), (26, 12, 34), (42, 11, 29), (58, 9, 22),
            (72, 6, 12), (80, 2, 2)],
    "LCX": [(-9, -4, 34), (-10, -18, 30), (-10, -31, 17), (-8, -38, 0), (-4, -36, -14), (6, -31, -24)],
}  # fmt: skip
_DIAMETERS = {"RCA": (4.0, 1.4), "LAD": (4.0, 1.2), "LCX": (3.6, 1.2)}


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
        Of all lengths but the vessels' diameters.
    left, right, atria : float
        Of the ventricles and atria, on top of ``scale``.
    wall : float
        Of the left ventricle, mm.
    fat : float
        Epicardial fat away from grooves, mm.
    vessel : float
        Scale of the coronary diameters.
    wander : float array, (3, 8, 3)
        Offsets along u, v, w that make each course its own, mm.
    """

    base: np.ndarray
    rotation: np.ndarray
    scale: float = 1.0
    left: float = 1.0
    right: float = 1.0
    atria: float = 1.0
    wall: float = 10.0
    fat: float = 4.0
    vessel: float = 1.0
    wander: np.ndarray | None = None

    @property
    def frame(self) -> np.ndarray:
        """Rows are u, v, w as vectors z y x."""
        u = _APEX / np.linalg.norm(_APEX)
        v = _RIGHT - (_RIGHT @ u) * u
        v /= np.linalg.norm(v)
        w = np.cross(u, v)
        w = w if w[0] > 0 else -w
        return np.array([u, v, w]) @ self.rotation.T

    def place(self, points: np.ndarray) -> np.ndarray:
        """Return points of the heart frame (u, v, w) in patient space."""
        return self.base + self.scale * np.asarray(points, dtype=float) @ self.frame


def chambers(size: HeartSize) -> tuple[Ellipsoid, ...]:
    """Return the outer surfaces of LA, RA, RV and LV, in the order they are painted."""
    left, right, atria = size.left, size.right, size.atria
    return (
        _egg(size, "myocardium", (-37, -13, 8), np.array([22, 31, 28, 22]) * atria),
        _egg(size, "myocardium", (-41, 40, 2), np.array([29, 28, 32, 26]) * atria),
        _egg(size, "myocardium", (5, 31, 2), np.array([64, 36, 40, 24]) * right),
        _egg(size, "myocardium", (0, 0, 0), np.array([84, 35.5, 35.5, 15]) * left),
    )


def heart_shapes(size: HeartSize) -> list[Shape]:
    """Return the heart in the order of painting: fat, walls, blood, vessels."""
    la, ra, rv, lv = chambers(size)
    shapes: list[Shape] = [Envelope("fat", (la, ra, rv, lv), size.fat, _GROOVE_FILL)]
    shapes += [ra, ra.grown(-2.5, "venous blood"), la, la.grown(-2.5, "arterial blood")]
    shapes += [rv, rv.grown(-4.0, "venous blood")]
    shapes += [_egg(size, "venous blood", (-19, 38, 0), np.array([13, 14, 14, 12]))]  # tricuspid valve
    shapes += [lv, lv.grown(-size.wall, "arterial blood")]
    shapes += [_egg(size, "arterial blood", (-9, -5, 3), np.array([13, 13, 13, 13]))]  # mitral valve
    shapes += [_papillary(size, -1), _papillary(size, 1)]
    return shapes + great_vessels(size) + list(coronaries(size))


def great_vessels(size: HeartSize) -> list[Shape]:
    """Return caval veins, pulmonary vessels and the aorta; far from the heart they follow it less."""
    ra = size.place(np.array([-38, 44, 8]))
    la = size.place(np.array([-38, -14, 8]))
    rvot = size.place(np.array([8, 27, 30]))
    pulmonary = size.place(np.array([-16, 14, 50]))
    root = size.place(np.array([-2, 8, 8]))
    sinus = size.place(np.array([-16, 14, 20]))
    top = pulmonary + np.array([22, -22, 4])
    return [
        _vessel("venous blood", ra, [(28, -4, 3), (70, -4, 2), (120, 0, 6)], 9.0),
        _vessel("venous blood", ra, [(-40, -16, 2), (-75, -22, 0), (-150, -30, -6)], 11.0),
        _vessel("arterial blood", la, [(2, -18, 24), (6, -28, 62)], 6.5),
        _vessel("arterial blood", la, [(6, -18, -26), (14, -28, -60)], 6.5),
        _vessel("arterial blood", la, [(-14, -18, 26), (-26, -30, 58)], 6.0),
        _vessel("arterial blood", la, [(-12, -18, -26), (-26, -32, -56)], 6.0),
        _vessel("venous blood", rvot, [pulmonary - rvot, top - rvot], 12.5),
        _vessel("venous blood", top, [(2, -14, 34), (2, -22, 68)], 8.5),
        _vessel("venous blood", top, [(4, -14, -26), (0, -26, -60)], 8.5),
        _aorta(root, sinus),
    ]


def coronaries(size: HeartSize) -> tuple[Tube, ...]:
    """Return RCA, LAD (with the left main) and LCX: tapered tubes on the epicardium, in its fat."""
    rows = pack(chambers(size)).rows
    return tuple(_coronary(size, number, name, rows) for number, name in enumerate(_COURSES))


def _coronary(size: HeartSize, number: int, name: str, rows: np.ndarray) -> Tube:
    course = np.array(_COURSES[name], dtype=float)
    if size.wander is not None:
        at = np.linspace(0, 1, len(course))
        offsets = [np.interp(at, np.linspace(0, 1, len(w)), w) for w in size.wander[number].T]
        course = course + np.stack(offsets, axis=1) * np.minimum(4 * at, 1)[:, None]
    points = smooth_curve(size.place(course), 1.5)
    along = np.linspace(0, 1, len(points))
    first, last = np.array(_DIAMETERS[name]) * size.vessel
    radius = (first + (last - first) * along) / 2
    points = _laid_on(rows, points, radius + 1.0, free=np.clip(1 - 16 * along, 0, 1))
    ones = np.ones(len(points))
    return Tube("arterial blood", points, radius, ones, 0 * ones, name)


def _laid_on(rows: np.ndarray, points: np.ndarray, height: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Move points to ``height`` above the chambers; ``free`` (0..1) of their place is kept, at the ostium.

    The blend rounds the grooves a little, so that the curve does not jump from side to side.
    """
    from scipy.ndimage import gaussian_filter1d

    laid = points.copy()
    for _ in range(12):
        gap = union_gap(rows, 6.0, laid)
        laid += ((height - gap) * (1 - free))[:, None] * _outward(rows, laid)
        ends = laid[[0, -1]].copy()
        laid = gaussian_filter1d(laid, 1.5, axis=0, mode="nearest")
        laid[[0, -1]] = ends
    return laid


def _outward(rows: np.ndarray, points: np.ndarray) -> np.ndarray:
    slope = np.empty_like(points)
    for axis in range(3):
        step = np.zeros(3)
        step[axis] = 0.5
        slope[:, axis] = union_gap(rows, 6.0, points + step) - union_gap(rows, 6.0, points - step)
    return slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-9)


def _egg(size: HeartSize, tissue: str, centre: tuple[float, float, float], semi: np.ndarray) -> Ellipsoid:
    return Ellipsoid(tissue, size.place(np.array(centre)), size.scale * semi, size.frame, follow_heart=1.0)


def _papillary(size: HeartSize, side: int) -> Ellipsoid:
    reach = (35.5 * size.left * size.scale - size.wall) / size.scale - 6
    place = (34.0, -0.55 * reach, 0.75 * side * reach)
    return _egg(size, "myocardium", place, np.array([13.0, 4.5, 4.5, 11.0]))


def _vessel(tissue: str, start: np.ndarray, offsets: Sequence[ArrayLike], radius: float) -> Tube:
    """Return a tube that leaves the heart: it follows it fully at its root and less further on."""
    way = np.array([(0.0, 0.0, 0.0), *offsets], dtype=float)
    follow = np.clip(1.1 - np.linalg.norm(way, axis=1) / 110, 0, 1)
    return _tube(tissue, start + way, np.full(len(way), radius), follow)


def _aorta(root: np.ndarray, sinus: np.ndarray) -> Tube:
    x, front = sinus[2] + 9, sinus[1]
    knots = [root, sinus, [sinus[0] + 20, front + 1, x], [sinus[0] + 45, front, x + 2],
             [sinus[0] + 66, front - 14, x - 6], [sinus[0] + 76, front - 38, x - 22],
             [sinus[0] + 62, front - 62, x - 38], [sinus[0] + 30, front - 72, x - 42],
             [sinus[0] - 40, front - 72, x - 40], [sinus[0] - 200, front - 68, x - 32]]  # fmt: skip
    radius = np.array([11, 15.5, 14.5, 15, 14.5, 13, 12.5, 12, 11.5, 10.5])
    return _tube(
        "arterial blood",
        np.array(knots, dtype=float),
        radius,
        np.array([1, 1, 0.85, 0.6, 0.35, 0.2, 0.1, 0, 0, 0]),
        name="aorta",
    )


def _tube(
    tissue: str, knots: np.ndarray, radius: np.ndarray, follow_heart: np.ndarray, *, name: str = ""
) -> Tube:
    curve = smooth_curve(np.column_stack([knots, radius, follow_heart]), 4.0)
    return Tube(tissue, curve[:, :3], curve[:, 3], curve[:, 4], np.zeros(len(curve)), name)
