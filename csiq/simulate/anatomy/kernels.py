"""Compiled loops that paint packed shapes: see :mod:`csiq.simulate.anatomy.raster` for the rows.

A grid is walked in small blocks. Bounds on the distance to a shape tell most blocks to lie all inside or all
outside; only the rest is looked at voxel by voxel. The bounds are strict, and positions follow from a voxel's
index in the whole grid, so that blocks, slabs and threads leave no trace in the result.

All in one file: numba's cache does not see when a function of another file has changed.
"""

from __future__ import annotations

import numpy as np
from numba import njit

ELLIPSOID, COLUMN, TUBE, ENVELOPE = range(4)
ROW = 18
_BLOCK = 4  # voxels
_SLACK = 1e-6  # mm, of rounding


@njit(nogil=True, cache=True)
def paint_slab(out, start, origin, step, kinds, spans, rows, values):  # type: ignore[no-untyped-def]
    """Paint packed shapes one over the other, on a grid's slices from number ``start`` on."""
    for s in range(kinds.size):
        block = rows[spans[s, 0] : spans[s, 0] + spans[s, 1]]
        if kinds[s] == COLUMN:
            _paint_column(out, origin, step, block[0], values[s])
        elif kinds[s] == TUBE:
            _paint_tube(out, start, origin, step, block, values[s])
        else:
            _paint_solid(out, start, origin, step, block, values[s])


@njit(nogil=True, cache=True, inline="always")
def _first(low, origin, step, start):  # type: ignore[no-untyped-def]
    return max(int(np.floor((low - origin) / step)), start)


@njit(nogil=True, cache=True, inline="always")
def _last(high, origin, step, stop):  # type: ignore[no-untyped-def]
    return min(int(np.ceil((high - origin) / step)) + 1, stop)


@njit(nogil=True, cache=True, inline="always")
def _over(below, share, value):  # type: ignore[no-untyped-def]
    """Return what shows where a value fills a share; to the bit the value where that is all."""
    return value if share >= 1 else below + np.float32(share) * (value - below)


@njit(nogil=True, cache=True, inline="always")
def _ball_radius(row, dz, dy, dx):  # type: ignore[no-untyped-def]
    """Return how far from the centre a point lies in units of the surface's distance that way."""
    a = row[3] * dz + row[4] * dy + row[5] * dx
    b = row[6] * dz + row[7] * dy + row[8] * dx
    c = row[9] * dz + row[10] * dy + row[11] * dx
    if a < 0:
        a *= row[12]
    return np.sqrt(a * a + b * b + c * c)


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


@njit(nogil=True, cache=True, inline="always")
def _gap_within(row, radius):  # type: ignore[no-untyped-def]
    """Return the gap's bound where the ball radius is ``radius``: lower, upper."""
    by_short, by_long = (radius - 1) * row[16], (radius - 1) * row[17]
    return min(by_short, by_long), max(by_short, by_long)


@njit(nogil=True, cache=True, inline="always")
def _melted(nearest, second, blend):  # type: ignore[no-untyped-def]
    """Return the distance to a union, its grooves filled, from those to its two nearest parts.

    It grows with both, so bounds on them bound it; parts farther than ``blend`` from the nearest do nothing.
    """
    overlap = max(blend - (second - nearest), 0.0) / max(blend, 1e-9)
    return nearest - overlap * overlap * blend / 4


@njit(nogil=True, cache=True)
def _union_gap(rows, blend, chosen, z, y, x):  # type: ignore[no-untyped-def]
    """Return the distance to the union of ellipsoids, its grooves filled."""
    nearest, second = 1e6, 2e6
    for p in chosen:
        gap = _gap(rows[p], z - rows[p, 0], y - rows[p, 1], x - rows[p, 2])
        if gap < nearest:
            nearest, second = gap, nearest
        elif gap < second:
            second = gap
    return _melted(nearest, second, blend)


