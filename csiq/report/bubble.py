"""All coronary arteries on one smooth surface, unrolled: the soap bubble.

References
----------
Etienne A, Botnar RM, van Muiswinkel AMC, Boesiger P, Manning WJ, Stuber M. "Soap-Bubble" visualization and
quantitative analysis of 3D coronary magnetic resonance angiograms. Magn Reson Med 2002;48:658-666.
Badoiu M, Clarkson KL. Smaller core-sets for balls. Proc ACM-SIAM Symp Discrete Algorithms 2003;801-802.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.interpolate import RBFInterpolator

from csiq.quality.centreline import Vessel, centreline
from csiq.report.reformat import Flat, Scene

#: The main coronary arteries.
MAIN = ("RCA", "LAD", "LCX", "LM")
#: Samples on the surface, mm; how far it is shown beyond the vessels, and over how far it fades.
SAMPLE, MARGIN, FADE = 0.6, 16.0, 4.0
#: Half the thickness of the layer whose brightest voxel is shown, mm.
HALF_LAYER = 1.5
#: Angle from the middle direction beyond which a vessel is left out, and up to which the rest may lie,
#: degrees.
_BACK, _ROUND = 115.0, 80.0
#: The surface is so smooth that every so many-th sample tells it.
_COARSE = 6


@dataclass(frozen=True)
class Viewpoint:
    """From where the vessels are seen: the same for all phases, or they would not compare.

    Attributes
    ----------
    names : tuple of str
        Vessels that are shown; those that run round the back of the others are not.
    middle : float array, (3,)
        RAS mm, z y x, of the phase it was made for.
    of : float array, (3,)
        The mean place of the vessels then: the middle moves with it.
    frame : float array, (3, 3)
        Down, right and outward as columns.
    """

    names: tuple[str, ...]
    middle: np.ndarray
    of: np.ndarray
    frame: np.ndarray


def viewpoint(vessels: Mapping[str, Vessel]) -> Viewpoint:
    """Return from where vessels are seen best: the middle direction, no vessel further round than 80 degrees.

    Vessels that run round the back of the others are left out, the main ones last; then the middle is moved
    back as far as it must.
    """
    lines = {name: centreline(vessel).points for name, vessel in vessels.items()}
    while len(lines) > 1 and (farthest := _round_the_back(lines)) is not None:
        del lines[farthest]
    every = np.concatenate(list(lines.values()))
    middle, frame = _seen_from(every)
    return Viewpoint(tuple(lines), middle, every.mean(axis=0), frame)


def bubble(scene: Scene, vessels: Mapping[str, Vessel], view: Viewpoint) -> Flat:
    """Return vessels on one smooth surface through their centrelines, laid flat.

    The surface is a distance from the middle of the vessels for each direction, a thin-plate spline through
    the centrelines. It is unrolled about the middle direction with true distances and directions from there
    (azimuthal equidistant, as maps of a pole), on a sphere of the vessels' mean distance; elsewhere distances
    are approximate. Shown is the brightest value of a layer of 3 mm, within 16 mm of a vessel: further out
    nothing holds the surface.

    Parameters
    ----------
    scene : Scene
    vessels : mapping of str to Vessel
    view : Viewpoint
    """
    lines = {name: centreline(vessels[name]).points for name in view.names if name in vessels}
    every = np.concatenate(list(lines.values()))
    middle = view.middle + every.mean(axis=0) - view.of
    away = np.linalg.norm(every - middle, axis=1)
    reach = float(away.mean())
    flat = {name: _unrolled((points - middle) @ view.frame, reach) for name, points in lines.items()}
    known = np.concatenate(list(flat.values()))
    low, high = known.min(axis=0) - MARGIN, known.max(axis=0) + MARGIN + SAMPLE
    rows, columns = (np.arange(a, b, SAMPLE) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
    distance, ways = _distance(known, away, grid), _rolled(grid, reach) @ view.frame.T
    layers = [
        scene.at(middle + (distance + depth)[..., None] * ways)
        for depth in np.linspace(-HALF_LAYER, HALF_LAYER, 5)
    ]
    shown = np.max(layers, axis=0) * _near(known, low, grid.shape[:2])
    ends = {name: tuple(((points[-1] - low) / SAMPLE).tolist()) for name, points in flat.items()}
    return Flat(shown.astype(np.float32), SAMPLE, ends)


def _near(known: np.ndarray, low: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return 1 close to the vessels, 0 far from them."""
    far = np.ones(shape, dtype=bool)
    far[tuple(np.round((known - low) / SAMPLE).astype(int).T)] = False
    away = ndimage.distance_transform_edt(far) * SAMPLE
    return np.asarray(np.clip((MARGIN - away) / FADE, 0, 1))


