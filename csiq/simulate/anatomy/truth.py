"""What a perfect image of a patient would show, for the formula of reference quality to measure against."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_erosion

from csiq.quality.features import HeartTruth, Vessel
from csiq.simulate.anatomy.patient import (
    Patient,
    coronary_centrelines,
    heart_mask,
    packed,
    rasterise,
)
from csiq.simulate.anatomy.raster import paint
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.motion import MotionState

_BLOOD_FROM_WALL, _CORE_OF_WALL = 3.0, 2.0  # mm


def heart_truth(
    patient: Patient,
    grid: Grid,
    state: MotionState,
    shading: np.ndarray | None = None,
    *,
    threads: int | None = None,
) -> HeartTruth:
    """Return the truth of an image.

    Parameters
    ----------
    grid : Grid
        Of the image.
    state : MotionState
        The image's position.
    shading : float array, broadcastable to ``grid.shape``, optional
        What coils and excitation leave of the signal in the image.
    threads : int, optional
        The result does not depend on it.

    Returns
    -------
    HeartTruth
        Blood lies at least 3 mm from the walls of left ventricle and ascending aorta, myocardium 2 mm inside
        the wall of the left ventricle; on voxels too coarse for that, as deep as there are any. Vessels are
        RCA, LAD (from where the left main divides) and LCX, in mm from the middle of voxel 0, 0, 0.
    """
    volume = rasterise(patient, grid, state, threads=threads)
    if shading is not None:
        volume = (volume * shading).astype(np.float32)
    heart = heart_mask(patient, grid, state)
    blood, myocardium = tissue_masks(patient, grid, state, heart, threads=threads)
    lines = coronary_centrelines(patient, state)
    vessels = {
        name: Vessel(lines[name].points - grid.origin, lines[name].radius) for name in ("RCA", "LAD", "LCX")
    }
    return HeartTruth(volume, heart, blood, myocardium, vessels, np.array(grid.voxel_size))


def tissue_masks(
    patient: Patient, grid: Grid, state: MotionState, heart: np.ndarray, *, threads: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return blood and myocardium away from walls, as :func:`heart_truth` has them.

    Parameters
    ----------
    patient : Patient
    grid : Grid
    state : MotionState
    heart : bool array, (z, y, x)
        The heart on this grid.
    threads : int, optional
        The result does not depend on it.

    Returns
    -------
    blood, myocardium : bool array, (z, y, x)
    """
    box = _around(heart)
    inner = _part_of(grid, box)
    blood, myocardium = np.zeros_like(heart), np.zeros_like(heart)
    blood[box] = _core(_shares(patient, inner, state, ("LV", "aorta"), threads), inner, _BLOOD_FROM_WALL)
    myocardium[box] = _core(_shares(patient, inner, state, ("LV wall",), threads), inner, _CORE_OF_WALL)
    return blood, myocardium


def _around(mask: np.ndarray) -> tuple[slice, ...]:
    """Return the box of a mask."""
    spans = []
    for axis in range(3):
        there = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        spans.append(slice(int(there[0]), int(there[-1]) + 1) if there.size else slice(0, mask.shape[axis]))
    return tuple(spans)


def _part_of(grid: Grid, box: tuple[slice, ...]) -> Grid:
    low = np.array([span.start for span in box])
    n_z, n_y, n_x = (int(span.stop - span.start) for span in box)
    z, y, x = grid.origin + np.array(grid.voxel_size) * (low + np.array([n_z, n_y, n_x]) // 2)
    return Grid((n_z, n_y, n_x), grid.voxel_size, (float(z), float(y), float(x)))


def _shares(
    patient: Patient, grid: Grid, state: MotionState, names: tuple[str, ...], threads: int | None
) -> np.ndarray:
    """Return how much of each voxel shows shapes of some names."""
    shapes = patient.parts("heart")
    values = [float(shape.name in names) for shape in shapes]
    return paint(packed(patient, shapes, state), values, grid, threads=threads)


def _core(share: np.ndarray, grid: Grid, depth: float) -> np.ndarray:
    """Return the voxels that lie so deep (mm) inside what fills voxels whole.

    Where none does (a wall is three coarse voxels thick), shallower ones: those whose neighbours are whole
    too, then all whole ones, then the fullest.
    """
    whole = share > 0.999
    reach = np.maximum(np.rint(depth / np.array(grid.voxel_size)).astype(int), 1)
    deep = whole
    for axis in range(3):  # a box as large as the depth, axis by axis
        shape = [1, 1, 1]
        shape[axis] = 2 * int(reach[axis]) + 1
        deep = binary_erosion(deep, np.ones(shape, bool), border_value=1)
    if deep.any():
        return np.asarray(deep)
    inner = binary_erosion(whole, border_value=1)
    if inner.any():
        return np.asarray(inner)
    return np.asarray(whole if whole.any() else (share > 0) & (share == share.max()))
