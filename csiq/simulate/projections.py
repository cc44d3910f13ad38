"""SI spokes without the rest of a scan: a thousandth of k-space, and enough to test gating with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from csiq.simulate.anatomy import Patient, rasterise
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.extents import excitation
from csiq.simulate.layers import Coils, shift_of
from csiq.simulate.motion import MotionState
from csiq.simulate.protocol import ScanConfig, si_coord
from csiq.simulate.signal import state_shares

_SHAPE, _VOXEL = (160, 42, 76), (2.6, 7.4, 7.4)  # mm: from neck to belly, from back to front, arm to arm


def projection_kspace(
    patient: Patient,
    coils: Coils,
    config: ScanConfig,
    displacement: np.ndarray,
    *,
    heart_offset: np.ndarray | None = None,
) -> np.ndarray:
    """Return noiseless SI spokes, each at its own displacement.

    Parameters
    ----------
    displacement : float array, (n_navigators,)
        mm at the diaphragm.
    heart_offset : float array, (n_navigators, 3), optional
        As in :func:`csiq.simulate.signal.moving_kspace`.

    Returns
    -------
    complex64 array, (n_coils, n_navigators, n_samples)
    """
    displacement = np.asarray(displacement, dtype=np.float64)
    offset = np.zeros((len(displacement), 3)) if heart_offset is None else np.asarray(heart_offset)
    grid = Grid(_SHAPE, _VOXEL, (0.0, *patient.body.middle))
    cycles = si_coord(config)[:, 0].astype(np.float64) / config.fov
    spoke = _spoke_of(coils, config, grid, cycles)
    still = rasterise(patient, grid, parts="static")
    kspace = np.repeat(spoke(still)[:, None], len(displacement), axis=1)
    follows = ("diaphragm", "heart")
    goal = [shift_of(patient, name, displacement)[:, 0] for name in follows]
    goal[1] = goal[1] + offset[:, 0]
    for level, rows, share in state_shares(displacement):
        body = rasterise(patient, grid, MotionState(level), parts="body")
        both = rasterise(patient, grid, MotionState(level), parts="heart", over=body)
        for number, image in enumerate((body - still, both - body)):
            moved = goal[number][rows] - shift_of(patient, follows[number], np.array([level]))[0, 0]
            ramp = share[:, None] * np.exp(-2j * np.pi * np.outer(moved, cycles))
            kspace[:, rows] += spoke(image)[:, None, :] * ramp
    return kspace.astype(np.complex64)


def _spoke_of(
    coils: Coils, config: ScanConfig, grid: Grid, cycles: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what makes the SI spoke (n_coils, n_samples) of an image."""
    maps = (coils.sensitivities(grid) * excitation(grid, config)).reshape(coils.n_coils, _SHAPE[0], -1)
    cell = float(np.prod(grid.voxel_size)) / (config.fov / config.matrix) ** 3 / config.matrix**1.5
    # painting averages over a voxel
    wave = cell / np.sinc(cycles * grid.voxel_size[0]) * np.exp(-2j * np.pi * np.outer(grid.axis(0), cycles))

    def spoke(image: np.ndarray) -> np.ndarray:
        return np.asarray(np.einsum("czr,zr->cz", maps, image.reshape(_SHAPE[0], -1)) @ wave)

    return spoke
