"""The heart put together, in the order of painting."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from csiq.simulate.anatomy.chambers import ATRIAL_WALL, RV_WALL, Chambers, chambers
from csiq.simulate.anatomy.coronaries import coronaries, coronary_sinus
from csiq.simulate.anatomy.frame import BodySize
from csiq.simulate.anatomy.heart import HeartSize
from csiq.simulate.anatomy.raster import Packed, pack
from csiq.simulate.anatomy.shapes import Ellipsoid, Envelope, Shape, Tube
from csiq.simulate.anatomy.valves import inner_shapes, outflow
from csiq.simulate.anatomy.vessels import Vessels, aortic_root, great_vessels

_GROOVE_FILL = 12.0  # mm: epicardial fat evens out the grooves in which the coronaries run
_PERICARDIUM = 1.2  # mm
_SLEEVE = 2.6  # mm of fat around an artery


@dataclass(frozen=True)
class Heart:
    """All shapes of a heart at end-expiration.

    Attributes
    ----------
    chambers : Chambers
    vessels : Vessels
    arteries : tuple of Tube
        Coronaries: RCA, LAD, LCX, LM and branches.
    fat : tuple of Shape
        The heart with its fat, inside the pericardium, and the fat around arteries.
    shapes : tuple of Shape
        What moves with the heart, in the order of painting.
    """

    chambers: Chambers
    vessels: Vessels
    arteries: tuple[Tube, ...]
    fat: tuple[Shape, ...]
    shapes: tuple[Shape, ...]


def build_heart(size: HeartSize, body: BodySize) -> Heart:
    """Return the heart of a size in a body, whose spine the aorta runs along."""
    root = aortic_root(size)
    made = chambers(size, lambda c: [*root, outflow(size), *inner_shapes(size, c)])
    vessels = great_vessels(size, body)
    walls = outer_walls(made, vessels, root)
    arteries = coronaries(size, walls)
    layer = _fat(size, made)
    fat: tuple[Shape, ...] = (layer, *(_sleeve(artery) for artery in arteries))
    wall, blood, *cusps = root
    shapes: list[Shape] = [replace(layer, tissue="muscle", sheet=_PERICARDIUM, name="pericardium"), *fat]
    shapes += [*vessels.near, *made.shapes, wall, blood, outflow(size), *vessels.mouths, *cusps]
    shapes += [*inner_shapes(size, made), coronary_sinus(size, walls), *arteries]
    return Heart(made, vessels, arteries, fat, tuple(shapes))


def outer_walls(made: Chambers, vessels: Vessels, root: list[Shape]) -> Packed:
    """Return what coronaries lie on, packed: walls of chambers, aortic root and pulmonary trunk."""
    trunks = [s for s in vessels.near if s.name in ("pulmonary trunk wall", "aorta wall")]
    return pack([*made.walls.values(), root[0], *trunks])


def _fat(size: HeartSize, made: Chambers) -> Envelope:
    rv, la, ra = (made.cavities[name].parts for name in ("RV", "LA", "RA"))
    outer = made.walls["LV"].parts[0]
    # behind the plane of the valves the left ventricle's egg is not there: let it end soon
    short = replace(outer, semi=np.append(outer.semi[:3], 44.0 * size.scale))
    parts: list[Ellipsoid] = [short, *(part.grown(RV_WALL, "fat") for part in rv)]
    parts += [la[0].grown(ATRIAL_WALL, "fat"), ra[0].grown(ATRIAL_WALL, "fat")]
    return Envelope("fat", tuple(parts), size.fat, _GROOVE_FILL, name="epicardial fat")


def _sleeve(artery: Tube) -> Tube:
    """Return the fat that surrounds an artery, so that none lies bare where the layer is thin."""
    return replace(artery, tissue="fat", radius=artery.radius + _SLEEVE, name=f"{artery.name} fat")
