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
from csiq.simulate.anatomy import Patient, heart_mask
from csiq.simulate.motion import MotionState
from csiq.simulate.quick_scan import FOV, Scene, Spokes, breathing_levels, noise_of, sample
from csiq.solvers import build_problem, solve
from csiq.trajectory import density_compensation

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
