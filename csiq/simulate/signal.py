"""K-space of a moving patient.

The patient is painted at finely spaced displacements, on a grid finer than the reconstruction's inside the
field of view and on a coarse one over the whole body outside; the two are cut apart by a smooth window,
so nothing counts twice. Spokes in between two displacements mix both k-spaces linearly.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from csiq.arrays import default_threads
from csiq.simulate.anatomy import Patient, rasterise
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.coils import CoilArray
from csiq.simulate.motion import MotionState
from csiq.simulate.protocol import SLICE_THICKNESS, ScanConfig

_FINER = 1.25  # voxels of the painted object per reconstructed voxel and axis
_BODY_FOV = 416.0  # mm
_BODY_VOXEL = 4.16  # mm, at least
N_SLICES = 4  # painted across one slice of a 2D scan; even
_SEAM = 10.0  # mm over which the field of view fades into the body outside
_STATE_SPACING = 1.2  # mm of diaphragm: less than half a voxel of the heart at any matrix
_MIN_STATES, _MAX_STATES = 12, 24
_EXCITED = (150.0, 205.0)  # mm from the centre, where excitation begins and ends to fade along z
_EPS = 1e-4
_UPSAMPLING = 1.25  # of the transform; a type 2 still errs by 3e-5 only, type 1 would not


@dataclass(frozen=True)
class Layer:
    """A grid, the part of the body it stands for, and how much of k-space it reaches.

    Attributes
    ----------
    grid : Grid
    weight : float32 array, broadcastable to the grid
        Share of each voxel that belongs to this layer, excitation included.
    smaps : complex64 array, (n_coils, *grid.shape)
    flat : bool
        Whether the grid's slices are averaged into one (a 2D scan).
    """

    grid: Grid
    weight: np.ndarray
    smaps: np.ndarray
    flat: bool = False


@dataclass(frozen=True)
class Scene:
    """A patient under coils, cut into layers.

    Attributes
    ----------
    patient : Patient
    coils : CoilArray
    layers : tuple of Layer
    fov : float
        mm; the unit of k-space is one cycle over it.
    scale : float
        Makes a voxel sum over mm^3 the unitary transform on the reconstruction's matrix.
    """

    patient: Patient
    coils: CoilArray
    layers: tuple[Layer, ...]
    fov: float
    scale: float

    @classmethod
    def build(cls, patient: Patient, coils: CoilArray, config: ScanConfig) -> Scene:
        """Return the scene of a scan."""
        grids = _grids(patient, config)
        inner = _window(grids[0], config)
        outer = 1 - _window(grids[1], config)
        layers = tuple(
            Layer(
                grid,
                (part * excitation(grid, config)).astype(np.float32),
                coils.sensitivities(grid),
                config.is_2d,
            )
            for grid, part in zip(grids, (inner, outer), strict=True)
        )
        geometry = config.geometry
        cell = float(np.prod(geometry.voxel_size) * np.sqrt(np.prod(geometry.shape)))
        return cls(patient, coils, layers, config.fov, 1 / cell)


def moving_kspace(
    scene: Scene, coord: np.ndarray, displacement: np.ndarray, *, threads: int | None = None
) -> np.ndarray:
    """Return the noiseless k-space of readouts, each at its own displacement.

    Parameters
    ----------
    coord : float32 array, (n_readouts, n_samples, 3)
        Cycles per field of view, z y x.
    displacement : float array, (n_readouts,)
        mm at the diaphragm.
    threads : int, optional
        The result does not depend on it.

    Returns
    -------
    complex64 array, (n_coils, n_readouts, n_samples)
    """
    kspace = np.zeros((scene.coils.n_coils, *coord.shape[:2]), dtype=np.complex64)
    for level, rows, share in state_shares(displacement):
        for layer in scene.layers:
            image = rasterise(scene.patient, layer.grid, MotionState(level), threads=threads) * layer.weight
            _add_layer(kspace, scene, layer, image, (coord, rows, share), threads or default_threads())
    return kspace


def state_levels(displacement: np.ndarray) -> np.ndarray:
    """Return the displacements at which the patient is painted, mm."""
    low, high = float(np.min(displacement)), float(np.max(displacement))
    if high - low < 1e-6:
        return np.array([low])
    wanted = np.ceil((high - low) / _STATE_SPACING) + 1
    return np.linspace(low, high, int(np.clip(wanted, _MIN_STATES, _MAX_STATES)))


def state_shares(displacement: np.ndarray) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Yield each level with the readouts that use it and their shares (linear interpolation)."""
    levels = state_levels(displacement)
    if levels.size == 1:
        yield float(levels[0]), np.arange(len(displacement)), np.ones(len(displacement))
        return
    spacing = levels[1] - levels[0]
    for level in levels:
        share = 1 - np.abs(displacement - level) / spacing
        rows = np.flatnonzero(share > 1e-6)
        if rows.size:
            yield float(level), rows, share[rows]


