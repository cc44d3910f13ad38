"""Paint shapes on a grid, with the share of each voxel that a shape fills.

The share is analytic: a plane's through a voxel for a surface, a disk's for a tube, which keeps the
cross-section of vessels thinner than a voxel. Shapes are painted one over the other. The kernels release
the interpreter's lock and each thread paints its own slices, so the result does not depend on how many
there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from csiq.arrays import default_threads
from csiq.errors import ShapeError
from csiq.simulate.anatomy.kernels import (
    COLUMN,
    ELLIPSOID,
    ENVELOPE,
    ROW,
    TUBE,
    paint_slab,
    solid_gaps,
    tube_gaps,
)
from csiq.simulate.anatomy.shapes import Column, Ellipsoid, Envelope, Grid, Plane, Shape, Tube
from csiq.simulate.motion import Affine

_STILL = Affine.identity()


@dataclass(frozen=True)
class Packed:
    """Shapes as plain numbers, displaced.

    Attributes
    ----------
    kinds : int64 array, (n_shapes,)
    spans : int64 array, (n_shapes, 2)
        First row and number of rows of each shape.
    rows : float64 array, (n_rows, 18)
        Column: centre, semi, power. Tube: one row a point. Ellipsoid and envelope: thickness, blend,
        rounding, sheet and number of parts; then a row a part (centre, the matrix that makes it the unit
        ball, what its backward half is shorter by, half extents, smallest and largest semi-axis); then a
        row a plane (point, normal).
    """

    kinds: np.ndarray
    spans: np.ndarray
    rows: np.ndarray


def pack(shapes: Sequence[Shape], heart: Affine = _STILL, liver: Affine = _STILL) -> Packed:
    """Return the shapes where breathing has moved them, for :func:`paint`.

    Parameters
    ----------
    heart, liver : Affine
        Where heart and diaphragm have gone.
    """
    kinds, spans, blocks = [], [], []
    start = 0
    for shape in shapes:
        kind, block = _rows_of(shape, heart, liver)
        kinds.append(kind)
        spans.append((start, len(block)))
        blocks.append(block)
        start += len(block)
    rows = np.concatenate(blocks) if blocks else np.zeros((0, ROW))
    return Packed(np.array(kinds, np.int64), np.array(spans, np.int64).reshape(-1, 2), rows)


def paint(
    packed: Packed,
    values: Sequence[float],
    grid: Grid,
    *,
    threads: int | None = None,
    over: np.ndarray | None = None,
) -> np.ndarray:
    """Return the image of packed shapes.

    Parameters
    ----------
    values : floats, (n_shapes,)
        What each shape is painted with.
    threads : int, optional
        The result does not depend on it.
    over : float32 array, ``grid.shape``, optional
        An image to paint on; it is copied. Zeros by default.

    Returns
    -------
    float32 array, ``grid.shape``

    Raises
    ------
    ShapeError
        If ``over`` is not of the grid's shape.
    """
    if over is not None and over.shape != grid.shape:
        raise ShapeError(f"an image of {over.shape} cannot be painted on a grid of {grid.shape}")
    image = np.zeros(grid.shape, np.float32) if over is None else np.array(over, np.float32, order="C")
    amounts = np.array(values, dtype=np.float32)
    step = np.array(grid.voxel_size)

    def slab(start: int, stop: int) -> None:
        paint_slab(
            image[start:stop], start, grid.origin, step, packed.kinds, packed.spans, packed.rows, amounts
        )

    workers = threads or default_threads()
    cuts = np.linspace(0, grid.shape[0], min(4 * workers, grid.shape[0]) + 1).astype(int)
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(slab, cuts[:-1], cuts[1:]))
    return image


def distances(packed: Packed, points: np.ndarray) -> np.ndarray:
    """Return how far points lie outside shapes, mm; negative inside.

    To first order for ellipsoids and envelopes, exact for tubes. Columns are refused.

    Parameters
    ----------
    points : float array, (n, 3)
        mm, z y x.

    Returns
    -------
    float64 array, (n_shapes, n)

    Raises
    ------
    ShapeError
        If a shape is a column.
    """
    points = np.ascontiguousarray(points, np.float64)
    found = np.empty((len(packed.kinds), len(points)))
    for number, (kind, (start, count)) in enumerate(zip(packed.kinds, packed.spans, strict=True)):
        rows = packed.rows[start : start + count]
        if kind == COLUMN:
            raise ShapeError("a column has no distance")
        found[number] = tube_gaps(rows, points) if kind == TUBE else solid_gaps(rows, points)
    return found


def displaced(tube: Tube, heart: Affine, liver: Affine) -> np.ndarray:
    """Return where the points of a tube have gone, mm z y x."""
    still = tube.points
    by_heart = tube.follow_heart[:, None] * (heart(still) - still)
    return np.asarray(still + by_heart + tube.follow_liver[:, None] * (liver(still) - still))


def _rows_of(shape: Shape, heart: Affine, liver: Affine) -> tuple[int, np.ndarray]:
    if isinstance(shape, Column):
        return COLUMN, _padded(np.array([[*shape.centre, *shape.semi, shape.power]]))
    if isinstance(shape, Tube):
        moved = displaced(shape, heart, liver)
        return TUBE, _padded(np.column_stack([moved, shape.radius]))
    if isinstance(shape, Ellipsoid):
        header = _padded(np.array([[0.0, 0.0, 0.0, 0.0, 1.0]]))
        return ELLIPSOID, np.vstack([header, _ellipsoid_row(shape, _moved(shape, heart, liver))])
    return ENVELOPE, _envelope_rows(shape, heart, liver)


def _envelope_rows(shape: Envelope, heart: Affine, liver: Affine) -> np.ndarray:
    numbers = [shape.thickness, shape.blend, shape.rounding, shape.sheet, len(shape.parts)]
    parts = [_ellipsoid_row(part, _moved(part, heart, liver)) for part in shape.parts]
    move = _moved(shape.parts[0], heart, liver)
    planes = [_plane_row(plane, move) for plane in shape.planes]
    return np.vstack([_padded(np.array([numbers])), *parts, *planes])


def _moved(shape: Ellipsoid, heart: Affine, liver: Affine) -> Affine:
    """Return the map of something that follows the heart in part and the diaphragm in part."""
    one, two = heart.shared(shape.follow_heart), liver.shared(shape.follow_liver)
    return Affine(two.matrix @ one.matrix, two(one.shift))


def _padded(rows: np.ndarray) -> np.ndarray:
    padded = np.zeros((len(rows), ROW))  # np.pad takes ten times as long, for each of a thousand shapes
    padded[:, : rows.shape[1]] = rows
    return padded


def _ellipsoid_row(shape: Ellipsoid, move: Affine) -> np.ndarray:
    to_ball = (shape.axes / shape.semi[:3, None]) @ np.linalg.inv(move.matrix)
    backward = shape.semi[0] / shape.semi[3]
    to_back = np.diag([backward, 1.0, 1.0]) @ to_ball
    halves = [np.linalg.inv(half) for half in (to_ball, to_back)]
    extent = np.max([np.linalg.norm(half, axis=1) for half in halves], axis=0)
    # the ball's radius changes by no more than 1 / shortest per mm, and by no less than 1 / longest
    shortest = 1 / max(np.linalg.norm(half, 2) for half in (to_ball, to_back))
    longest = max(np.linalg.norm(half, 2) for half in halves)
    return np.concatenate([move(shape.centre), to_ball.ravel(), [backward], extent, [shortest, longest]])


def _plane_row(plane: Plane, move: Affine) -> np.ndarray:
    normal = np.linalg.inv(move.matrix).T @ plane.normal
    row = np.concatenate([move(plane.point), normal / np.linalg.norm(normal)])
    return _padded(row[None])[0]
