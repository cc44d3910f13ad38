"""The coronary arteries, and the coronary sinus: tapered curves on the epicardium, in its fat.

A course is drawn in the heart frame, laid on the walls of chambers and great vessels, and cut where the
artery has the length it was given. Lengths mm, axes z y x, RAS.
"""

from __future__ import annotations

import numpy as np

from csiq.simulate.anatomy.heart import HeartSize
from csiq.simulate.anatomy.laying import laid_on, lengths_along, spaced
from csiq.simulate.anatomy.raster import Packed
from csiq.simulate.anatomy.shapes import Tube
from csiq.simulate.anatomy.vessels import root_frame, sinus_direction

#: Lengths in mm that the main arteries have in people.
LENGTHS = {"RCA": (90.0, 170.0), "LM": (5.0, 15.0), "LAD": (90.0, 130.0), "LCX": (40.0, 80.0)}
#: Diameters in mm at the ostium and at the end, and the least of any branch.
DIAMETERS = {"RCA": (3.9, 1.8), "LM": (4.2, 3.9), "LAD": (3.7, 1.3), "LCX": (3.4, 1.5)}
_THINNEST = 1.2
_BED = 1.2  # mm of fat between an artery and the wall below
_WANDER = 2.5  # mm, of a course from the usual one

_COURSES = {
    "RCA": [(-7, 42, 27), (-5, 54, 16), (-5, 64, 0), (-5, 67, -18), (-5, 62, -34), (-5, 48, -44),
            (-5, 30, -44), (-5, 10, -40), (-3, -4, -40), (4, -16, -36), (16, -22, -31), (30, -24, -26)],
    "LAD": [(-4, 3, 42), (6, 8, 42), (22, 11, 38), (42, 11, 32), (60, 9, 25), (74, 6, 15), (84, 1, 4),
            (86, -4, -8), (78, -2, -18)],
    "LCX": [(-7, -14, 38), (-6, -26, 28), (-5, -35, 12), (-5, -37, -6), (-5, -32, -22), (-5, -18, -36),
            (-5, 0, -40)],
}  # fmt: skip
# Branches: the parent, the share of the parent's length where they leave, and the course from there on.
_BRANCHES = {
    "D1": ("LAD", 0.20, [(28, -10, 36), (46, -18, 29), (60, -18, 20)]),
    "D2": ("LAD", 0.42, [(54, -4, 31), (66, -10, 22), (74, -10, 12)]),
    "D3": ("LAD", 0.60, [(70, 0, 22), (78, -6, 12)]),
    "OM1": ("LCX", 0.35, [(10, -36, 18), (24, -37, 13), (38, -34, 9), (48, -30, 6)]),
    "OM2": ("LCX", 0.70, [(8, -38, -6), (26, -36, -10), (44, -30, -12)]),
    "OM3": ("LCX", 0.92, [(10, -33, -20), (26, -30, -22), (40, -26, -22)]),
    "AM": ("RCA", 0.44, [(8, 66, -26), (24, 62, -30), (42, 52, -28)]),
}
_PDA = [(8, 13, -42), (24, 13, -40), (42, 12, -34), (58, 9, -27)]


def coronaries(size: HeartSize, walls: Packed) -> tuple[Tube, ...]:
    """Return all coronary arteries: RCA, LAD, LCX, LM and then branches.

    Right dominant: the posterior descending branch (PDA) leaves the RCA, which ends as posterolateral
    branch. Left dominant: a short RCA; a posterolateral branch (PL) goes on where the LCX ends, and the PDA
    leaves it. Balanced: the PDA leaves the RCA, which ends there.

    Parameters
    ----------
    walls : Packed
        What arteries lie on: outer walls of chambers, aortic root, pulmonary trunk.
    """
    rng = size.rng(2)
    laid: dict[str, Tube] = {}
    main = _lay_main(size, walls, rng)
    laid.update(main)
    for name in _branch_names(size, rng):
        laid[name] = _lay_branch(size, walls, laid, name, rng)
    laid.update(_lay_posterior(size, walls, laid, rng))
    return tuple(laid.values())


