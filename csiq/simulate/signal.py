"""K-space of a moving patient: the sum of the layers', each moved to where it is at each readout.

A layer is painted at evenly spaced displacements. A readout between two of them takes both k-spaces, each
translated by a phase ramp to where the layer is as a whole, and mixes them linearly: translation is
continuous and exact, and what is interpolated is only how the layer turns and is pressed together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from csiq.arrays import Device, default_threads, to_host
from csiq.errors import ShapeError
from csiq.simulate._signal_numba import ramps
from csiq.simulate.anatomy import Patient
from csiq.simulate.extents import N_SLICES, excitation
from csiq.simulate.layer_sums import Samples, add_layer, computing_on
from csiq.simulate.layers import Coils, Detail, Layer, Layers, shift_of
from csiq.simulate.protocol import ScanConfig

__all__ = ["N_SLICES", "Detail", "Scene", "excitation", "moving_kspace", "state_levels", "state_shares"]

_MIN_STATES, _MAX_STATES = 12, 24
_FEWEST_STATES, _STATE_VOXEL = 6, 2.2  # of larger voxels (below 95^3), mm, fewer do
_SLICE_SPACING = 1.2  # mm of the diaphragm, of a 2D scan
_FADE = (0.41, 0.49)  # cycles per voxel of a layer between which its k-space fades out


@dataclass(frozen=True)
class Scene:
    """A patient under coils, to be read out.

    Attributes
    ----------
    patient : Patient
    coils : Coils
    config : ScanConfig
    detail : Detail
    """

    patient: Patient
    coils: Coils
    config: ScanConfig
    detail: Detail

    @classmethod
    def build(cls, patient: Patient, coils: Coils, config: ScanConfig, detail: Detail | None = None) -> Scene:
        """Return the scene of a scan."""
        # motion through a slice cannot be had from its own k-space: it is painted more often
        detail = detail or (Detail(state_spacing=_SLICE_SPACING) if config.is_2d else Detail())
        return cls(patient, coils, config, detail)

    @property
    def scale(self) -> float:
        """What makes a voxel sum over mm^3 the unitary transform on the reconstruction's matrix."""
        geometry = self.config.geometry
        return 1 / float(np.prod(geometry.voxel_size) * np.sqrt(np.prod(geometry.shape)))

    @property
    def states(self) -> tuple[float, int]:
        """How far apart states are painted, mm of the diaphragm, and how many at least.

        What is mixed linearly is only how a layer turns and is pressed together; voxels twice as large show
        half as much of that.
        """
        voxel = 0.0 if self.config.is_2d else self.config.fov / self.config.matrix
        larger = max(voxel / _STATE_VOXEL, 1.0)
        return self.detail.state_spacing * larger, max(round(_MIN_STATES / larger), _FEWEST_STATES)


def moving_kspace(
    scene: Scene,
    coord: np.ndarray,
    displacement: np.ndarray,
    *,
    heart_offset: np.ndarray | None = None,
    threads: int | None = None,
    device: Device | str = "cpu",
) -> np.ndarray:
    """Return the noiseless k-space of readouts, each at its own displacement.

    Parameters
    ----------
    coord : float32 array, (n_readouts, n_samples, 3)
        Cycles per field of view, z y x.
    displacement : float array, (n_readouts,)
        mm at the diaphragm.
    heart_offset : float array, (n_readouts, 3), optional
        mm by which the heart lies elsewhere than breathing puts it, z y x; the rest of the body does not
        follow.
    threads : int, optional
        The result does not depend on it.
    device : Device or str
        Where to transform; painting stays on the CPU. A GPU's result differs by the accuracy of its
        transform. It has not run on a GPU yet; see :mod:`csiq.simulate.layer_sums`.

    Returns
    -------
    complex64 array, (n_coils, n_readouts, n_samples)
        On the CPU.

    Raises
    ------
    ShapeError
        If displacements or offsets do not fit the readouts.
    DeviceError, ResourceError
        If there is no such GPU, or its memory runs out.
    """
    n_readouts = coord.shape[0]
    displacement = np.asarray(displacement, dtype=np.float64)
    offset = np.zeros((n_readouts, 3)) if heart_offset is None else np.asarray(heart_offset, np.float64)
    if displacement.shape != (n_readouts,) or offset.shape != (n_readouts, 3):
        what = f"{n_readouts} readouts, displacements {displacement.shape}, offsets {offset.shape}"
        raise ShapeError(what, field="displacement, heart_offset")
    workers, eps = threads or default_threads(), scene.detail.eps
    with computing_on(device) as xp:
        kspace = xp.zeros((scene.coils.n_coils, *coord.shape[:2]), dtype=np.complex64)
        for layer, image, samples in _parts(scene, coord, displacement, offset, workers):
            add_layer(kspace, layer, image, samples, eps=eps, threads=workers)
        return to_host(kspace)


