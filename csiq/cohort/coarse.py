"""Coarse volumes: the image of each patient once more in larger voxels, as quick reconstructions have.

A network that learns from volumes of one voxel size takes the softness of larger voxels for a blur. So each
patient is scanned and gridded once more at a smaller matrix over the same 208 mm, and that image is measured,
graded and read like the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from csiq.cohort.cohort_folder import COARSE
from csiq.cohort.grading import GradedPatient, further_scan
from csiq.cohort.manifest import GradedScan, write_manifest
from csiq.cohort.patients import CohortPatient
from csiq.cohort.splits import TEST

#: Manifest of the coarse volumes of test patients.
TESTING = "graded-coarse.tsv"
_STREAM = 9  # of a patient's random numbers; a scan draws from 2 to 7, iterates from 8
_READING = 1000  # stretch of random numbers of readers; iterates have those below


def coarse_patients(patients: Sequence[CohortPatient], matrices: Sequence[int]) -> list[CohortPatient]:
    """Return patients with the matrix of their coarse volume, one drawn for each."""
    return [replace(patient, matrix=_drawn(patient, matrices)) for patient in patients]


def grade_coarse(folder: Path, rows: Sequence[GradedPatient], *, seed: int) -> list[GradedScan]:
    """Have finished coarse volumes graded and read by the formula and the readers of the others.

    Parameters
    ----------
    folder : Path
        Of the cohort.
    rows : sequence of GradedPatient
        Whose split they share.
    seed : int
        Of the cohort.

    Raises
    ------
    RawDataError
        If a volume was not measured.
    """
    where = folder / COARSE
    return [further_scan(where / f"{row.patient.name}.nii", row, seed=seed, image=_READING) for row in rows]


def write_coarse_manifest(folder: Path, scans: Sequence[GradedScan]) -> None:
    """Write ``graded-coarse.tsv``, those of test patients: they are in no other manifest."""
    testing = [scan for scan in scans if scan.split == TEST]
    if testing:
        write_manifest(folder / TESTING, testing)


def _drawn(patient: CohortPatient, matrices: Sequence[int]) -> int:
    rng = np.random.default_rng([patient.seed, _STREAM])
    return int(matrices[int(rng.integers(len(matrices)))])