def coronary_sinus(size: HeartSize, walls: Packed) -> Tube:
    """Return the vein that runs in the left groove behind the heart and ends in the right atrium."""
    way = [
        (-9, -34, 22),
        (-8, -39, 4),
        (-8, -37, -14),
        (-9, -26, -31),
        (-10, -8, -40),
        (-11, 8, -40),
        (-16, 22, -30),
    ]
    points = laid_on(walls, size.place(np.array(way, dtype=float)), lambda share: 1.6 + 4.0 * share)
    knots = size.place(np.array(way[-1:], dtype=float))
    points = np.vstack([points[: -max(len(points) // 8, 1)], knots])
    radius = np.linspace(1.6, 5.0, len(points))
    ones = np.ones(len(points))
    return Tube("venous blood", points, radius, ones, 0 * ones, "coronary sinus")


def _lay_main(size: HeartSize, walls: Packed, rng: np.random.Generator) -> dict[str, Tube]:
    right, left = _ostium(size, "right"), _ostium(size, "left")
    trunk = _laid(size, walls, np.vstack([left, size.place(_wandered(_COURSES["LAD"], rng, 0.5))]), free=24.0)
    rca = _laid(size, walls, np.vstack([right, size.place(_wandered(_COURSES["RCA"], rng))]), free=10.0)
    fork = _length_within("LM", rng.uniform(6, 14.5))
    lm, lad = _cut_at(trunk, fork)
    lcx = _laid(size, walls, np.vstack([lad[:1], size.place(_wandered(_COURSES["LCX"], rng))]), free=3.0)
    crux = lengths_along(rca)[_nearest(rca, size.place(np.array([-5.0, 10, -40])))]
    beyond = {"right": rng.uniform(2, 16), "balanced": 0.0, "left": -rng.uniform(0.2, 0.36) * crux}
    tip = lengths_along(lad)[_nearest(lad, size.place(np.array([84.0, 1, 4])))]
    around = 0.75 if size.dominance == "left" else rng.uniform(0.4, 0.64)
    pieces = {
        "RCA": (rca, _length_within("RCA", crux + beyond[size.dominance])),
        "LAD": (lad, _length_within("LAD", tip * rng.uniform(0.8, 1.03))),
        "LCX": (lcx, _length_within("LCX", around * lengths_along(lcx)[-1])),
        "LM": (lm, fork),
    }
    return {
        name: _artery(size, name, spaced(_cut_at(points, length)[0]), DIAMETERS[name])
        for name, (points, length) in pieces.items()
    }


def _branch_names(size: HeartSize, rng: np.random.Generator) -> list[str]:
    """Return which diagonals and marginals a heart has: one to three of each, and an acute marginal."""
    diagonals = ["D1", "D2", "D3"][: int(rng.choice([1, 2, 3], p=[0.3, 0.5, 0.2]))]
    marginals = ["OM1", "OM2", "OM3"][: int(rng.choice([1, 2, 3], p=[0.4, 0.45, 0.15]))]
    return [*diagonals, *marginals, "AM"]


def _lay_branch(
    size: HeartSize, walls: Packed, laid: dict[str, Tube], name: str, rng: np.random.Generator
) -> Tube:
    parent, share, way = _BRANCHES[name]
    stem = laid[parent]
    at = int(share * (len(stem.points) - 1))
    points = np.vstack([stem.points[at], size.place(_wandered(way, rng))])
    return _branch(size, walls, name, points, stem.radius[at])


def _lay_posterior(
    size: HeartSize, walls: Packed, laid: dict[str, Tube], rng: np.random.Generator
) -> dict[str, Tube]:
    """Return the posterior descending branch, and the left posterolateral one that may lead to it."""
    found: dict[str, Tube] = {}
    stem = laid["RCA"]
    if size.dominance == "left":
        lcx = laid["LCX"]
        rest = np.array([(-5.0, -22, -35), (-5, -8, -40), (-5, 6, -40)])
        ahead = [p for p in size.place(rest) if p @ size.frame[1] > lcx.points[-1] @ size.frame[1] + 6]
        stem = _branch(size, walls, "PL", np.vstack([lcx.points[-1:], *ahead]), lcx.radius[-1] / 0.75)
        found["PL"] = stem
    at = _nearest(stem.points, size.place(np.array([-5.0, 10, -40])))
    way = np.vstack([stem.points[at], size.place(_wandered(_PDA, rng))])
    found["PDA"] = _branch(size, walls, "PDA", way, max(stem.radius[at], 1.15))
    return found


def _branch(size: HeartSize, walls: Packed, name: str, way: np.ndarray, parent_radius: float) -> Tube:
    points = _laid(size, walls, way, free=2.0)
    first = max(1.5 * parent_radius, _THINNEST + 0.3)
    return _artery(size, name, points, (first / size.vessel, _THINNEST))


def _artery(size: HeartSize, name: str, points: np.ndarray, diameters: tuple[float, float]) -> Tube:
    along = lengths_along(points) / lengths_along(points)[-1]
    first, last = (max(d * size.vessel, _THINNEST) for d in diameters)
    radius = (first + (last - first) * along) / 2
    ones = np.ones(len(points))
    return Tube("arterial blood", points, radius, ones, 0 * ones, name)


def _ostium(size: HeartSize, name: str) -> np.ndarray:
    """Return where an artery leaves the aorta, and a point 5 mm further out."""
    annulus, axes = root_frame(size)
    way = sinus_direction(size, name)
    start = annulus + size.scale * (12 * axes[0] + 13.0 * way)
    return np.array([start, start + 3.0 * way])


def _wandered(way: list[tuple[int, int, int]], rng: np.random.Generator, share: float = 1.0) -> np.ndarray:
    """Return a course with smooth offsets that make it this person's own."""
    points = np.array(way, dtype=float)
    knots = rng.uniform(-_WANDER, _WANDER, (4, 3)) * share
    at, places = np.linspace(0, 1, len(points)), np.linspace(0, 1, 4)
    return points + np.stack([np.interp(at, places, knots[:, a]) for a in range(3)], axis=1)


def _laid(size: HeartSize, walls: Packed, knots: np.ndarray, free: float) -> np.ndarray:
    return laid_on(walls, knots, lambda share: _BED + (2.0 - 1.3 * share) * size.vessel, free)


def _nearest(points: np.ndarray, to: np.ndarray) -> int:
    return int(np.argmin(np.linalg.norm(points - to, axis=1)))


def _cut_at(points: np.ndarray, length: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a curve up to a length, and the rest of it, which begins with the same point."""
    along = lengths_along(points)
    if length >= along[-1]:
        return points, points[-1:]
    at = np.array([np.interp(length, along, points[:, a]) for a in range(3)])
    upto = np.searchsorted(along, length)
    return np.vstack([points[:upto], at]), np.vstack([at, points[upto:]])


def _length_within(name: str, length: float) -> float:
    low, high = LENGTHS[name]
    return float(np.clip(length, low, high))
