"""Where the network looks: 648 patches of 128x128 mm around the centre of the volume.

The volume is taken to 1 mm voxels about its centre voxel ``n // 2``. Patch centres lie at offsets of
-40, -24, -8, 8, 24 and 40 mm from there along each axis (every 16 voxels in a cube of half edge 40): 6^3
centres, each seen in three orientations. A patch spans -64 .. +63 mm about its centre, so the grid of an
orientation spans 40 + 64 = 104 mm to one side and 103 to the other: a slice of 208x208 voxels fits exactly.
Patches of one orientation with the same centre along its axis lie in the same slice, so only 18 slices are
ever made. They are resampled by small matrices along each axis in turn, where the volume is (CPU or GPU).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.arrays import Array, xp_of
from csiq.blas import one_blas_thread
from csiq.errors import ShapeError

#: Half edge of the cube of patch centres, and their spacing, mm.
HALF_EDGE = 40
SPACING = 16
#: Offsets of the patch centres, mm, along each axis.
OFFSETS = tuple(range(-HALF_EDGE, HALF_EDGE + 1, SPACING))
_HALF_PATCH = 64
#: Side of a slice, voxels of 1 mm: the centres and half a patch to either side.
SIDE = 208
#: Patches of a volume: three orientations of 6^3 centres.
N_PATCHES = 3 * len(OFFSETS) ** 3
#: Orientation of the slices across array axes z, y, x.
ORIENTATIONS = ("axial", "coronal", "sagittal")


def patch_offsets(half_edge: int = HALF_EDGE) -> tuple[int, ...]:
    """Return the offsets of the patch centres, mm: every 16 from ``-half_edge`` on, up to ``half_edge``.

    Raises
    ------
    ShapeError
        If the half edge is not from 0 to 40: patches further out would leave the slices.
    """
    if not 0 <= half_edge <= HALF_EDGE:
        raise ShapeError(f"half edge {half_edge} mm is not from 0 to {HALF_EDGE}", field="half_edge")
    return tuple(range(-half_edge, half_edge + 1, SPACING))


def patch_window(half_edge: int = HALF_EDGE) -> slice:
    """Return the voxels of a slice's rows and columns that the patches of a half edge fill: all, for 40."""
    first = SIDE // 2 - half_edge - _HALF_PATCH
    return slice(first, first + 2 * _HALF_PATCH + SPACING * (len(patch_offsets(half_edge)) - 1))


@dataclass(frozen=True)
class Slices:
    """The slices of one volume that hold all its patches.

    Attributes
    ----------
    values : float32 array, (3, n_offsets, 208, 208)
        Axial, coronal and sagittal slices of 1 mm, the volume's centre at [104, 104], intensity normalised.
    scale : float
        What the magnitudes were divided by; 0 if the volume is dark, and nothing was divided.
    warnings : tuple of str
    """

    values: Array
    scale: float
    warnings: tuple[str, ...] = ()


def interpolation_matrix(n: int, voxel_size: float, positions: np.ndarray) -> np.ndarray:
    """Return the weights that take samples along an axis to other positions.

    Cubic convolution (Keys, a = -1/2), widened where the voxels are smaller than 1 mm so that nothing
    aliases. Rows of positions beyond the volume's outer voxel faces are zero.

    Parameters
    ----------
    n : int
        Voxels along the axis; the centre is voxel ``n // 2``.
    voxel_size : float
        mm.
    positions : float array, (n_positions,)
        mm from the centre.

    Returns
    -------
    float32 array, (n_positions, n)

    References
    ----------
    Keys R. IEEE Trans Acoust Speech Signal Process 1981;29:1153-1160.
    """
    index = np.asarray(positions, dtype=np.float64) / voxel_size + n // 2
    inside = (index >= -0.5) & (index <= n - 0.5)
    index = np.clip(index, 0, n - 1)
    width = max(1.0, 1.0 / voxel_size)
    distance = np.abs(index[:, None] - np.arange(n)) / width
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
    weights *= inside[:, None] / weights.sum(axis=1, keepdims=True)
    return weights.astype(np.float32)