@njit(nogil=True, cache=True)
def _cut(rows, first, gap, z, y, x):  # type: ignore[no-untyped-def]
    """Return the distance to what planes leave of a body, edges rounded (smooth maximum)."""
    rounding = rows[0, 2]
    for q in range(first, rows.shape[0]):
        beyond = rows[q, 3] * (z - rows[q, 0]) + rows[q, 4] * (y - rows[q, 1]) + rows[q, 5] * (x - rows[q, 2])
        overlap = max(rounding - abs(gap - beyond), 0.0) / max(rounding, 1e-9)
        gap = max(gap, beyond) + overlap * overlap * rounding / 4
    return gap


@njit(nogil=True, cache=True)
def solid_gaps(rows, points):  # type: ignore[no-untyped-def]
    """Return the distance in mm of points (n, 3) to one ellipsoid or envelope, negative inside."""
    first = 1 + int(rows[0, 4])
    chosen = np.arange(1, first)
    out = np.empty(points.shape[0])
    for n in range(points.shape[0]):
        z, y, x = points[n, 0], points[n, 1], points[n, 2]
        gap = _union_gap(rows, rows[0, 1], chosen, z, y, x) - rows[0, 0]
        out[n] = _cut(rows, first, gap, z, y, x)
    return out


@njit(nogil=True, cache=True)
def tube_gaps(rows, points):  # type: ignore[no-untyped-def]
    """Return the distance in mm of points (n, 3) to a tube's wall, negative inside."""
    out = np.empty(points.shape[0])
    for n in range(points.shape[0]):
        least = 1e6
        for s in range(rows.shape[0] - 1):
            away, radius = _to_segment(rows[s], rows[s + 1], points[n, 0], points[n, 1], points[n, 2])
            least = min(least, away - radius)
        out[n] = least
    return out


@njit(nogil=True, cache=True)
def _box(rows, first, last, reach, origin, step, start, shape):  # type: ignore[no-untyped-def]
    """Return the voxels of a slab that ellipsoids, grown by reach, may touch: from, up to."""
    lo = np.zeros(3, np.int64)
    hi = np.zeros(3, np.int64)
    for a in range(3):
        low, high = 1e9, -1e9
        for p in range(first, last):
            low = min(low, rows[p, a] - rows[p, 13 + a] - reach)
            high = max(high, rows[p, a] + rows[p, 13 + a] + reach)
        begin = start if a == 0 else 0
        lo[a] = _first(low, origin[a], step[a], begin)
        hi[a] = _last(high, origin[a], step[a], begin + shape[a])
    return lo, hi


@njit(nogil=True, cache=True)
def _block_state(rows, chosen, bounds, middle, half, margin):  # type: ignore[no-untyped-def]
    """Return 0 if a block lies outside a solid, 2 if inside, else 1, and how many parts matter in it.

    Parts that matter are written to ``chosen``; ``bounds`` is room. ``half`` is the block's half diagonal.
    """
    thickness, blend, rounding, sheet = rows[0, 0], rows[0, 1], rows[0, 2], rows[0, 3]
    first = 1 + int(rows[0, 4])
    low, low_next, high, high_next = 1e6, 2e6, 1e6, 2e6
    n = 0
    for p in range(1, first):
        radius = _ball_radius(rows[p], middle[0] - rows[p, 0], middle[1] - rows[p, 1], middle[2] - rows[p, 2])
        spread = half / rows[p, 16]
        lower, _ = _gap_within(rows[p], max(radius - spread, 0.0))
        _, upper = _gap_within(rows[p], radius + spread)
        bounds[p] = lower
        low, low_next = min(low, lower), min(max(low, lower), low_next)
        high, high_next = min(high, upper), min(max(high, upper), high_next)
    for p in range(1, first):
        if bounds[p] <= high + blend + _SLACK:
            chosen[n] = p
            n += 1
    lower = _melted(low, low_next, blend) - thickness
    upper = _melted(high, high_next, blend) - thickness
    surface = max(lower, -upper)  # at least so far from the surface that a sheet lies on
    if sheet > 0:
        lower = -1e6  # a sheet lies on both sides of the surface: only planes bound it
    for q in range(first, rows.shape[0]):
        beyond = (
            rows[q, 3] * (middle[0] - rows[q, 0])
            + rows[q, 4] * (middle[1] - rows[q, 1])
            + rows[q, 5] * (middle[2] - rows[q, 2])
        )
        lower = max(lower, beyond - half)
        upper = max(upper, beyond + half) + rounding / 4
    if lower > margin + _SLACK or (sheet > 0 and surface > sheet / 2 + margin + _SLACK):
        return 0, n
    if sheet == 0 and upper < -margin - _SLACK:
        return 2, n
    return 1, n


