"""What lies in the ventricles: papillary muscles, trabeculae, and the leaflets of the valves.

Given in the heart frame of :mod:`csiq.simulate.anatomy.heart`, for the ventricles of a heart of scale 1.
"""

from __future__ import annotations

import numpy as np

from csiq.simulate.anatomy.chambers import Chambers
from csiq.simulate.anatomy.heart import HeartSize
from csiq.simulate.anatomy.shapes import Ellipsoid, Envelope, Plane, Shape, Tube
from csiq.simulate.anatomy.vessels import root_frame

_LEAFLET = 1.2  # mm
_FAR = 1.05  # trabeculae lie on the cavity's surface, a little outside, so that none floats
# Directions from the axis of the left ventricle toward the papillary muscles, deg from v toward w.
_PAPILLARY = {"anterolateral papillary muscle": 128.0, "posteromedial papillary muscle": 238.0}


def inner_shapes(size: HeartSize, chambers: Chambers) -> list[Shape]:
    """Return muscles and leaflets, to be painted over the blood of the chambers."""
    lv = chambers.cavities["LV"].parts[0]
    rng = size.rng(1)
    shapes: list[Shape] = [_papillary(size, lv, name, angle) for name, angle in _PAPILLARY.items()]
    shapes += [_trabecula(size, lv, rng) for _ in range(7)]
    shapes += _right_strands(size, chambers, rng)
    return shapes + _leaflets(size, chambers)


def outflow(size: HeartSize) -> Envelope:
    """Return the left ventricle's way to the aortic valve."""
    way = size.egg_along("arterial blood", np.array([[20, 3, 2], [-22, 21, 18]]), (10.5, 10.5))
    annulus, axes = root_frame(size)
    return Envelope("arterial blood", (way,), planes=(Plane(annulus, axes[0]),), name="LV")


def _on_surface(size: HeartSize, egg: Ellipsoid, u: float, angle: float, share: float) -> np.ndarray:
    """Return the point (u, v, w) at ``share`` of the way from an egg's axis to its surface."""
    centre = (egg.centre - size.base) @ np.linalg.inv(size.frame) / size.scale
    semi = egg.semi / size.scale
    ahead = (u - centre[0]) / (semi[0] if u > centre[0] else semi[3])
    radius = share * np.sqrt(max(1 - ahead**2, 0.0))
    return centre * [0, 1, 1] + [u, radius * semi[1] * np.cos(angle), radius * semi[2] * np.sin(angle)]


def _papillary(size: HeartSize, lv: Ellipsoid, name: str, angle: float) -> Tube:
    """Return a muscle that rises from the wall's middle toward the mitral valve."""
    angle = np.deg2rad(angle)
    ways = [(56, 1.0), (46, 0.86), (36, 0.70), (27, 0.60)]
    knots = np.array([_on_surface(size, lv, u, angle, share) for u, share in ways])
    return size.strand("myocardium", knots, size.scale * np.array([3.0, 4.6, 4.2, 2.4]), name)


def _trabecula(size: HeartSize, lv: Ellipsoid, rng: np.random.Generator) -> Tube:
    angle, twist = rng.uniform(0, 2 * np.pi), rng.uniform(-0.5, 0.5)
    low, high = rng.uniform(62, 72), rng.uniform(30, 50)
    ways = [(high, 1.0, 0.0), ((low + high) / 2, 0.92, twist / 2), (low, _FAR, twist)]
    knots = np.array([_on_surface(size, lv, u, angle + turn, share) for u, share, turn in ways])
    return size.strand("myocardium", knots, np.array([1.0, 1.6, 1.4]), "trabecula")


def _right_strands(size: HeartSize, chambers: Chambers, rng: np.random.Generator) -> list[Shape]:
    """Return the moderator band, from the septum to the free wall, and trabeculae."""
    body = chambers.cavities["RV"].parts[0]
    lv = chambers.walls["LV"].parts[0]
    septal = _on_surface(size, lv, 40, np.deg2rad(10), 0.97)
    free = _on_surface(size, body, 50, np.deg2rad(-5), 1.0)
    middle = (septal + free) / 2 + [4, 0, 0]
    strands: list[Shape] = [
        size.strand(
            "myocardium", np.array([septal, middle, free]), np.array([2.4, 2.0, 2.4]), "moderator band"
        )
    ]
    for _ in range(6):
        angle, twist = np.deg2rad(rng.uniform(-75, 60)), rng.uniform(-0.4, 0.4)
        ways = [(rng.uniform(20, 38), 1.0, 0.0), (48, 0.93, twist / 2), (60, 1.0, twist)]
        knots = np.array([_on_surface(size, body, u, angle + turn, share) for u, share, turn in ways])
        strands.append(size.strand("myocardium", knots, np.array([1.0, 1.7, 1.2]), "trabecula"))
    return strands


def _leaflets(size: HeartSize, chambers: Chambers) -> list[Shape]:
    """Return the leaflets of mitral and tricuspid valve, half open: funnels into the ventricles."""
    mitral, tricuspid = chambers.openings
    return [
        _funnel(size, mitral, (17, 7.5), "mitral leaflets"),
        _funnel(size, tricuspid, (16, 7.0), "tricuspid leaflets"),
    ]


def _funnel(size: HeartSize, opening: Envelope, length: tuple[float, float], name: str) -> Envelope:
    """Return a sheet on an egg around an orifice, between the valve's plane and the leaflets' edge.

    Parameters
    ----------
    length : (float, float)
        Of the egg, and of the part of it that is there, mm toward the apex.
    """
    orifice, cut = opening.parts[0], opening.planes[0]
    ahead = size.frame[0]
    centre = orifice.centre + ((cut.point - orifice.centre) @ ahead) * ahead
    semi = orifice.semi.copy()
    semi[0] = semi[3] = size.scale * length[0]
    egg = Ellipsoid("myocardium", centre, semi, orifice.axes, 1.0)
    planes = (Plane(centre, -ahead), Plane(centre + size.scale * length[1] * ahead, ahead))
    return Envelope("myocardium", (egg,), planes=planes, sheet=_LEAFLET, name=name)
