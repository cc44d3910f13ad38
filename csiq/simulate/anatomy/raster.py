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
from numba import njit

from csiq.arrays import default_threads
from csiq.simulate.anatomy.shapes import Column, Ellipsoid, Grid, Shape, Tube
from csiq.simulate.motion import Affine

_ELLIPSOID, _COLUMN, _TUBE, _ENVELOPE = range(4)
_FAR = np.float32(1e6)
_ROW = 18
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
        Ellipsoid: centre, the matrix that makes it the unit ball, what its backward half is shorter by,
        half extents, smallest semi-axis. Column: centre, semi, power. Tube: one row a point. Envelope:
        thickness and blend, then its ellipsoids.
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
    return Packed(np.array(kinds), np.array(spans), np.concatenate(blocks))


def paint(packed: Packed, values: Sequence[float], grid: Grid, *, threads: int | None = None) -> np.ndarray:
    """Return the image of packed shapes.

    Parameters
    ----------
    values : floats, (n_shapes,)
        What each shape is painted with.
    threads : int, optional
        The result does not depend on it.

    Returns
    -------
    float32 array, ``grid.shape``
    """
    image = np.zeros(grid.shape, dtype=np.float32)
    amounts = np.array(values, dtype=np.float32)
    step = np.array(grid.voxel_size)

    def slab(start: int, stop: int) -> None:
        origin = grid.origin + np.array([start * step[0], 0.0, 0.0])
        _paint_slab(image[start:stop], origin, step, packed.kinds, packed.spans, packed.rows, amounts)

    workers = threads or default_threads()
    cuts = np.linspace(0, grid.shape[0], min(4 * workers, grid.shape[0]) + 1).astype(int)
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(slab, cuts[:-1], cuts[1:]))
    return image


def _rows_of(shape: Shape, heart: Affine, liver: Affine) -> tuple[int, np.ndarray]:
    if isinstance(shape, Ellipsoid):
        return _ELLIPSOID, _ellipsoid_row(shape, heart, liver)[None]
    if isinstance(shape, Column):
        return _COLUMN, _padded(np.array([[*shape.centre, *shape.semi, shape.power]]))
    if isinstance(shape, Tube):
        moved = displaced(shape, heart, liver)
        return _TUBE, _padded(np.column_stack([moved, shape.radius]))
    parts = [_ellipsoid_row(part, heart, liver) for part in shape.parts]
    return _ENVELOPE, np.vstack([_padded(np.array([[shape.thickness, shape.blend]])), *parts])


def displaced(tube: Tube, heart: Affine, liver: Affine) -> np.ndarray:
    """Return where the points of a tube have gone, mm z y x."""
    still = tube.points
    by_heart = tube.follow_heart[:, None] * (heart(still) - still)
    return np.asarray(still + by_heart + tube.follow_liver[:, None] * (liver(still) - still))


def _padded(rows: np.ndarray) -> np.ndarray:
    return np.pad(rows, ((0, 0), (0, _ROW - rows.shape[1])))


def _ellipsoid_row(shape: Ellipsoid, heart: Affine, liver: Affine) -> np.ndarray:
    by_heart, by_liver = heart.shared(shape.follow_heart), liver.shared(shape.follow_liver)
    centre = by_liver(by_heart(shape.centre))
    to_ball = (shape.axes / shape.semi[:3, None]) @ np.linalg.inv(by_liver.matrix @ by_heart.matrix)
    longest = np.diag([max(1.0, shape.semi[3] / shape.semi[0]), 1.0, 1.0])
    extent = np.linalg.norm(np.linalg.inv(to_ball) @ longest, axis=1)
    backward = shape.semi[0] / shape.semi[3]
    return np.concatenate([centre, to_ball.ravel(), [backward], extent, [shape.semi.min(), 0.0]])


@njit(nogil=True, cache=True)
def _paint_slab(out, origin, step, kinds, spans, rows, values):  # type: ignore[no-untyped-def]
    for s in range(kinds.size):
        start, count = spans[s, 0], spans[s, 1]
        if kinds[s] == _ELLIPSOID:
            _paint_ellipsoid(out, origin, step, rows[start], values[s])
        elif kinds[s] == _COLUMN:
            _paint_column(out, origin, step, rows[start], values[s])
        elif kinds[s] == _TUBE:
            _paint_tube(out, origin, step, rows[start : start + count], values[s])
        else:
            _paint_envelope(out, origin, step, rows[start : start + count], values[s])