def _round_the_back(lines: Mapping[str, np.ndarray]) -> str | None:
    """Return the vessel without which the others lie closest together, if one runs too far round the back.

    Main ones go last.
    """
    if _furthest(lines.values()) >= np.cos(np.radians(_BACK)):
        return None
    side = [name for name in lines if name not in MAIN] or list(lines)
    return max(side, key=lambda name: _furthest([p for key, p in lines.items() if key != name]))


def _furthest(lines: Iterable[np.ndarray]) -> float:
    """Return the cosine of the smallest cap round all points, as seen from their middle."""
    points = np.concatenate(list(lines))
    away = points - _middle(points)
    return float((_units(away) @ _cap(away)).min())


def _seen_from(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle that the surface is seen from, and down, right and outward as columns."""
    middle = _middle(points)
    for _ in range(30):
        outward = _cap(points - middle)
        if (_units(points - middle) @ outward).min() >= np.cos(np.radians(_ROUND)):
            break
        middle = middle - 3.0 * outward
    # from the front, feet are down; from the head, the front is
    down = np.array([-1.0, 1.0, 0.0])
    down = down - (down @ outward) * outward
    if np.linalg.norm(down) < 0.1:
        down = np.array([-1.0, 0.0, 0.0]) + outward[0] * outward
    down /= np.linalg.norm(down)
    # seen from outside, with z y x: from the front this is the patient's left
    return middle, np.stack([down, np.cross(down, outward), outward], axis=1)


def _middle(points: np.ndarray) -> np.ndarray:
    """Return the middle of the sphere that fits points best, within their box."""
    columns = np.column_stack([2 * points, np.ones(len(points))])
    found, *_ = np.linalg.lstsq(columns, (points**2).sum(axis=1), rcond=None)
    return np.clip(found[:3], points.min(axis=0), points.max(axis=0))


def _units(points: np.ndarray) -> np.ndarray:
    return np.asarray(points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9))


def _cap(points: np.ndarray) -> np.ndarray:
    """Return the axis of the smallest cap that holds the directions of points (Badoiu and Clarkson 2003)."""
    ways = _units(points)
    outward = ways.mean(axis=0)
    for step in range(1, 200):
        outward /= max(float(np.linalg.norm(outward)), 1e-9)
        outward = outward + (ways[np.argmin(ways @ outward)] - outward) / (step + 1)
    return np.asarray(outward / max(float(np.linalg.norm(outward)), 1e-9))


def _unrolled(points: np.ndarray, reach: float) -> np.ndarray:
    """Return places (down, right) in mm of points in the frame."""
    across = np.linalg.norm(points[:, :2], axis=1)
    angle = np.arctan2(across, points[:, 2])
    return reach * angle[:, None] * points[:, :2] / np.maximum(across, 1e-9)[:, None]


def _rolled(places: np.ndarray, reach: float) -> np.ndarray:
    """Return the directions, in the frame, of places (..., 2) in mm."""
    angle = np.linalg.norm(places, axis=-1, keepdims=True) / reach
    side = np.sinc(angle / np.pi) / reach * places
    return np.concatenate([side, np.cos(angle)], axis=-1)


def _distance(known: np.ndarray, values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return the distance of the surface from the middle at places (down, right)."""
    some = slice(None, None, max(1, len(known) // 300))
    spline = RBFInterpolator(known[some], values[some], smoothing=5.0, kernel="thin_plate_spline")
    coarse = grid[::_COARSE, ::_COARSE]
    found = spline(coarse.reshape(-1, 2)).reshape(coarse.shape[:2])
    found = np.clip(found, 0.6 * values.min(), 1.2 * values.max())
    zoomed = ndimage.map_coordinates(
        found,
        np.meshgrid(*(np.arange(n) / _COARSE for n in grid.shape[:2]), indexing="ij"),
        order=1,
        mode="nearest",
    )
    return np.asarray(zoomed)