def _add_layer(
    kspace: np.ndarray,
    scene: Scene,
    layer: Layer,
    image: np.ndarray,
    readouts: tuple[np.ndarray, np.ndarray, np.ndarray],
    threads: int,
) -> None:
    coord, rows, share = readouts
    points, where, factor = _reachable(layer, scene, coord[rows], share)
    if where.size == 0:
        return
    n_coils = scene.coils.n_coils
    flat_rows = (rows[:, None] * coord.shape[1] + np.arange(coord.shape[1])).ravel()[where]

    def transform(coils: range) -> None:
        import finufft

        shape = layer.grid.shape[1:] if layer.flat else layer.grid.shape
        plan = finufft.Plan(
            2, shape, eps=_EPS, isign=-1, dtype="complex64", nthreads=1, upsampfac=_UPSAMPLING
        )
        plan.setpts(*points)
        for coil in coils:
            product = image * layer.smaps[coil]
            values = plan.execute(product.mean(axis=0) if layer.flat else product)
            kspace[coil].reshape(-1)[flat_rows] += factor * values

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(transform, [range(first, n_coils, threads) for first in range(threads)]))


def _reachable(
    layer: Layer, scene: Scene, coord: np.ndarray, share: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Return angles per voxel of the samples a layer reaches, their flat indices, and what to multiply by.

    A coarse grid reaches k = half a cycle per voxel; the last fifth fades out. Painting averages over a
    voxel; dividing by that average's transform makes the k-space that of the shapes themselves.
    """
    axes = (1, 2) if layer.flat else (0, 1, 2)
    cycles = coord.reshape(-1, 3).astype(np.float64) / scene.fov  # per mm
    per_voxel = cycles * np.array(layer.grid.voxel_size)
    radius = np.sqrt((per_voxel[:, axes] ** 2).sum(axis=1))
    fade = 0.5 * (1 + np.cos(np.pi * np.clip((radius - 0.41) / 0.08, 0, 1)))
    where = np.flatnonzero(fade > 1e-3)
    away = np.exp(-2j * np.pi * (cycles[where] @ np.array(layer.grid.centre)))
    if layer.flat:  # slices beside each other are averaged, not resolved
        away = np.exp(-2j * np.pi * (cycles[where, 1:] @ np.array(layer.grid.centre[1:])))
    cell = float(np.prod(layer.grid.voxel_size)) * (layer.grid.shape[0] if layer.flat else 1)
    weight = np.repeat(share, coord.shape[1])[where] * fade[where] * (cell * scene.scale)
    factor = weight * away / np.sinc(per_voxel[where][:, axes]).prod(axis=1)
    angles = (2 * np.pi * per_voxel[where]).astype(np.float32)
    return [np.ascontiguousarray(angles[:, a]) for a in axes], where, factor.astype(np.complex64)


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


def _grids(patient: Patient, config: ScanConfig) -> tuple[Grid, Grid]:
    """Return the fine grid over the field of view and the coarse one over the body."""
    fov, voxel = config.fov, config.fov / config.matrix
    middle = (0.0, *patient.body.middle)
    n_fine = 2 * round(_FINER * config.matrix / 2)
    n_coarse = 2 * round(_BODY_FOV / max(_BODY_VOXEL, voxel / _FINER) / 2)
    if not config.is_2d:
        return Grid.cube(n_fine, fov), Grid.cube(n_coarse, _BODY_FOV, middle)
    step = SLICE_THICKNESS / N_SLICES
    offset = step / 2  # an even number of slices has its middle between two
    fine, coarse = fov / n_fine, _BODY_FOV / n_coarse
    return (
        Grid((N_SLICES, n_fine, n_fine), (step, fine, fine), (offset, 0.0, 0.0)),
        Grid((N_SLICES, n_coarse, n_coarse), (step, coarse, coarse), (offset, *middle[1:])),
    )


def _window(grid: Grid, config: ScanConfig) -> np.ndarray:
    """Return 1 inside the field of view, 0 outside, a cosine between."""
    window = np.ones((1, 1, 1))
    for axis in (1, 2) if config.is_2d else (0, 1, 2):
        inside = np.clip((config.fov / 2 - np.abs(grid.axis(axis))) / _SEAM, 0, 1)
        shape = [1, 1, 1]
        shape[axis] = -1
        window = window * (0.5 - 0.5 * np.cos(np.pi * inside)).reshape(shape)
    return window
