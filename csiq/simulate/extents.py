"""Where the layers of a scan lie: what the scan excites, and how far heart, organs and body reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.simulate.anatomy import Patient, rasterise
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.motion import MotionState
from csiq.simulate.protocol import SLICE_THICKNESS, ScanConfig

N_SLICES = 4  # painted across one slice of a 2D scan; even
SEAM = 10.0  # mm over which one resolution fades into another
_BODY_FOV = 560.0  # mm: arms and all
_EXCITED = (150.0, 205.0)  # mm from the centre, where excitation begins and ends to fade along z
_LOOK = 8.0  # mm: voxels with which extents are found


@dataclass(frozen=True)
class Extents:
    """Corners, float64 (2, 3) in mm z y x, of boxes that hold all of something.

    Attributes
    ----------
    heart, moving, body : float64 array, (2, 3)
        What moves with the heart, what else moves, and everything.
    """

    heart: np.ndarray
    moving: np.ndarray
    body: np.ndarray

    @classmethod
    def of(cls, patient: Patient, config: ScanConfig, reach: tuple[float, float]) -> Extents:
        """Find the extents between two displacements of the diaphragm, mm."""
        n = 2 * round(_BODY_FOV / _LOOK / 2)
        look = Grid.cube(n, n * _LOOK, (0.0, *patient.body.middle))
        excited = excitation(look, config) > 0
        still = rasterise(patient, look, parts="static")
        heart, moving, body = (np.zeros(look.shape, bool) for _ in range(3))
        for displacement in np.linspace(*reach, 3):
            state = MotionState(float(displacement))
            alone = rasterise(patient, look, state, parts="body")
            both = rasterise(patient, look, state, parts="heart", over=alone)
            heart |= (both != alone) & excited
            moving |= (alone != still) & excited
            body |= (both > 0) & excited
        return cls(*(_corners(where, look) for where in (heart, moving, body)))


def excitation(grid: Grid, config: ScanConfig) -> np.ndarray:
    """Return how strongly slices are excited: the body fades out toward neck and belly.

    A stack-of-stars excites its slab alone, since its partitions would fold what is outside.

    Returns
    -------
    float64 array, (n_slices, 1, 1)
    """
    begin, end = _EXCITED
    if config.trajectory == "stack-of-stars":
        begin, end = config.fov / 2 - SEAM, config.fov / 2
    fade = np.clip((np.abs(grid.axis(0)) - begin) / (end - begin), 0, 1)
    return (0.5 + 0.5 * np.cos(np.pi * fade)).reshape(-1, 1, 1)


def window(grid: Grid, corners: np.ndarray, config: ScanConfig) -> np.ndarray:
    """Return 1 in a box, 0 outside, a cosine between; a 2D scan has no border along z."""
    share = np.ones((1, 1, 1))
    for axis in (1, 2) if config.is_2d else (0, 1, 2):
        at = grid.axis(axis)
        inside = np.clip(np.minimum(at - corners[0, axis], corners[1, axis] - at) / SEAM, 0, 1)
        shape = [1, 1, 1]
        shape[axis] = -1
        share = share * (0.5 - 0.5 * np.cos(np.pi * inside)).reshape(shape)
    return share


def grid_over(corners: np.ndarray, voxel: float, config: ScanConfig) -> Grid:
    """Return a grid from corner to corner; of a 2D scan over its slice."""
    shape = [max(2 * int(np.ceil((high - low) / voxel / 2 - 1e-6)), 2) for low, high in corners.T]
    centre = [float(c) for c in corners.mean(axis=0)]
    if not config.is_2d:
        return Grid((shape[0], shape[1], shape[2]), (voxel,) * 3, (centre[0], centre[1], centre[2]))
    step = SLICE_THICKNESS / N_SLICES
    return Grid((N_SLICES, shape[1], shape[2]), (step, voxel, voxel), (step / 2, centre[1], centre[2]))


def _corners(where: np.ndarray, grid: Grid) -> np.ndarray:
    found = np.argwhere(where)
    if found.size == 0:
        return np.zeros((2, 3))
    ends = np.stack([found.min(axis=0) - 1, found.max(axis=0) + 1])
    return np.asarray(grid.origin + ends * np.array(grid.voxel_size))
