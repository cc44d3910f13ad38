"""A cohort's folder with tiny volumes, and graders that read the grade off a volume's brightness."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from csiq.cohort.manifest import GradedScan, write_manifest
from csiq.cohort.patients import draw_patients
from csiq.cohort.readers import PREFERENCE, as_row, read, reader_rng
from csiq.cohort.volume_file import write_int16
from csiq.io.tables import write_json, write_table

N, VOXEL = 16, 13.0  # 208 mm
SEED = 4


def affine() -> np.ndarray:
    """Return the affine that puts the origin in voxel n // 2."""
    found = np.diag([VOXEL, VOXEL, VOXEL, 1.0])
    found[:3, 3] = -VOXEL * (N // 2)
    return found


def make_cohort(folder: Path, n_patients: int = 30, *, known: bool = True) -> Path:
    """Write a cohort; every third patient is for training. Without ``known`` only what a clinic has."""
    (folder / "volumes").mkdir(parents=True)
    scans, people = [], []
    for patient in draw_patients(n_patients, seed=SEED, matrix=N):
        quality = round(4 * (patient.number - 0.5) / n_patients, 4)
        rng = np.random.default_rng(patient.seed)
        sharp = round(PREFERENCE.sharpness_mean + 0.2 * rng.standard_normal(), 4)
        clean = round(PREFERENCE.cleanliness_mean, 4)
        readings = as_row(read(quality, sharp, clean, reader_rng(SEED, patient.number)))
        path = folder / "volumes" / f"{patient.name}.nii"
        volume = np.full((N, N, N), 1 + quality)
        volume[0, 0, 0] = 6  # the same largest value everywhere, so the same rounding
        write_int16(path, volume, affine())
        split = "train1" if patient.number % 3 == 0 else "test"
        reference = quality if known else float("nan")
        scans.append(GradedScan(path, patient.name, split, readings, reference))
        facts = {"patient": patient.name, "number": patient.number, "seed": patient.seed}
        more = {"age": patient.age, "sex": patient.sex, "sharpness": sharp, "cleanliness": clean}
        people.append({**facts, **more})
    write_manifest(folder / "graded.tsv", scans)
    if known:
        write_table(folder / "patients.tsv", people)
        write_json(folder / "cohort.json", {"config": {"seed": SEED}})
    return folder


@dataclass
class Brightness:
    """Grades patches by the volume's brightness, with some spread and an error of its own."""

    name: str = "brightness"
    error: float = 0.1
    sha256: str = "0" * 64
    card: dict[str, Any] = field(default_factory=dict)
    calls: int = 0

    def patch_grades(self, volume: Any, voxel_size: tuple[float, float, float]) -> np.ndarray:
        self.calls += 1
        middle = float(np.asarray(volume)[8, 8, 8]) - 1
        spread = 0.5 * np.sin(7 * middle + np.arange(24)).reshape(3, 2, 2, 2)
        return (middle + self.error * np.sin(40 * middle) + spread).astype(np.float32)
