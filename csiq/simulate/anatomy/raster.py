"""Paint shapes on a grid, with the share of each voxel that a shape fills.

The share is analytic: a plane's through a voxel for a surface, a disk's for a tube, which keeps the
cross-section of vessels thinner than a voxel. Shapes are painted one over the other. The kernels release
the interpreter's lock and each thread paints its own slices, so the result does not depend on how many
there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from csiq.arrays import default_threads
from csiq.errors import ShapeError
from csiq.simulate.anatomy.kernels import COLUMN, TUBE, paint_slab, solid_gaps, tube_gaps
from csiq.simulate.anatomy.packing import Packed, displaced, pack
from csiq.simulate.anatomy.shapes import Grid

__all__ = ["Packed", "displaced", "distances", "pack", "paint"]


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
        """Paint the slices from ``start`` to before ``stop``."""
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
