"""A quick scan of a patient for grading: a few painted positions, three loops, noise.

Coarser than :mod:`csiq.simulate.scan` where a grade does not see it (the patient is painted on the grid of
the reconstruction, whole heartbeats share a position), so that images can be made by the thousand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from csiq.simulate.anatomy import Patient, rasterise
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.coils import CoilArray
from csiq.simulate.motion import MotionState
from csiq.trajectory import (
    default_interleaves,
    interleave_sizes,
    phyllotaxis_directions,
    phyllotaxis_order,
    radial_coord,
)

FOV = 208.0
#: The body outside is painted this much wider and on as many fewer voxels.
_WIDER = 2.25
_N_LEVELS = 6

#: Number of heartbeats -> displacement of each, mm.
Draw = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Scene:
    """A patient on a reconstruction grid, under coils.

    Attributes
    ----------
    patient : Patient
    grid, body : Grid
        Of the reconstruction, and a wide coarse one for the body outside.
    maps, body_maps : complex64 array, (n_coils, z, y, x)
        Sensitivities on the two.
    shading : float32 array, (z, y, x)
        Their root sum of squares, which stays in an image combined with maps of unit root sum of squares.
    """

    patient: Patient
    grid: Grid
    body: Grid
    maps: np.ndarray
    body_maps: np.ndarray
    shading: np.ndarray

    @classmethod
    def make(cls, patient: Patient, n: int, n_coils: int, rng: np.random.Generator) -> Scene:
        """Return the scene of ``n`` voxels an axis; the heart lies near the centre, as on a scanner."""
        z, y, x = (float(c) for c in rng.uniform(-6, 6, 3))
        grid = Grid.cube(n, FOV, (z, y, x))
        body = Grid.cube(max(48, n // 2), FOV * _WIDER, (z, y, x))
        coils = CoilArray.around(patient.body, n_coils, rng)
        maps, body_maps = (coils.sensitivities(g, threads=1) for g in (grid, body))
        return cls(patient, grid, body, maps, body_maps, np.sqrt(np.sum(np.abs(maps) ** 2, axis=0)))

    def image(self, displacement: float) -> np.ndarray:
        """Return the patient on the reconstruction grid, float32."""
        return rasterise(self.patient, self.grid, MotionState(displacement), threads=1)

    def outside(self, displacement: float) -> np.ndarray:
        """Return the body around the field of view, float32 on the wide grid."""
        wide = rasterise(self.patient, self.body, MotionState(displacement), threads=1)
        near = [np.abs(self.body.axis(a) - self.grid.centre[a]) <= FOV / 2 for a in range(3)]
        wide[np.ix_(*near)] = 0
        return wide

    @property
    def unit_maps(self) -> np.ndarray:
        """Sensitivities of unit root sum of squares, as a reconstruction uses them."""
        return self.maps / self.shading


@dataclass(frozen=True)
class Spokes:
    """Where and when k-space is sampled: each interleave sees the patient at one displacement.

    Attributes
    ----------
    coord : float32 array, (n_spokes, n_samples, 3)
    displacement : float64 array, (n_spokes,)
        mm.
    """

    coord: np.ndarray
    displacement: np.ndarray

    @classmethod
    def phyllotaxis(cls, n: int, n_spokes: int, displacement_of: Draw, rng: np.random.Generator) -> Spokes:
        """Return a phyllotaxis whose interleaves draw their displacements from ``displacement_of(count)``."""
        n_interleaves = default_interleaves(n_spokes)
        order = phyllotaxis_order(n_spokes, n_interleaves)
        coord = radial_coord(phyllotaxis_directions(order), n, 2 * n)
        levels = displacement_of(n_interleaves)
        rng.shuffle(levels)
        return cls(coord, np.repeat(levels, interleave_sizes(n_spokes, n_interleaves)))


def sample(scene: Scene, spokes: Spokes, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Return noisy k-space, complex64 (n_coils, n_spokes, n_samples).

    Parameters
    ----------
    noise : float
        SD of real and imaginary part together, arterial blood 1, per sample of a unitary transform.
    """
    kspace = np.zeros((len(scene.maps), *spokes.coord.shape[:2]), dtype=np.complex64)
    for level in np.unique(spokes.displacement):
        chosen = spokes.displacement == level
        kspace[:, chosen] = _transform(scene.maps * scene.image(float(level)), spokes.coord[chosen])
    kspace += _outside(scene, spokes)
    shape = kspace.shape
    both = rng.standard_normal((2, *shape), dtype=np.float32) * np.float32(noise / np.sqrt(2))
    return kspace + (both[0] + 1j * both[1]).astype(np.complex64)


def _outside(scene: Scene, spokes: Spokes) -> np.ndarray:
    """Return what the body around the field of view adds; its k-space is smaller."""
    wide = scene.outside(float(spokes.displacement.mean()))
    # beyond the wide grid's own band there is nothing of it
    band = np.all(np.abs(spokes.coord) * _WIDER < scene.body.shape[0] / 2, axis=-1)
    volume = np.prod(scene.body.voxel_size) / np.prod(scene.grid.voxel_size)
    unit = np.sqrt(np.prod(scene.body.shape) / np.prod(scene.grid.shape)) * volume
    return _transform(scene.body_maps * wide, spokes.coord * np.float32(_WIDER)) * (band * np.float32(unit))


def _transform(images: np.ndarray, coord: np.ndarray) -> np.ndarray:
    """Return the samples of images (n, z, y, x) to 1e-3, far below their noise: four times as fast."""
    import finufft

    shape = images.shape[1:]
    angles = [
        np.ascontiguousarray(coord[..., a].ravel() * np.float32(2 * np.pi / shape[a])) for a in range(3)
    ]
    scale = np.float32(1 / np.sqrt(np.prod(shape)))
    samples = [
        finufft.nufft3d2(*angles, image, eps=1e-3, isign=-1, upsampfac=1.25, nthreads=1) for image in images
    ]
    return np.stack(samples).reshape(-1, *coord.shape[:-1]) * scale


def noise_of(snr: float) -> float:
    """Return the noise per sample that leaves blood ``snr`` times the noise of a Nyquist-sampled image."""
    return 1.0 / snr


def breathing_levels(count: int, amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """Return displacements of heartbeats in free breathing: long at end-expiration, some drift.

    Rounded to a few levels of equal count, each at its mean, so that few positions need painting.
    """
    trace = amplitude * np.sin(np.pi * rng.random(count)) ** rng.uniform(2, 6)
    trace *= np.clip(1 + 0.25 * rng.standard_normal(count), 0.3, 1.8)
    trace += rng.uniform(0, 0.25) * amplitude * np.linspace(-0.5, 0.5, count)
    order = np.argsort(trace)
    for part in np.array_split(order, min(_N_LEVELS, count)):
        trace[part] = trace[part].mean()
    return trace
