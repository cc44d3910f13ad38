"""Images of known quality: simulated patients, degraded in steps, each with its reference grade.

Three kinds, so that the network learns quality and not one reconstruction:

- ``full``: fully sampled, with residual motion and noise: what a perfect scan of this patient could be;
- ``gridded``: radial spokes from 3 to 40 % of Nyquist, several motion states in the bin, noise;
- ``cs``: a free-breathing scan of four bins, its real compressed-sensing iterates from the gridded image on.

Residual motion means that spokes of one image see the patient at different displacements; the truth is the
patient at their mean. The body outside the field of view is there, at lower resolution.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from csiq.operators import ForwardModel
from csiq.quality.formula import reference
from csiq.quality.patches import HALF_EDGE, OFFSETS
from csiq.quality.training_set import GradedImage, describe_set, finish_patient, store_slices
from csiq.simulate.anatomy import Patient, heart_mask, rasterise
from csiq.simulate.coils import CoilArray
from csiq.simulate.motion import MotionState
from csiq.simulate.shapes import Grid
from csiq.solvers import build_problem, solve
from csiq.trajectory import (
    default_interleaves,
    density_compensation,
    interleave_sizes,
    phyllotaxis_directions,
    phyllotaxis_order,
    radial_coord,
)

FOV = 208.0
#: The body outside is painted this much wider and on as many fewer voxels.
_WIDER = 2.25
_N_LEVELS = 6
_N_PHASES = 4


@dataclass(frozen=True)
class GradedConfig:
    """Which images are made of a patient.

    Attributes
    ----------
    matrices : tuple of int
        Voxels over the 208 mm field of view; drawn with ``shares``.
    largest_cs : int
        Matrix up to which there are compressed-sensing iterates: beyond, they take too long.
    cs_patients : int
        Only the first patients of the list get compressed-sensing iterates, at a minute each; the further
        ones show more anatomy.
    n_coils : int
        Loops on chest and back.
    lamda : float
        Of the compressed-sensing iterates.
    iterates : tuple of int
        Kept ones, 0 the gridded image.
    last_shares : tuple of float
        A patient's solver ends at one of the last iterates, drawn with these shares.
    phases_kept : int
        Phases of each iterate, drawn anew each time.
    n_full, n_gridded : int
        Images of these kinds a patient.
    n_slices : int
        Slices an orientation of a training image, at random places; validation and test images have the six
        of the grader.
    """

    matrices: tuple[int, ...] = (96, 128, 160, 208)
    shares: tuple[float, ...] = (0.50, 0.38, 0.07, 0.05)
    largest_cs: int = 128
    cs_patients: int = 36
    n_coils: int = 3
    lamda: float = 0.02
    iterates: tuple[int, ...] = (0, 1, 2, 4, 7, 12, 20)
    last_shares: tuple[float, ...] = (0.15, 0.25, 0.30, 0.30)
    phases_kept: int = 2
    n_full: int = 3
    n_gridded: int = 1
    n_slices: int = 9


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
    def phyllotaxis(cls, n: int, n_spokes: int, displacement_of: Any, rng: np.random.Generator) -> Spokes:
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


class PatientImages:
    """The graded images of one patient, made and stored one after the other."""

    def __init__(self, folder: Path, seed: int, split: str, config: GradedConfig) -> None:
        self.folder, self.seed, self.split, self.config = folder, seed, split, config
        self.rng = np.random.default_rng([seed, 7])
        self.n = int(self.rng.choice(config.matrices, p=config.shares))
        self.scene = Scene.make(Patient.from_seed(seed), self.n, config.n_coils, self.rng)
        self.images: list[GradedImage] = []

    def make(self) -> list[GradedImage]:
        """Make all images of the patient and list them."""
        for _ in range(self.config.n_full):
            self._full()
        for _ in range(self.config.n_gridded):
            self._gridded()
        if self.n <= self.config.largest_cs:
            self._compressed_sensing()
        finish_patient(self.folder, self.seed, self.images)
        return self.images

    def _store(self, kind: str, volume: np.ndarray, displacement: float, details: dict[str, Any]) -> None:
        truth = self.scene.image(displacement) * self.scene.shading
        heart = heart_mask(self.scene.patient, self.scene.grid, MotionState(displacement))
        found = reference(volume, truth, heart)
        offsets: tuple[float, ...] = OFFSETS
        if self.split == "train":
            count = self.config.n_slices
            offsets = tuple(np.round(self.rng.uniform(-HALF_EDGE, HALF_EDGE, count), 1))
        image = GradedImage(
            name=f"{self.seed:05d}-{len(self.images):02d}-{kind}",
            patient=self.seed,
            split=self.split,
            kind=kind,
            grade=round(found.grade, 4),
            voxel_size=round(FOV / self.n, 4),
            details={**details, "error": round(found.error, 4), "sharpness": round(found.sharpness, 4)},
        )
        self.images.append(store_slices(self.folder, volume, image, offsets))

    def _full(self) -> None:
        """Average the patient over residual motion and add noise of the sampled band."""
        motion = float(self.rng.choice([0.0, self.rng.uniform(0, 16)]))
        centre = float(self.rng.uniform(0, 10))
        snr = float(np.exp(self.rng.uniform(np.log(3), np.log(60))))
        states = centre + motion * np.linspace(-0.5, 0.5, 1 + int(motion / 2))
        volume = np.mean([self.scene.image(float(s)) for s in states], axis=0) * self.scene.shading
        axis = np.fft.fftfreq(self.n)
        band = sum(a**2 for a in np.meshgrid(axis, axis, axis, indexing="ij", sparse=True)) <= 0.25
        noise = self.rng.standard_normal((2, *volume.shape), dtype=np.float32) / (snr * np.sqrt(2))
        spectrum = np.fft.fftn(volume + noise[0] + 1j * noise[1]) * band
        details = {"motion_mm": round(motion, 2), "snr": round(snr, 2), "nyquist": 1.0}
        self._store("full", np.fft.ifftn(spectrum), float(states.mean()), details)

    def _gridded(self) -> None:
        """Grid radial spokes of one image with motion states within it."""
        share = float(np.exp(self.rng.uniform(np.log(0.03), np.log(0.4))))
        motion = float(self.rng.choice([0.0, self.rng.uniform(0, 16)]))
        centre = float(self.rng.uniform(0, 10))
        snr = float(np.exp(self.rng.uniform(np.log(8), np.log(60))))
        levels = centre + motion * np.linspace(-0.5, 0.5, 1 + min(int(motion / 2), 4))
        n_spokes = round(share * np.pi / 2 * self.n**2)
        spokes = Spokes.phyllotaxis(self.n, n_spokes, lambda m: np.resize(levels, m).astype(float), self.rng)
        kspace = sample(self.scene, spokes, noise_of(snr), self.rng)
        model = ForwardModel([spokes.coord], self.scene.unit_maps, threads=1)
        volume = model.H(density_compensation(spokes.coord) * kspace)[0]
        details = {"motion_mm": round(motion, 2), "snr": round(snr, 2), "nyquist": round(share, 4)}
        self._store("gridded", volume, float(spokes.displacement.mean()), details)

    def _compressed_sensing(self) -> None:
        """Reconstruct a free-breathing scan and keep iterates of its phases."""
        n_spokes = round(0.2 * np.pi / 2 * self.n**2)
        amplitude = float(self.rng.uniform(4, 22))
        snr = float(np.exp(self.rng.uniform(np.log(10), np.log(60))))
        spokes = Spokes.phyllotaxis(
            self.n, n_spokes, lambda m: breathing_levels(m, amplitude, self.rng), self.rng
        )
        kspace = sample(self.scene, spokes, noise_of(snr), self.rng)
        gating_error = float(self.rng.choice([0.0, 0.05, 0.15, 0.4]))
        bins = self._bins(spokes, gating_error * amplitude)
        coords = [spokes.coord[b] for b in bins]
        dcf = np.concatenate([density_compensation(c) for c in coords])
        model = ForwardModel(coords, self.scene.unit_maps, threads=1)
        problem = build_problem(model, kspace[:, np.concatenate(bins)], dcf, self.config.lamda)
        details = {"motion_mm": round(amplitude, 2), "snr": round(snr, 2), "nyquist": 0.05}
        last = int(
            self.rng.choice(self.config.iterates[-len(self.config.last_shares) :], p=self.config.last_shares)
        )
        for iterate in solve(problem, "bb", last):
            if iterate.iteration not in self.config.iterates:
                continue
            for phase in self.rng.permutation(_N_PHASES)[: self.config.phases_kept].tolist():
                where = float(spokes.displacement[bins[phase]].mean())
                more = {"iteration": iterate.iteration, "phase": phase + 1, "gating_error": gating_error}
                self._store("cs", iterate.volumes[phase], where, {**details, **more})

    def _bins(self, spokes: Spokes, error: float) -> list[np.ndarray]:
        """Return spokes in four bins by displacement; whole interleaves, with an error of gating in mm."""
        change = np.flatnonzero(np.diff(spokes.displacement, prepend=np.nan))
        seen = spokes.displacement.copy()
        for block in np.split(np.arange(len(seen)), change[1:]):
            seen[block] += error * self.rng.standard_normal() + 1e-6 * self.rng.random()
        order = np.argsort(seen, kind="stable")
        return [np.sort(part) for part in np.array_split(order, _N_PHASES)]


def patient_seeds(n_train: int, n_validation: int, n_test: int, seed: int = 0) -> list[tuple[int, str]]:
    """Return seed and split of each patient, the splits mixed so that a part of the list has all three.

    Seeds of one split lie in a block of 10 000 that no other split touches.
    """
    counts = {"train": n_train, "validation": n_validation, "test": n_test}
    found = []
    for block, (split, count) in enumerate(counts.items()):
        first = 100_000 * (seed + 1) + 10_000 * block
        found += [((i + 0.5) / count, first + i, split) for i in range(count)]
    return [(patient, split) for _, patient, split in sorted(found)]


def make_patient(folder: Path, patient: int, split: str, config: GradedConfig) -> int:
    """Make the images of one patient unless they are there; return how many there are."""
    index = folder / f"patient-{patient}.jsonl"
    if index.exists():
        return len(index.read_text(encoding="utf-8").splitlines())
    return len(PatientImages(folder, patient, split, config).make())


def make_training_set(
    folder: Path, patients: list[tuple[int, str]], config: GradedConfig, workers: int
) -> Iterator[tuple[int, int]]:
    """Make the images of many patients in processes of their own; yield patient and images as they come.

    What is there already stays. The result does not depend on the number of workers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    describe_set(folder, {"made_by": "csiq.simulate.graded", "fov_mm": FOV, **asdict(config)})
    # never fork: it hangs after OpenMP libraries were used
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        plain = replace(config, largest_cs=0)
        jobs = {}
        for rank, (patient, split) in enumerate(patients):
            chosen = config if rank < config.cs_patients else plain
            jobs[pool.submit(make_patient, folder, patient, split, chosen)] = patient
        for job in as_completed(jobs):
            yield jobs[job], job.result()
