"""SI spokes without the rest of a scan: a thousandth of k-space, and enough to test gating with."""

from __future__ import annotations

import numpy as np

from csiq.simulate.anatomy import Patient, rasterise
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.layers import Coils, Layer, excitation
from csiq.simulate.protocol import ScanConfig, si_coord
from csiq.simulate.signal import state_shares

_LENGTH = 416.0  # mm
_ALONG, _ACROSS = 160, 56  # voxels along z, and along y and x


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
    layers, maps = _layers(patient, coils, config)
    grid = layers[0].grid
    cycles = si_coord(config)[:, 0].astype(np.float64) / config.fov
    cell = float(np.prod(grid.voxel_size)) / (config.fov / config.matrix) ** 3 / config.matrix**1.5
    cell = cell / np.sinc(cycles * grid.voxel_size[0])  # painting averages over a voxel
    wave = cell * np.exp(-2j * np.pi * np.outer(grid.axis(0), cycles))

    def spoke(layer: Layer, level: float) -> np.ndarray:
        projection = np.einsum("czr,zr->cz", maps, layer.image(patient, level).reshape(_ALONG, -1))
        return np.asarray(projection @ wave)

    still, *moving = layers
    kspace = np.repeat(spoke(still, 0.0)[:, None], len(displacement), axis=1)
    for layer in moving:
        goal = layer.shift(patient, displacement)[:, 0] + (offset[:, 0] if layer.part == "heart" else 0.0)
        for level, rows, share in state_shares(displacement):
            moved = goal[rows] - layer.shift(patient, np.array([level]))[:, 0]
            ramp = share[:, None] * np.exp(-2j * np.pi * np.outer(moved, cycles))
            kspace[:, rows] += spoke(layer, level)[:, None, :] * ramp
    return kspace.astype(np.complex64)


def _layers(patient: Patient, coils: Coils, config: ScanConfig) -> tuple[tuple[Layer, ...], np.ndarray]:
    """Return what stays, what the diaphragm moves and the heart, on one grid, and maps (n_coils, z, y x)."""
    grid = Grid(
        (_ALONG, _ACROSS, _ACROSS),
        (_LENGTH / _ALONG, _LENGTH / _ACROSS, _LENGTH / _ACROSS),
        (0.0, *patient.body.middle),
    )
    weight = excitation(grid, config).astype(np.float32)
    layers = (
        Layer("still", grid, weight),
        Layer("organs", grid, weight, still=rasterise(patient, grid, parts="static")),
        Layer("heart", grid, weight),
    )
    return layers, coils.sensitivities(grid).reshape(coils.n_coils, _ALONG, -1)
