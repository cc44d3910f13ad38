"""A patient cut into layers that are painted at one resolution and move as one.

=========  ==========================================  ============================  ==================
layer      what it holds                               voxels                        moves with
=========  ==========================================  ============================  ==================
heart      what the heart adds to the body             finer than reconstructed      the heart
organs     what breathing moves of the rest            2 mm, over what moves         the diaphragm
field      what stays, in the field of view            finer than reconstructed      nothing
outside    what stays, outside of it                   2 mm, over 416 mm             nothing
=========  ==========================================  ============================  ==================

The layers are differences of paintings of the same patient, so that they add up to the patient; a smooth
window parts the last two, where resolution changes. Nothing counts twice and nothing is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from csiq.simulate.anatomy import Patient, rasterise
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.motion import MotionState
from csiq.simulate.protocol import SLICE_THICKNESS, ScanConfig
from csiq.simulate.sensitivity import Maps

N_SLICES = 4  # painted across one slice of a 2D scan; even
_BODY_FOV = 416.0  # mm
_SEAM = 10.0  # mm over which the field of view fades into what is outside
_EXCITED = (150.0, 205.0)  # mm from the centre, where excitation begins and ends to fade along z
_COARSER, _COARSEST = 1.5, 3.0  # a small matrix needs no 2 mm: times its own voxel; mm
_LOOK = 8.0  # mm: voxels with which the extent of a layer is found


@dataclass(frozen=True)
class Detail:
    """How finely a scan is simulated.

    Attributes
    ----------
    finer : float
        Voxels of the painted heart per reconstructed voxel and axis. k-space of a layer fades out at 0.41 to
        0.49 cycles per voxel of its own, so 1.25 leaves the corners of the band whole.
    body_voxel : float
        mm, of the layers outside the heart, at least.
    state_spacing : float
        mm of the diaphragm between the states that are painted, at most; see :func:`state_levels`.
    eps : float
        Relative accuracy of the transforms.
    """

    finer: float = 1.25
    body_voxel: float = 2.0
    state_spacing: float = 2.5
    eps: float = 1e-4


class Coils(Protocol):
    """What receives: :class:`csiq.simulate.coils.CoilArray`, or a combination of its loops."""

    @property
    def n_coils(self) -> int:
        """Number of channels."""

    def sensitivities(self, grid: Grid, *, threads: int | None = None) -> np.ndarray:
        """Return complex64 maps (n_coils, *grid.shape)."""


@dataclass(frozen=True)
class Layer:
    """A part of the patient on a grid of its own.

    Attributes
    ----------
    part : str
        ``heart``, ``organs`` or ``still``.
    grid : Grid
    weight : float32 array, broadcastable to the grid
        Share of each voxel that belongs to this layer, excitation included.
    maps : Maps, optional
        Sensitivities of the coils.
    still : float32 array, optional
        Of ``organs``: what of the body never moves.
    flat : bool
        Whether the grid's slices are averaged into one (a 2D scan).
    """

    part: str
    grid: Grid
    weight: np.ndarray
    maps: Maps | None = None
    still: np.ndarray | None = None
    flat: bool = False

    def image(self, patient: Patient, level: float, threads: int | None = None) -> np.ndarray:
        """Return the layer with the diaphragm at ``level`` mm, float32."""
        state = MotionState(level)
        if self.part == "still":
            return rasterise(patient, self.grid, parts="static", threads=threads) * self.weight
        body = rasterise(patient, self.grid, state, parts="body", threads=threads)
        if self.part == "organs":
            return (body - self.still) * self.weight
        both = rasterise(patient, self.grid, state, parts="heart", over=body, threads=threads)
        return (both - body) * self.weight

    def shift(self, patient: Patient, displacement: np.ndarray) -> np.ndarray:
        """Return how far the layer has moved as a whole, float64 (n, 3) mm z y x."""
        displacement = np.asarray(displacement, dtype=np.float64)
        if self.part == "still":
            return np.zeros((*displacement.shape, 3))
        anchor = np.zeros(3) if self.part == "heart" else np.array([patient.body.dome, 0.0, 0.0])
        move = patient.coupling.heart_map if self.part == "heart" else patient.coupling.liver_map
        # the laws are smooth: a table is exact to far below a micrometre
        at = np.linspace(displacement.min(), displacement.max(), 129)
        table = np.stack([move(MotionState(float(d)))(anchor) - anchor for d in at])
        return np.stack([np.interp(displacement, at, column) for column in table.T], axis=-1)


def layers_of(
    patient: Patient, coils: Coils, config: ScanConfig, detail: Detail, reach: tuple[float, float]
) -> tuple[Layer, ...]:
    """Return the layers of a scan, those that move first.

    Parameters
    ----------
    reach : (float, float)
        Least and largest displacement of the diaphragm, mm: what a layer holds between them lies in its grid.
    """
    fine = config.fov / (2 * round(detail.finer * config.matrix / 2))
    coarse = max(detail.body_voxel, fine, min(_COARSER * fine, _COARSEST))
    heart, moving, body = _extents(patient, config, reach)
    box = _grid_over(heart, fine, config)
    organs, outside = (_grid_over(corners, coarse, config) for corners in (moving, body))
    n = round(config.fov / fine)
    in_field = Grid.cube(n, config.fov)
    if config.is_2d:
        in_field = Grid((N_SLICES, n, n), box.voxel_size, (box.centre[0], 0.0, 0.0))

    def layer(part: str, grid: Grid, share: np.ndarray | float = 1.0) -> Layer:
        weight = (excitation(grid, config) * share).astype(np.float32)
        still = rasterise(patient, grid, parts="static") if part == "organs" else None
        return Layer(part, grid, weight, Maps.of(coils, grid), still, config.is_2d)

    return (
        layer("heart", box),
        layer("organs", organs),
        layer("still", in_field, _window(in_field, config)),
        layer("still", outside, 1 - _window(outside, config)),
    )


def excitation(grid: Grid, config: ScanConfig) -> np.ndarray:
    """Return how strongly slices are excited: the body fades out toward neck and belly.

    A stack-of-stars excites its slab alone, since its partitions would fold what is outside.

    Returns
    -------
    float64 array, (n_slices, 1, 1)
    """
    begin, end = _EXCITED
    if config.trajectory == "stack-of-stars":
        begin, end = config.fov / 2 - _SEAM, config.fov / 2
    fade = np.clip((np.abs(grid.axis(0)) - begin) / (end - begin), 0, 1)
    return (0.5 + 0.5 * np.cos(np.pi * fade)).reshape(-1, 1, 1)


def _extents(patient: Patient, config: ScanConfig, reach: tuple[float, float]) -> tuple[np.ndarray, ...]:
    """Return corners (2, 3) in mm of the heart, of what else moves, and of the body."""
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
    return tuple(_corners(where, look) for where in (heart, moving, body))


def _corners(where: np.ndarray, grid: Grid) -> np.ndarray:
    found = np.argwhere(where)
    if found.size == 0:
        return np.zeros((2, 3))
    ends = np.stack([found.min(axis=0) - 1, found.max(axis=0) + 1])
    return np.asarray(grid.origin + ends * np.array(grid.voxel_size))


def _grid_over(corners: np.ndarray, voxel: float, config: ScanConfig) -> Grid:
    """Return a grid from corner to corner; of a 2D scan over its slice."""
    shape = [max(2 * int(np.ceil((high - low) / voxel / 2)), 2) for low, high in corners.T]
    centre = [float(c) for c in corners.mean(axis=0)]
    if not config.is_2d:
        return Grid((shape[0], shape[1], shape[2]), (voxel,) * 3, (centre[0], centre[1], centre[2]))
    step = SLICE_THICKNESS / N_SLICES
    return Grid((N_SLICES, shape[1], shape[2]), (step, voxel, voxel), (step / 2, centre[1], centre[2]))


def _window(grid: Grid, config: ScanConfig) -> np.ndarray:
    """Return 1 in the field of view, 0 outside, a cosine between; a 2D scan has no border along z."""
    window = np.ones((1, 1, 1))
    for axis in (1, 2) if config.is_2d else (0, 1, 2):
        inside = np.clip((config.fov / 2 - np.abs(grid.axis(axis))) / _SEAM, 0, 1)
        shape = [1, 1, 1]
        shape[axis] = -1
        window = window * (0.5 - 0.5 * np.cos(np.pi * inside)).reshape(shape)
    return window