def _parts(
    scene: Scene, coord: np.ndarray, displacement: np.ndarray, offset: np.ndarray, threads: int
) -> Iterator[tuple[Layer, np.ndarray, Samples]]:
    """Yield every layer in every state: its image, and where it is heard."""
    n_readouts, reach = len(coord), (float(displacement.min()), float(displacement.max()))
    layers = Layers.of(scene.patient, scene.coils, scene.config, scene.detail, reach)
    stay = np.arange(n_readouts), np.ones(n_readouts), np.zeros((n_readouts, 3))
    for layer, image in layers.still:
        yield layer, image, layer_samples(scene, layer, coord, stay)
    goal = {name: shift_of(scene.patient, name, displacement) for name in ("heart", "diaphragm")}
    goal["heart"] += offset
    for level, rows, share in state_shares(displacement, *scene.states):
        for layer, image in layers.moving(level, threads):
            apart = goal[layer.follows][rows] - shift_of(scene.patient, layer.follows, np.array([level]))
            yield layer, image, layer_samples(scene, layer, coord[rows], (rows, share, apart))


def state_levels(
    displacement: np.ndarray, spacing: float = Detail.state_spacing, least: int = _MIN_STATES
) -> np.ndarray:
    """Return the displacements at which the patient is painted, mm."""
    low, high = float(np.min(displacement)), float(np.max(displacement))
    if high - low < 1e-6:
        return np.array([low])
    wanted = np.ceil((high - low) / spacing) + 1
    return np.linspace(low, high, int(np.clip(wanted, least, _MAX_STATES)))


def state_shares(
    displacement: np.ndarray, spacing: float = Detail.state_spacing, least: int = _MIN_STATES
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Yield each level with the readouts that use it and their shares (linear interpolation)."""
    levels = state_levels(displacement, spacing, least)
    if levels.size == 1:
        yield float(levels[0]), np.arange(len(displacement)), np.ones(len(displacement))
        return
    apart = levels[1] - levels[0]
    for level in levels:
        share = 1 - np.abs(displacement - level) / apart
        rows = np.flatnonzero(share > 1e-6)
        if rows.size:
            yield float(level), rows, share[rows]


def layer_samples(
    scene: Scene, layer: Layer, coord: np.ndarray, readouts: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> Samples:
    """Return the samples that a layer reaches, and what its sum is to be multiplied by there.

    A grid reaches k = half a cycle per voxel; before that it fades out. Painting averages over a voxel;
    dividing by that average's transform makes the k-space that of the shapes themselves.

    Parameters
    ----------
    coord : float32 array, (n_rows, n_samples, 3)
    readouts : int array (n_rows,), float array (n_rows,), float array (n_rows, 3)
        Number of each readout, the share of this state in it, and how far it sees the layer from there, mm.
    """
    rows, share, apart = readouts
    size, centre = np.array(layer.grid.voxel_size), np.array(layer.grid.centre)
    first = 1 if layer.flat else 0  # slices beside each other are averaged, not resolved
    cell = float(np.prod(size)) * (layer.grid.shape[0] if layer.flat else 1)
    angles = np.empty((3, rows.size * coord.shape[1]), np.float32)
    where = np.empty(angles.shape[1], np.int64)
    factor = np.empty(angles.shape[1], np.complex64)
    weights = share * cell * scene.scale
    settings = (size, 1 / scene.config.fov, first, *_FADE)
    count = ramps(angles, where, factor, coord, rows, weights, apart + centre, *settings)
    return Samples(tuple(angles[axis, :count] for axis in range(first, 3)), where[:count], factor[:count])
