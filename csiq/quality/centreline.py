"""Centrelines of vessels in an image: even steps along them, cross-sections, their place refined rigidly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from csiq.errors import ShapeError

#: Step along a centreline, mm.
STEP = 1.0
#: A centreline moves no further than this from where the truth has it, mm.
LARGEST_SHIFT = 3.0
#: Directions in which a cross-section is looked at.
N_DIRECTIONS = 8
# correlation that a millimetre of shift must gain: the best of many shifts gains some in noise alone
_PRICE = 0.02


@dataclass(frozen=True)
class Vessel:
    """A vessel in the frame of an image.

    Attributes
    ----------
    points : float64 array, (n, 3)
        Centreline from the ostium on, mm, z y x; voxel ``i`` of axis ``a`` lies at ``i * voxel_size[a]``.
    radius : float64 array, (n,)
        mm.

    Raises
    ------
    ShapeError
        If there are fewer than two points, or points and radii do not fit together.
    """

    points: np.ndarray
    radius: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.points)
        if self.points.shape != (n, 3) or self.radius.shape != (n,) or n < 2:
            raise ShapeError(
                f"points {self.points.shape} and radius {self.radius.shape} make no vessel",
                hint="expected (n, 3) and (n,), n >= 2",
            )
        if not (np.isfinite(self.points).all() and np.all(self.radius > 0)):
            raise ShapeError("points must be finite and radii positive", field="vessels")

    @property
    def length(self) -> float:
        """Length of the centreline, mm."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())


@dataclass(frozen=True)
class Centreline:
    """A vessel in even steps, with a frame that follows it without twisting.

    Attributes
    ----------
    points : float64 array, (n, 3)
        ``STEP`` mm apart.
    radius : float64 array, (n,)
        mm.
    directions : float64 array, (n, N_DIRECTIONS, 3)
        Unit vectors across the vessel, evenly round it; direction k of one point continues that of the last.
    """

    points: np.ndarray
    radius: np.ndarray
    directions: np.ndarray

    def moved(self, shift: np.ndarray, turn: np.ndarray) -> Centreline:
        """Return the centreline shifted (mm) and turned about its middle (rotation vector, rad)."""
        rotation = Rotation.from_rotvec(turn)
        middle = self.points.mean(axis=0)
        points = rotation.apply(self.points - middle) + middle + shift
        turned = rotation.apply(self.directions.reshape(-1, 3)).reshape(self.directions.shape)
        return Centreline(points, self.radius, turned)