@njit(nogil=True, cache=True)
def _paint_solid(out, start, origin, step, rows, value):  # type: ignore[no-untyped-def]
    width = (step[0] + step[1] + step[2]) / 3
    first = 1 + int(rows[0, 4])
    reach = max(rows[0, 0] + rows[0, 3] / 2, 0.0) + rows[0, 1] / 4 + width
    lo, hi = _box(rows, 1, first, reach, origin, step, start, out.shape)
    half = (_BLOCK - 1) / 2 * np.sqrt((step**2).sum())
    chosen = np.empty(first, np.int64)
    bounds = np.empty(first)
    middle = np.empty(3)
    for k0 in range(lo[0], hi[0], _BLOCK):
        middle[0] = origin[0] + (k0 + (_BLOCK - 1) / 2) * step[0]
        for j0 in range(lo[1], hi[1], _BLOCK):
            middle[1] = origin[1] + (j0 + (_BLOCK - 1) / 2) * step[1]
            for i0 in range(lo[2], hi[2], _BLOCK):
                middle[2] = origin[2] + (i0 + (_BLOCK - 1) / 2) * step[2]
                state, n = _block_state(rows, chosen, bounds, middle, half, width / 2)
                if state == 0:
                    continue
                k1, j1, i1 = min(k0 + _BLOCK, hi[0]), min(j0 + _BLOCK, hi[1]), min(i0 + _BLOCK, hi[2])
                part = out[k0 - start : k1 - start, j0:j1, i0:i1]
                if state == 2:
                    part[:] = value
                else:
                    _paint_surface(part, (k0, j0, i0), origin, step, rows, chosen[:n], value)


@njit(nogil=True, cache=True)
def _paint_surface(out, corner, origin, step, rows, chosen, value):  # type: ignore[no-untyped-def]
    """Paint one block voxel by voxel."""
    width = (step[0] + step[1] + step[2]) / 3
    thickness, blend, sheet = rows[0, 0], rows[0, 1], rows[0, 3]
    first = 1 + int(rows[0, 4])
    for k in range(out.shape[0]):
        z = origin[0] + (corner[0] + k) * step[0]
        for j in range(out.shape[1]):
            y = origin[1] + (corner[1] + j) * step[1]
            for i in range(out.shape[2]):
                x = origin[2] + (corner[2] + i) * step[2]
                gap = _union_gap(rows, blend, chosen, z, y, x) - thickness
                if sheet > 0:
                    share = min(gap / width + 0.5, sheet / 2 / width) - max(
                        gap / width - 0.5, -sheet / 2 / width
                    )
                    share *= min(max(0.5 - _cut(rows, first, -1e3, z, y, x) / width, 0.0), 1.0)
                else:
                    share = 0.5 - _cut(rows, first, gap, z, y, x) / width
                if share > 0:
                    out[k, j, i] = _over(out[k, j, i], share, value)


@njit(nogil=True, cache=True)
def _paint_column(out, origin, step, row, value):  # type: ignore[no-untyped-def]
    width = (step[1] + step[2]) / 2
    power = row[4]
    share = np.zeros(out.shape[1:], np.float32)
    for j in range(out.shape[1]):
        y = abs(origin[1] + j * step[1] - row[0]) / row[2]
        for i in range(out.shape[2]):
            x = abs(origin[2] + i * step[2] - row[1]) / row[3]
            radius = (y**power + x**power) ** (1 / power)
            scale = np.sqrt((y / row[2]) ** 2 + (x / row[3]) ** 2) / max(radius, 1e-9)
            share[j, i] = min(max(0.5 - (radius - 1) / max(scale * width, 1e-9), 0.0), 1.0)
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            for i in range(out.shape[2]):
                out[k, j, i] = _over(out[k, j, i], share[j, i], value)


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