def cut_slices(
    volume: Array, voxel_size: tuple[float, float, float], offsets: tuple[float, ...] = OFFSETS
) -> Array:
    """Cut slices of 1 mm voxels in three orientations out of a volume.

    Parameters
    ----------
    volume : real or complex array, (z, y, x)
        Its magnitude is taken before resampling. Values that are not finite stay so in the voxels they touch.
    voxel_size : (float, float, float)
        mm, z y x.
    offsets : tuple of float
        mm from the centre, along the axis across the slices.

    Returns
    -------
    float32 array, (3, len(offsets), 208, 208)
    """
    xp = xp_of(volume)
    full = np.arange(SIDE) - SIDE // 2
    matrices = [interpolation_matrix(n, v, full) for n, v in zip(volume.shape, voxel_size, strict=True)]
    wide = [xp.asarray(matrix) for matrix in matrices]
    slices = xp.empty((3, len(offsets), SIDE, SIDE), dtype=np.float32)
    for axis in range(3):
        few = interpolation_matrix(volume.shape[axis], voxel_size[axis], np.asarray(offsets))
        # the other planes of the volume have no weight: they are not even read
        used = np.flatnonzero(few.any(axis=0))
        planes = xp.abs(xp.take(volume, xp.asarray(used), axis=axis)).astype(np.float32, copy=False)
        row, column = (a for a in range(3) if a != axis)
        weights = (xp.asarray(few[:, used]), wide[row], wide[column].T)
        slices[axis] = _slices_of(xp.moveaxis(planes, axis, 0), weights)
    return slices


def _slices_of(planes: Array, weights: tuple[Array, Array, Array]) -> Array:
    """Return slices of planes (n, row, column), NaN where a value that is not finite would have gone."""
    xp = xp_of(planes)
    bad = ~xp.isfinite(planes)
    if not bool(bad.any()):
        return _resample(planes, weights)
    # a zero weight times NaN is NaN: resample the rest, then mark what a bad voxel would have reached
    slices = _resample(xp.where(bad, np.float32(0), planes), weights)
    reached = xp.abs(_resample(bad.astype(np.float32), weights)) > 1e-6
    return xp.where(reached, np.float32(np.nan), slices)


def _resample(planes: Array, weights: tuple[Array, Array, Array]) -> Array:
    across, rows, columns = weights
    with one_blas_thread():
        # across the slices first: the two wide products then see 6 planes
        return rows @ xp_of(planes).tensordot(across, planes, axes=1) @ columns


def intensity_scale(slices: Array, half_edge: int = HALF_EDGE) -> float:
    """Return the 99th percentile of the magnitudes within the cube of patch centres.

    About the brightness of blood in a heart. Dividing by it makes the input independent of the scale of the
    volume, and of what lies outside the heart.

    Parameters
    ----------
    slices : float array, (3, n_offsets, 208, 208)
    half_edge : int
        Of the cube, mm.
    """
    xp = xp_of(slices)
    near = slice(SIDE // 2 - half_edge, SIDE // 2 + max(half_edge, 1))
    cube = slices[..., near, near]
    values = cube[xp.isfinite(cube)]
    return float(xp.percentile(values, 99)) if values.size else 0.0


def volume_slices(
    volume: Array, voxel_size: tuple[float, float, float], half_edge: int = HALF_EDGE
) -> Slices:
    """Return the slices the network grades, resampled and normalised.

    Parameters
    ----------
    volume : real or complex array, (z, y, x)
        NumPy or CuPy; the slices stay on its device.
    voxel_size : (float, float, float)
        mm, z y x.
    half_edge : int
        Of the cube of patch centres, mm. With less than 40 there are fewer slices, of the same size; their
        patches fill :func:`patch_window` of rows and columns.

    Raises
    ------
    ShapeError
        If the volume has not three axes, a voxel size is not positive, or the half edge not from 0 to 40.
    """
    if volume.ndim != 3:
        raise ShapeError(f"expected a volume (z, y, x), got shape {volume.shape}", field="volume")
    if len(voxel_size) != 3 or not all(np.isfinite(v) and v > 0 for v in voxel_size):
        raise ShapeError(f"expected three positive sizes in mm, got {voxel_size}", field="voxel_size")
    slices = cut_slices(volume, voxel_size, patch_offsets(half_edge))
    scale = intensity_scale(slices, half_edge)
    if scale > 0:
        slices = slices / np.float32(scale)
    return Slices(slices, scale, _warnings(volume.shape, voxel_size, scale))


def _warnings(
    shape: tuple[int, ...], voxel_size: tuple[float, float, float], scale: float
) -> tuple[str, ...]:
    found = []
    extent = [n * v for n, v in zip(shape, voxel_size, strict=True)]
    # half a voxel short at one end is what an exact fit looks like
    if any(e < SIDE - 1 for e in extent):
        size = " x ".join(f"{e:.0f}" for e in extent)
        found.append(
            f"a volume of {size} mm is smaller than the {SIDE} mm the patches span: padded with zeros"
        )
    if scale == 0:
        found.append("the volume is dark where the heart should be")
    return tuple(found)