def centreline(vessel: Vessel) -> Centreline:
    """Return a vessel's centreline in steps of ``STEP`` mm, its polygon's corners rounded (SD 1.5 mm)."""
    steps = np.linalg.norm(np.diff(vessel.points, axis=0), axis=1)
    place = np.concatenate([[0.0], np.cumsum(steps)])
    keep = np.concatenate([[True], steps > 0])
    n = max(int(place[-1] / STEP), 1) + 1
    even = np.arange(n) * STEP
    points = np.stack([np.interp(even, place[keep], vessel.points[keep, a]) for a in range(3)], axis=1)
    radius = np.interp(even, place[keep], vessel.radius[keep])
    smooth = _rounded(points)
    tangent = np.gradient(smooth, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    return Centreline(smooth, radius, _directions(tangent))


def _rounded(points: np.ndarray) -> np.ndarray:
    """Return points smoothed along the line; odd extension keeps its ends where they are."""
    sigma, pad = 1.5 / STEP, 8
    if len(points) <= pad:
        return points
    first, last = 2 * points[0] - points[pad:0:-1], 2 * points[-1] - points[-2 : -pad - 2 : -1]
    long = np.concatenate([first, points, last])
    return ndimage.gaussian_filter1d(long, sigma, axis=0)[pad:-pad]


def _directions(tangent: np.ndarray) -> np.ndarray:
    """Carry a frame along the tangents by the smallest rotations."""
    side = np.cross(tangent[0], np.eye(3)[np.argmin(np.abs(tangent[0]))])
    frames = np.empty((len(tangent), 2, 3))
    for i, t in enumerate(tangent):
        side = side - (side @ t) * t
        side /= np.linalg.norm(side)
        frames[i] = side, np.cross(t, side)
    angle = 2 * np.pi * np.arange(N_DIRECTIONS) / N_DIRECTIONS
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.einsum("kc,ncx->nkx", circle, frames)


@dataclass(frozen=True)
class Field:
    """A volume that can be asked for its value anywhere.

    Attributes
    ----------
    values : float32 array, (z, y, x)
        Voxels, or the coefficients of cubic B-splines through them.
    voxel_size : float64 array, (3,)
        mm; voxel 0 lies at 0.
    order : int
        0 for the nearest voxel, 1 for linear interpolation, 3 for splines.
    """

    values: np.ndarray
    voxel_size: np.ndarray
    order: int

    @classmethod
    def cubic(cls, volume: np.ndarray, voxel_size: np.ndarray) -> Field:
        """Return a field by cubic splines: linear interpolation would widen the edges it is to measure."""
        values = ndimage.spline_filter(volume, order=3, output=np.float32, mode="mirror")
        return cls(values, voxel_size, 3)

    def at(self, points: np.ndarray) -> np.ndarray:
        """Return the values at points (..., 3) in mm; beyond the volume it is mirrored."""
        flat = (points / self.voxel_size).reshape(-1, 3).T
        found = ndimage.map_coordinates(self.values, flat, order=self.order, mode="mirror", prefilter=False)
        return np.asarray(found).reshape(points.shape[:-1])

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Return whether points (..., 3) in mm lie within the volume."""
        index = points / self.voxel_size
        return np.all((index >= 0) & (index <= np.array(self.values.shape) - 1), axis=-1)


def refine(image: Field, truth: Field, line: Centreline) -> Centreline:
    """Move a centreline rigidly to where the image looks most like the truth round it.

    No point goes further than ``LARGEST_SHIFT``. The measure is the correlation of image and truth in discs
    across the vessel, less a small price for the way: the best of all shifts in steps of 1 mm, then a search
    over shifts and turns that halves its steps.

    Parameters
    ----------
    image, truth : Field
        Magnitudes.
    line : Centreline
        Where the truth has the vessel.
    """
    spots = _discs(line)
    expected = truth.at(spots)
    middle = line.points.mean(axis=0)
    away = np.linalg.norm(line.points - middle, axis=1)
    arm = max(float(np.sqrt(np.mean(away**2))), 1.0)
    reach = float(away.max()) / arm

    def gain(pose: np.ndarray) -> float:
        # shift in mm, turn as the way of a point at the radius of gyration in mm: equal steps are equal ways
        way = float(np.linalg.norm(pose[:3]) + np.linalg.norm(pose[3:]) * reach)
        if way > LARGEST_SHIFT:
            return -np.inf
        moved = (spots - middle) @ Rotation.from_rotvec(pose[3:] / arm).as_matrix().T
        return _correlation(image.at(moved + middle + pose[:3]), expected) - _PRICE * way

    pose = _search(gain)
    return line.moved(pose[:3], pose[3:] / arm)


def _discs(line: Centreline) -> np.ndarray:
    """Return points of discs across every second step, (n_points, 3)."""
    points, radius, directions = line.points[::2], line.radius[::2], line.directions[::2]
    reach = [0.5 * radius, radius, radius + 1.5, radius + 3.0]
    rings = [points[:, None] + directions * r[:, None, None] for r in reach]
    return np.concatenate([points[:, None], *rings], axis=1).reshape(-1, 3)


def _correlation(found: np.ndarray, expected: np.ndarray) -> float:
    a, b = found - found.mean(), expected - expected.mean()
    power = float((a @ a) * (b @ b))
    return float(a @ b) / np.sqrt(power) if power > 0 else 0.0


def _search(gain: Callable[[np.ndarray], float]) -> np.ndarray:
    """Return the pose (6,) with the largest gain found; the same one at every call."""
    grid = np.arange(-np.floor(LARGEST_SHIFT), LARGEST_SHIFT + 1)
    starts = np.zeros((len(grid) ** 3, 6))
    starts[:, :3] = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), axis=-1).reshape(-1, 3)
    gains = [gain(pose) for pose in starts]
    pose, best = starts[int(np.argmax(gains))], max(gains)
    step = 0.5
    while step > 0.1:
        trials = [pose + sign * step * axis for axis in np.eye(6) for sign in (1, -1)]
        gains = [gain(trial) for trial in trials]
        if max(gains) > best + 1e-6:
            pose, best = trials[int(np.argmax(gains))], max(gains)
        else:
            step /= 2
    return pose
