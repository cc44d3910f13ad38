"""SI spokes without the rest of a scan: a thousandth of k-space, and enough to test gating with."""

from __future__ import annotations

import numpy as np

from csiq.simulate.anatomy import Patient, rasterise
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.coils import CoilArray
from csiq.simulate.motion import MotionState
from csiq.simulate.protocol import ScanConfig, si_coord
from csiq.simulate.signal import excitation, state_shares

_LENGTH = 416.0  # mm
_ALONG, _ACROSS = 160, 56  # voxels along z, and along y and x


def projection_kspace(
    patient: Patient, coils: CoilArray, config: ScanConfig, displacement: np.ndarray
) -> np.ndarray:
    """Return noiseless SI spokes, each at its own displacement.

    Returns
    -------
    complex64 array, (n_coils, n_navigators, n_samples)
    """
    grid = Grid(
        (_ALONG, _ACROSS, _ACROSS),
        (_LENGTH / _ALONG, _LENGTH / _ACROSS, _LENGTH / _ACROSS),
        (0.0, *patient.body.middle),
    )
    weight = excitation(grid, config).astype(np.float32)
    smaps = coils.sensitivities(grid).reshape(coils.n_coils, _ALONG, -1)
    cell = float(np.prod(grid.voxel_size)) / (config.fov / config.matrix) ** 3 / config.matrix**1.5
    cycles = si_coord(config)[:, 0].astype(np.float64) / config.fov
    cell = cell / np.sinc(cycles * grid.voxel_size[0])  # painting averages over a voxel
    wave = (cell * np.exp(-2j * np.pi * np.outer(grid.axis(0), cycles))).astype(np.complex64)
    kspace = np.zeros((coils.n_coils, len(displacement), config.n_samples), dtype=np.complex64)
    for level, rows, share in state_shares(displacement):
        image = (rasterise(patient, grid, MotionState(level)) * weight).reshape(_ALONG, -1)
        projection = np.einsum("czr,zr->cz", smaps, image)
        kspace[:, rows] += share[:, None].astype(np.float32) * (projection @ wave)[:, None, :]
    return kspace