@njit(nogil=True, cache=True, inline="always")
def _first(low, origin, step):  # type: ignore[no-untyped-def]
    return max(int(np.floor((low - origin) / step)), 0)


@njit(nogil=True, cache=True, inline="always")
def _last(high, origin, step, n):  # type: ignore[no-untyped-def]
    return min(int(np.ceil((high - origin) / step)) + 1, n)


@njit(nogil=True, cache=True)
def _gap(row, dz, dy, dx):  # type: ignore[no-untyped-def]
    """Return the distance to an ellipsoid in mm (first order), negative inside."""
    a = row[3] * dz + row[4] * dy + row[5] * dx
    b = row[6] * dz + row[7] * dy + row[8] * dx
    c = row[9] * dz + row[10] * dy + row[11] * dx
    back = row[12] if a < 0 else 1.0
    a *= back
    radius = a * a + b * b + c * c
    if radius < 1e-9:
        return -row[16]
    radius = np.sqrt(radius)
    a *= back
    gz = row[3] * a + row[6] * b + row[9] * c
    gy = row[4] * a + row[7] * b + row[10] * c
    gx = row[5] * a + row[8] * b + row[11] * c
    return radius * (radius - 1.0) / np.sqrt(gz * gz + gy * gy + gx * gx)


@njit(nogil=True, cache=True)
def _paint_ellipsoid(out, origin, step, row, value):  # type: ignore[no-untyped-def]
    width = (step[0] + step[1] + step[2]) / 3
    lo = np.empty(3, np.int64)
    hi = np.empty(3, np.int64)
    for a in range(3):
        extent = row[13 + a] + width
        lo[a] = _first(row[a] - extent, origin[a], step[a])
        hi[a] = _last(row[a] + extent, origin[a], step[a], out.shape[a])
    for k in range(lo[0], hi[0]):
        dz = origin[0] + k * step[0] - row[0]
        for j in range(lo[1], hi[1]):
            dy = origin[1] + j * step[1] - row[1]
            for i in range(lo[2], hi[2]):
                dx = origin[2] + i * step[2] - row[2]
                share = 0.5 - _gap(row, dz, dy, dx) / width
                if share > 0:
                    share = min(share, 1.0)
                    out[k, j, i] += np.float32(share) * (value - out[k, j, i])


@njit(nogil=True, cache=True)
def _paint_column(out, origin, step, row, value):  # type: ignore[no-untyped-def]
    width = (step[1] + step[2]) / 2
    power = row[4]
    for j in range(out.shape[1]):
        y = abs(origin[1] + j * step[1] - row[0]) / row[2]
        for i in range(out.shape[2]):
            x = abs(origin[2] + i * step[2] - row[1]) / row[3]
            radius = (y**power + x**power) ** (1 / power)
            scale = np.sqrt((y / row[2]) ** 2 + (x / row[3]) ** 2) / max(radius, 1e-9)
            share = 0.5 - (radius - 1) / max(scale * width, 1e-9)
            if share > 0:
                share = min(share, 1.0)
                for k in range(out.shape[0]):
                    out[k, j, i] += np.float32(share) * (value - out[k, j, i])


@njit(nogil=True, cache=True)
def _disk_share(t, r, rho):  # type: ignore[no-untyped-def]
    """Return the share of a disk of radius rho, t off the axis, that a disk of radius r covers."""
    if t >= r + rho:
        return 0.0
    if t <= abs(r - rho):
        return min(1.0, (r / rho) ** 2)
    a = np.arccos(min(max((t * t + r * r - rho * rho) / (2 * t * r), -1.0), 1.0))
    b = np.arccos(min(max((t * t + rho * rho - r * r) / (2 * t * rho), -1.0), 1.0))
    area = r * r * (a - np.sin(2 * a) / 2) + rho * rho * (b - np.sin(2 * b) / 2)
    return area / (np.pi * rho * rho)


