"""A patient cut into layers that are painted at one resolution and move as one.

=========  ==========================================  ============================  ==================
layer      what it holds                               voxels                        moves with
=========  ==========================================  ============================  ==================
heart      what the heart adds to the body, in a box   finer than reconstructed      the heart
organs     what breathing moves of the rest            2 mm, over what moves         the diaphragm
field      what stays, in the field of view            finer than reconstructed      nothing
outside    what stays, outside of it                   2 mm, over 416 mm             nothing
=========  ==========================================  ============================  ==================

The layers are differences of paintings of the same patient, so that they add up to the patient, and smooth
windows part them where resolution changes: nothing counts twice and nothing is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from csiq.simulate.anatomy import Patient, rasterise
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.motion import MotionState
from csiq.simulate.protocol import SLICE_THICKNESS, ScanConfig
from csiq.simulate.sensitivity import Maps

N_SLICES = 4  # painted across one slice of a 2D scan; even
_BODY_FOV = 416.0  # mm
_HEART_BOX = 168.0  # mm
_SEAM = 10.0  # mm over which a layer fades into the next
_EXCITED = (150.0, 205.0)  # mm from the centre, where excitation begins and ends to fade along z
_COARSER, _COARSEST = 1.5, 3.0  # a small matrix needs no 2 mm: times its own voxel; mm
_LOOK = 8.0  # mm: voxels with which the extent of a layer is found
_DEEPEST = 30.0  # mm of the diaphragm: what may move is looked for between this and end-expiration


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
    rest : float32 array, optional
        Of ``organs``: weight of what the heart adds outside its own box.
    still : float32 array, optional
        Of ``organs``: what of the body never moves.
    flat : bool
        Whether the grid's slices are averaged into one (a 2D scan).
    """

    part: str
    grid: Grid
    weight: np.ndarray
    maps: Maps | None = None
    rest: np.ndarray | None = None
    still: np.ndarray | None = None
    flat: bool = False

    def image(self, patient: Patient, level: float, threads: int | None = None) -> np.ndarray:
        """Return the layer with the diaphragm at ``level`` mm, float32."""
        state = MotionState(level)
        if self.part == "still":
            return rasterise(patient, self.grid, parts="static", threads=threads) * self.weight
        body = rasterise(patient, self.grid, state, parts="body", threads=threads)
        if self.part == "heart":
            return (rasterise(patient, self.grid, state, threads=threads) - body) * self.weight
        image = (body - self.still) * self.weight
        if self.rest is not None:
            image += (rasterise(patient, self.grid, state, threads=threads) - body) * self.rest
        return image

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


def layers_of(patient: Patient, coils: Coils, config: ScanConfig, detail: Detail) -> tuple[Layer, ...]:
    """Return the layers of a scan, those that move first."""
    fine = config.fov / (2 * round(detail.finer * config.matrix / 2))
    coarse = max(detail.body_voxel, fine, min(_COARSER * fine, _COARSEST))
    in_field, box = _fine_grids(patient, config, fine)
    moving, body = _extents(patient, config)
    organs, outside = (_grid_over(extent, coarse, config) for extent in (moving, body))

    def layer(part: str, grid: Grid, share: np.ndarray) -> Layer:
        weight = (excitation(grid, config) * share).astype(np.float32)
        return Layer(part, grid, weight, Maps.of(coils, grid), flat=config.is_2d)

    half = config.fov / 2
    rest = excitation(organs, config) * (1 - _window(organs, box.centre, _HEART_BOX / 2, config))
    moving_layer = replace(
        layer("organs", organs, np.ones((1, 1, 1))),
        rest=rest.astype(np.float32),
        still=rasterise(patient, organs, parts="static"),
    )
    return (
        layer("heart", box, _window(box, box.centre, _HEART_BOX / 2, config)),
        moving_layer,
        layer("still", in_field, _window(in_field, (0.0, 0.0, 0.0), half, config)),
        layer("still", outside, 1 - _window(outside, (0.0, 0.0, 0.0), half, config)),
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


def _fine_grids(patient: Patient, config: ScanConfig, voxel: float) -> tuple[Grid, Grid]:
    """Return the grids over the field of view and around the heart."""
    n_field, n_box = round(config.fov / voxel), 2 * round(_HEART_BOX / voxel / 2)
    # about the middle of the way the heart goes
    middle = patient.coupling.heart_map(MotionState(_DEEPEST / 4))(np.zeros(3))
    if not config.is_2d:
        centre = (float(middle[0]), float(middle[1]), float(middle[2]))
        return Grid.cube(n_field, config.fov), Grid.cube(n_box, n_box * voxel, centre)
    step = SLICE_THICKNESS / N_SLICES
    offset = step / 2  # an even number of slices has its middle between two
    size = (step, voxel, voxel)
    return (
        Grid((N_SLICES, n_field, n_field), size, (offset, 0.0, 0.0)),
        Grid((N_SLICES, n_box, n_box), size, (offset, float(middle[1]), float(middle[2]))),
    )


def _extents(patient: Patient, config: ScanConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners (2, 3) in mm of what breathing moves, and of the body."""
    n = 2 * round(_BODY_FOV / _LOOK / 2)
    look = Grid.cube(n, n * _LOOK, (0.0, *patient.body.middle))
    still = rasterise(patient, look, parts="static")
    states = [rasterise(patient, look, MotionState(d)) for d in (0.0, _DEEPEST / 2, _DEEPEST)]
    excited = excitation(look, config)
    moved = np.max([np.abs(image - still) for image in states], axis=0) * excited
    there = np.max(states, axis=0) * excited
    return _corners(moved > 1e-3, look), _corners(there > 1e-3, look)


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


def _window(grid: Grid, centre: tuple[float, float, float], half: float, config: ScanConfig) -> np.ndarray:
    """Return 1 in a box, 0 outside, a cosine between; a 2D scan has no border along z."""
    window = np.ones((1, 1, 1))
    for axis in (1, 2) if config.is_2d else (0, 1, 2):
        inside = np.clip((half - np.abs(grid.axis(axis) - centre[axis])) / _SEAM, 0, 1)
        shape = [1, 1, 1]
        shape[axis] = -1
        window = window * (0.5 - 0.5 * np.cos(np.pi * inside)).reshape(shape)
    return window