@njit(nogil=True, cache=True, inline="always")
def _to_segment(a, b, z, y, x):  # type: ignore[no-untyped-def]
    """Return the distance of a point to a segment and the radius at the nearest place on it."""
    dz, dy, dx = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    z, y, x = z - a[0], y - a[1], x - a[2]
    t = (z * dz + y * dy + x * dx) / (dz * dz + dy * dy + dx * dx + 1e-12)
    t = min(max(t, 0.0), 1.0)
    z, y, x = z - t * dz, y - t * dy, x - t * dx
    return np.sqrt(z * z + y * y + x * x), a[3] + t * (b[3] - a[3])


@njit(nogil=True, cache=True)
def _paint_tube(out, start, origin, step, rows, value):  # type: ignore[no-untyped-def]
    rho = (step[0] + step[1] + step[2]) / 3 / np.sqrt(np.pi)  # disk as large as a voxel's face
    half = (_BLOCK - 1) / 2 * np.sqrt((step**2).sum())
    lo = np.empty(3, np.int64)
    hi = np.empty(3, np.int64)
    for a in range(3):
        begin = start if a == 0 else 0
        lo[a] = _first((rows[:, a] - rows[:, 3]).min() - rho, origin[a], step[a], begin)
        hi[a] = _last((rows[:, a] + rows[:, 3]).max() + rho, origin[a], step[a], begin + out.shape[a])
        if hi[a] <= lo[a]:
            return
    near = np.empty(rows.shape[0], np.int64)
    middle = np.empty(3)
    for k0 in range(lo[0], hi[0], _BLOCK):
        middle[0] = origin[0] + (k0 + (_BLOCK - 1) / 2) * step[0]
        for j0 in range(lo[1], hi[1], _BLOCK):
            middle[1] = origin[1] + (j0 + (_BLOCK - 1) / 2) * step[1]
            for i0 in range(lo[2], hi[2], _BLOCK):
                middle[2] = origin[2] + (i0 + (_BLOCK - 1) / 2) * step[2]
                n, full = _near_segments(rows, near, middle, half, rho)
                if n == 0:
                    continue
                k1, j1, i1 = min(k0 + _BLOCK, hi[0]), min(j0 + _BLOCK, hi[1]), min(i0 + _BLOCK, hi[2])
                part = out[k0 - start : k1 - start, j0:j1, i0:i1]
                if full:
                    part[:] = value
                else:
                    _paint_lumen(part, (k0, j0, i0), origin, step, rows, near[:n], value)


@njit(nogil=True, cache=True)
def _near_segments(rows, near, middle, half, rho):  # type: ignore[no-untyped-def]
    """Return how many segments reach a block, and whether one fills it; they are written to ``near``."""
    n = 0
    for s in range(rows.shape[0] - 1):
        away, _ = _to_segment(rows[s], rows[s + 1], middle[0], middle[1], middle[2])
        if away - half - max(rows[s, 3], rows[s + 1, 3]) < rho + _SLACK:
            near[n] = s
            n += 1
            if away + half + rho + _SLACK < min(rows[s, 3], rows[s + 1, 3]):
                return n, True
    return n, False


@njit(nogil=True, cache=True)
def _paint_lumen(out, corner, origin, step, rows, near, value):  # type: ignore[no-untyped-def]
    rho = (step[0] + step[1] + step[2]) / 3 / np.sqrt(np.pi)
    for k in range(out.shape[0]):
        z = origin[0] + (corner[0] + k) * step[0]
        for j in range(out.shape[1]):
            y = origin[1] + (corner[1] + j) * step[1]
            for i in range(out.shape[2]):
                x = origin[2] + (corner[2] + i) * step[2]
                least, nearest = 1e6, 0.0
                for s in near:
                    away, radius = _to_segment(rows[s], rows[s + 1], z, y, x)
                    if away - radius < least:
                        least, nearest = away - radius, radius
                if least < rho:
                    out[k, j, i] = _over(out[k, j, i], _disk_share(least + nearest, nearest, rho), value)