@njit(nogil=True, cache=True)
def _paint_tube(out, origin, step, rows, value):  # type: ignore[no-untyped-def]
    rho = (step[0] + step[1] + step[2]) / 3 / np.sqrt(np.pi)  # disk as large as a voxel's face
    lo = np.empty(3, np.int64)
    hi = np.empty(3, np.int64)
    for a in range(3):
        lo[a] = _first((rows[:, a] - rows[:, 3]).min() - rho, origin[a], step[a])
        hi[a] = _last((rows[:, a] + rows[:, 3]).max() + rho, origin[a], step[a], out.shape[a])
        if hi[a] <= lo[a]:
            return
    gap = np.full((hi[0] - lo[0], hi[1] - lo[1], hi[2] - lo[2]), _FAR)
    radius = np.zeros(gap.shape, np.float32)
    for s in range(rows.shape[0] - 1):
        _measure_segment(gap, radius, origin + lo * step, step, rows[s], rows[s + 1])
    for k in range(gap.shape[0]):
        for j in range(gap.shape[1]):
            for i in range(gap.shape[2]):
                if gap[k, j, i] < rho:
                    r = radius[k, j, i]
                    share = _disk_share(gap[k, j, i] + r, r, rho)
                    at = out[lo[0] + k, lo[1] + j, lo[2] + i]
                    out[lo[0] + k, lo[1] + j, lo[2] + i] = at + np.float32(share) * (value - at)


@njit(nogil=True, cache=True)
def _measure_segment(gap, radius, origin, step, a, b):  # type: ignore[no-untyped-def]
    """Keep the distance to one segment's wall, and its radius there, where it is the nearest."""
    reach = max(a[3], b[3]) + max(step[0], max(step[1], step[2]))
    lo = np.empty(3, np.int64)
    hi = np.empty(3, np.int64)
    length2 = 1e-12
    for d in range(3):
        lo[d] = _first(min(a[d], b[d]) - reach, origin[d], step[d])
        hi[d] = _last(max(a[d], b[d]) + reach, origin[d], step[d], gap.shape[d])
        length2 += (b[d] - a[d]) ** 2
    for k in range(lo[0], hi[0]):
        z = origin[0] + k * step[0] - a[0]
        for j in range(lo[1], hi[1]):
            y = origin[1] + j * step[1] - a[1]
            for i in range(lo[2], hi[2]):
                x = origin[2] + i * step[2] - a[2]
                t = (z * (b[0] - a[0]) + y * (b[1] - a[1]) + x * (b[2] - a[2])) / length2
                t = min(max(t, 0.0), 1.0)
                r = a[3] + t * (b[3] - a[3])
                ez = z - t * (b[0] - a[0])
                ey = y - t * (b[1] - a[1])
                ex = x - t * (b[2] - a[2])
                wall = np.sqrt(ez * ez + ey * ey + ex * ex) - r
                if wall < gap[k, j, i]:
                    gap[k, j, i] = wall
                    radius[k, j, i] = r


@njit(nogil=True, cache=True)
def _blended_gap(rows, blend, z, y, x):  # type: ignore[no-untyped-def]
    """Return the distance to the union of ellipsoids, its grooves filled (polynomial smooth minimum)."""
    total = 1e6
    for p in range(rows.shape[0]):
        gap = _gap(rows[p], z - rows[p, 0], y - rows[p, 1], x - rows[p, 2])
        overlap = max(blend - abs(total - gap), 0.0) / max(blend, 1e-9)
        total = min(total, gap) - overlap * overlap * blend / 4
    return total


@njit(nogil=True, cache=True)
def _paint_envelope(out, origin, step, rows, value):  # type: ignore[no-untyped-def]
    width = (step[0] + step[1] + step[2]) / 3
    thickness, blend = rows[0, 0], rows[0, 1]
    parts = rows[1:]
    lo = np.empty(3, np.int64)
    hi = np.empty(3, np.int64)
    for a in range(3):
        low, high = 1e9, -1e9
        for p in range(parts.shape[0]):
            extent = parts[p, 13 + a] + thickness + blend / 2 + width
            low = min(low, parts[p, a] - extent)
            high = max(high, parts[p, a] + extent)
        lo[a] = _first(low, origin[a], step[a])
        hi[a] = _last(high, origin[a], step[a], out.shape[a])
    for k in range(lo[0], hi[0]):
        z = origin[0] + k * step[0]
        for j in range(lo[1], hi[1]):
            y = origin[1] + j * step[1]
            for i in range(lo[2], hi[2]):
                x = origin[2] + i * step[2]
                share = 0.5 - (_blended_gap(parts, blend, z, y, x) - thickness) / width
                if share > 0:
                    share = min(share, 1.0)
                    out[k, j, i] += np.float32(share) * (value - out[k, j, i])


@njit(nogil=True, cache=True)
def union_gap(rows, blend, points):  # type: ignore[no-untyped-def]
    """Return the distance in mm of points (n, 3) to the blended union of ellipsoid rows."""
    out = np.empty(points.shape[0])
    for n in range(points.shape[0]):
        out[n] = _blended_gap(rows, blend, points[n, 0], points[n, 1], points[n, 2])
    return out
