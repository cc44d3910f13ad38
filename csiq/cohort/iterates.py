"""Graded iterates: what a grader meets during a reconstruction, of some patients who train.

Each of these patients is scanned once more with all coils, as raw data are (:mod:`csiq.cohort.raw`), and
reconstructed by csiq's own steps with their defaults. Eight volumes are kept: the four gridded phases
(iteration 0), and one iterate of each phase, one from each stretch of the reconstruction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from csiq.cohort.database import (
    PatientImage,
    Progress,
    is_finished,
    measuring_sha256,
    progress_of,
    write_image,
)
from csiq.cohort.patients import CohortPatient
from csiq.cohort.recipe import N_PHASES

#: Folder of the iterates within a cohort's.
ITERATES = "iterates"
#: Stretches of a reconstruction, first and last iteration: the image changes fast at first.
STRETCHES = ((1, 2), (3, 5), (6, 11), (12, 20))
#: Volumes of a patient.
PER_PATIENT = N_PHASES + len(STRETCHES)
_ENDS = ("nii", "json")
_STREAM = 8  # of a patient's random numbers; a scan draws from 2 to 7


@dataclass(frozen=True)
class Kept:
    """One volume of a reconstruction that is kept.

    Attributes
    ----------
    iteration : int
        0 is the gridded image.
    phase : int
        1 (end-expiration) .. 4.
    """

    iteration: int
    phase: int

    def name(self, patient: CohortPatient) -> str:
        """Return the name of its files: ``p001-i07-phase2``."""
        return f"{patient.name}-i{self.iteration:02d}-phase{self.phase}"


@dataclass(frozen=True)
class ScanSize:
    """Matrix and number of coils of the scans that are reconstructed."""

    matrix: int
    n_coils: int


@dataclass(frozen=True)
class ScanSizes:
    """The scans of several patients.

    Attributes
    ----------
    matrices : tuple of int
        One is drawn for each patient: voxels of other sizes are seen in training.
    n_coils : int
    """

    matrices: tuple[int, ...]
    n_coils: int

    def of(self, patient: CohortPatient) -> ScanSize:
        """Return the size of a patient's scan; no other patient changes it."""
        rng = np.random.default_rng([patient.seed, _STREAM, 1])
        return ScanSize(self.matrices[int(rng.integers(len(self.matrices)))], self.n_coils)


#: Makes the volumes of a patient, each with what it is; named in a module, so that another process finds it.
IterateMaker = Callable[[CohortPatient, ScanSize], Iterator[tuple[Kept, PatientImage]]]


def kept_of(patient: CohortPatient) -> tuple[Kept, ...]:
    """Return which volumes of a patient's reconstruction are kept, in order of iteration and phase.

    The gridded phases, and of each of :data:`STRETCHES` one iterate, drawn, of another phase each.
    """
    rng = np.random.default_rng([patient.seed, _STREAM])
    phases = (rng.permutation(N_PHASES) + 1).tolist()
    drawn = [int(rng.integers(first, last + 1)) for first, last in STRETCHES]
    gridded = [Kept(0, phase) for phase in range(1, N_PHASES + 1)]
    return (*gridded, *(Kept(i, phase) for i, phase in zip(drawn, phases, strict=True)))


def missing_iterates(
    folder: Path, patients: Sequence[CohortPatient], sizes: ScanSizes
) -> list[CohortPatient]:
    """Return the patients of whom a volume is not finished, or was measured by another version of the code.

    Parameters
    ----------
    folder : Path
        Of the cohort.
    patients : sequence of CohortPatient
    sizes : ScanSizes
    """
    measured_by = measuring_sha256()
    return [p for p in patients if not _is_complete(folder / ITERATES, p, sizes.of(p), measured_by)]


def started_iterates(folder: Path, patients: Sequence[CohortPatient]) -> list[CohortPatient]:
    """Return the patients of whom there are iterates, all or some."""
    found = {path.name.split("-")[0] for path in (folder / ITERATES).glob("p*-i*-phase?.json")}
    return [patient for patient in patients if patient.name in found]


def make_iterates(
    folder: Path, patients: Sequence[CohortPatient], sizes: ScanSizes, make: IterateMaker, workers: int = 1
) -> Iterator[Progress]:
    """Make, measure and write the iterates of patients; yield as each patient is finished.

    Parameters
    ----------
    folder : Path
        Of the cohort; ``iterates/p001-i07-phase2.nii`` and so on are written, the JSON of each last.
    patients : sequence of CohortPatient
        Those to make; see :func:`missing_iterates`.
    sizes : ScanSizes
    make : callable
    workers : int
        Processes; the files do not depend on it.

    Raises
    ------
    ResourceError
        If a worker process died.
    """
    target = folder / ITERATES
    yield from progress_of(target, partial(_make, target, make, sizes), patients, workers)


def remove_others(folder: Path, patients: Sequence[CohortPatient]) -> None:
    """Remove the iterates of all other patients: more patients make another split."""
    wanted = {
        f"{one.name(patient)}.{end}" for patient in patients for one in kept_of(patient) for end in _ENDS
    }
    for path in sorted((folder / ITERATES).glob("p*-i*-phase?.*")):
        if path.name not in wanted and path.suffix[1:] in _ENDS:
            path.unlink()


def _make(target: Path, make: IterateMaker, sizes: ScanSizes, patient: CohortPatient) -> None:
    size = sizes.of(patient)
    for one, image in make(patient, size):
        write_image(target / f"{one.name(patient)}.nii", image, _source(patient, one, size))


def _source(patient: CohortPatient, one: Kept, size: ScanSize) -> dict[str, Any]:
    return {"patient": patient, "kept": one, "scan": size}


def _is_complete(target: Path, patient: CohortPatient, size: ScanSize, measured_by: str) -> bool:
    return all(
        is_finished(
            target / f"{one.name(patient)}.nii", size.matrix, _source(patient, one, size), measured_by
        )
        for one in kept_of(patient)
    )
