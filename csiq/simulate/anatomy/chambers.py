"""The four chambers: cavities that hold a given volume of blood, and walls around them.

Later shapes are painted over earlier ones, which is how the right ventricle comes to be a crescent: the left
ventricle, septum included, is painted over it. The ventricles end at the valves' plane.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from csiq.simulate.anatomy.heart import HeartSize
from csiq.simulate.anatomy.raster import pack, paint
from csiq.simulate.anatomy.shapes import Ellipsoid, Envelope, Grid, Plane, Shape

RV_WALL, ATRIAL_WALL = 3.5, 2.5
_APICAL = 0.65  # of the left ventricle's wall is left at the apex
_VALVES = -5.0  # u of the plane of the valves
_FLOOR = 3.5  # mm of fibrous tissue between atria and ventricles
_MELT = {"RV": 12.0, "LA": 9.0, "RA": 10.0}
_USUAL_WALL, _USUAL_RADIUS = 9.0, 25.0  # mm of the left ventricle
_VOXEL = 2.5  # mm of the grid on which volumes are reached
NAMES = ("LV", "RV", "LA", "RA")


@dataclass(frozen=True)
class Chambers:
    """Cavities and walls, in the order LV, RV, LA, RA.

    Attributes
    ----------
    cavities, walls : dict of Envelope
        A wall is painted first, its cavity over it; of the cavity, papillary muscles, trabeculae and
        leaflets take their share, and the left ventricle takes its share of the right.
    openings : tuple of Envelope
        Blood of the atria in the orifices of the mitral and tricuspid valves.
    """

    cavities: dict[str, Envelope]
    walls: dict[str, Envelope]
    openings: tuple[Envelope, ...]

    @property
    def shapes(self) -> list[Shape]:
        """Everything in the order of painting."""
        painted: list[Shape] = []
        for name in ("RA", "LA", "RV", "LV"):
            painted += [self.walls[name], self.cavities[name]]
        return painted + list(self.openings)


def chambers(size: HeartSize, inside: Callable[[Chambers], Sequence[Shape]] = lambda _: ()) -> Chambers:
    """Return the chambers of a heart, each holding its volume.

    Parameters
    ----------
    inside : function of Chambers to Shapes
        What is painted over the cavities and takes from their blood.
    """
    factors = dict.fromkeys(NAMES, 1.0)
    made = _make(size, factors)
    for _ in range(3):
        volumes = volumes_ml(size, made.shapes + list(inside(made)))
        factors = {n: f * (size.volumes[n] / volumes[n]) ** _EXPONENT[n] for n, f in factors.items()}
        made = _make(size, factors)
    return made


# A crescent grows faster than the cube of its semi-axes.
_EXPONENT = {"LV": 0.40, "RV": 0.20, "LA": 0.36, "RA": 0.36}


def _make(size: HeartSize, factors: dict[str, float]) -> Chambers:
    wall = size.wall / size.scale
    # a larger left ventricle pushes what lies beside it
    push = _USUAL_RADIUS * (factors["LV"] - 1) + 0.8 * (wall - _USUAL_WALL)
    cavities = {
        "LV": _left_ventricle(size, factors["LV"]),
        "RV": _right_ventricle(size, factors["RV"], push),
        "LA": _left_atrium(size, factors["LA"]),
        "RA": _right_atrium(size, factors["RA"], push),
    }
    walls = {name: _wall(size, name, cavity) for name, cavity in cavities.items()}
    return Chambers(cavities, walls, _openings(size, push))


def _left_ventricle(size: HeartSize, by: float) -> Envelope:
    egg = size.egg("arterial blood", (10, 0, 0), np.array([68, 25, 25, 45]) * by)
    return Envelope(
        "arterial blood", (egg,), planes=(_valve_plane(size),), rounding=14 * size.scale, name="LV"
    )


def _right_ventricle(size: HeartSize, by: float, push: float) -> Envelope:
    blood = "venous blood"
    # its axis leans toward the apex of the left ventricle, round which it wraps
    ends = np.array([[-16.0, 37.0 + push, -8.0], [70.0, 17.0 + 0.6 * push, -4.0]])
    body = size.egg_along(blood, _longer(ends, by), (41 * by, 33 * by))
    inflow = size.egg(blood, (8, 40 + push, -17), np.array([30, 22, 22, 24]) * by)
    outflow = size.egg_along(blood, np.array([[40, 34 + push, 8], [3, 18, 45]]), (15 * by, 16 * by))
    return Envelope(
        blood,
        (body, inflow, outflow),
        blend=_MELT["RV"] * size.scale,
        planes=(_valve_plane(size),),
        rounding=6 * size.scale,
        name="RV",
    )


def _left_atrium(size: HeartSize, by: float) -> Envelope:
    blood = "arterial blood"
    body = _upright_egg(size, blood, (10, -26, 10), np.array([25, 16.5, 29]) * by)
    vestibule = size.egg(blood, (-17, -10, -5), np.array([12, 15, 17, 14]) * by)
    appendage = size.egg_along(blood, np.array([[-24, -30, 10], [-17, -14, 44]]), (7, 10))
    return Envelope(blood, (body, vestibule, appendage), blend=_MELT["LA"] * size.scale, name="LA")


def _right_atrium(size: HeartSize, by: float, push: float) -> Envelope:
    blood = "venous blood"
    body = _upright_egg(size, blood, (-4, 3, 43), np.array([28, 22, 21]) * by)
    vestibule = size.egg(blood, (-15, 40 + push, -18), np.array([12, 18, 19, 14]) * by)
    appendage = size.egg_along(blood, np.array([[-24, 36, 8], [-14, 50, 32]]), (8, 13))
    return Envelope(blood, (body, vestibule, appendage), blend=_MELT["RA"] * size.scale, name="RA")


def _longer(ends: np.ndarray, by: float) -> np.ndarray:
    return np.asarray(ends.mean(axis=0) + by * (ends - ends.mean(axis=0)))


def _openings(size: HeartSize, push: float) -> tuple[Envelope, ...]:
    cut = Plane(size.place(np.array([_VALVES + 1, 0, 0])), size.frame[0])
    mitral = size.egg("arterial blood", (_VALVES - 3, -10, -4), np.array([12, 13, 16, 10]))
    tricuspid = size.egg("venous blood", (_VALVES - 3, 42 + push, -18), np.array([12, 15, 18, 10]))
    return (
        Envelope("arterial blood", (mitral,), planes=(cut,), name="LA"),
        Envelope("venous blood", (tricuspid,), planes=(cut,), name="RA"),
    )


def _wall(size: HeartSize, name: str, cavity: Envelope) -> Envelope:
    if name != "LV":
        return cavity.grown(ATRIAL_WALL if name[1] == "A" else RV_WALL, "myocardium", f"{name} wall")
    egg = cavity.parts[0]
    outer = replace(egg, semi=egg.semi + size.wall * np.array([_APICAL, 1.0, 1.0, 1.0]))
    base = Plane(cavity.planes[0].point + _FLOOR * cavity.planes[0].normal, cavity.planes[0].normal)
    return replace(cavity, tissue="myocardium", parts=(outer,), planes=(base,), rounding=16.0, name="LV wall")


def _valve_plane(size: HeartSize) -> Plane:
    return Plane(size.place(np.array([_VALVES, 0, 0])), -size.frame[0])


def _upright_egg(
    size: HeartSize, tissue: str, centre: tuple[float, float, float], semi: np.ndarray
) -> Ellipsoid:
    lengths = size.scale * np.append(semi, semi[0])
    return Ellipsoid(tissue, size.upright(np.array(centre)), lengths, size.rotation.T, 1.0)


def volumes_ml(size: HeartSize, shapes: Sequence[Shape]) -> dict[str, float]:
    """Return the blood that painting leaves in each chamber: what shapes of its name show."""
    packed = pack(shapes)
    n = int(np.ceil(150 * size.scale / _VOXEL))
    grid = Grid.cube(n, n * _VOXEL, tuple(size.place(np.array([15.0, 12.0, -2.0]))))
    cell = _VOXEL**3 / 1000
    sums = {}
    for name in NAMES:
        share = paint(packed, [float(shape.name == name) for shape in shapes], grid, threads=1)
        sums[name] = float(share.sum(dtype=np.float64)) * cell
    return sums
