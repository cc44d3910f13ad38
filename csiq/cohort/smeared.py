"""Smeared volumes: images whose coronaries alone are smeared, and images of which all but these is.

In every scan that is simulated whole, what blurs the coronaries blurs the chambers and the chest as well, and
a network may learn to grade the latter. Of some patients who train, the image is therefore kept twice more:
once smeared in a tube around RCA, LAD and LCX, once everywhere else. Both are measured and graded anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft

from csiq.cohort.cohort_folder import SMEARED
from csiq.cohort.database import (
    PatientImage,
    Progress,
    is_finished,
    measuring_sha256,
    progress_of,
    write_image,
)
from csiq.cohort.grading import GradedPatient, further_scan
from csiq.cohort.images import make_image
from csiq.cohort.iterate_grades import first_of
from csiq.cohort.manifest import GradedScan
from csiq.cohort.patients import CohortPatient
from csiq.quality.features import measure
from csiq.quality.vessel_distance import coronary_distance

#: What is smeared in the two volumes of a patient.
WHERE = ("vessels", "rest")
#: Reference grade below which there is nothing to lose, so that a patient is left out.
LEAST = 0.8
_LENGTH = 2.0, 8.0  # mm of a smear
_AROUND = 2.5  # mm beyond the wall of an artery
_STREAM = 10  # of a patient's random numbers; a scan draws from 2 to 7, other volumes from 8 and 9
_READING = 1001  # stretch of random numbers of readers; coarse volumes have the one before


def smeared_of(graded: Sequence[GradedPatient], count: int) -> list[GradedPatient]:
    """Return the first patients by number who train and have a grade to lose; fewer if there are no more."""
    return first_of([row for row in graded if row.reference > LEAST], count)


def smear(volume: np.ndarray, length: float, direction: np.ndarray, voxel_size: np.ndarray) -> np.ndarray:
    """Return the mean of a volume over all shifts along a line: what an even motion does to it.

    Parameters
    ----------
    volume : float array, (z, y, x)
        Magnitude; it is taken to repeat beyond its borders.
    length : float
        Of the line, mm, its middle at no shift.
    direction : float array, (3,)
        Unit vector, z y x.
    voxel_size : float array, (3,)
        mm, z y x.

    Returns
    -------
    float32 array, (z, y, x)
        Not negative.
    """
    axes = [np.fft.fftfreq(n, v) for n, v in zip(volume.shape, voxel_size, strict=True)]
    axes[-1] = np.fft.rfftfreq(volume.shape[-1], voxel_size[-1])
    along = sum(d * k for d, k in zip(direction, np.ix_(*axes), strict=True))
    spectrum = scipy.fft.rfftn(np.asarray(volume, np.float32)) * np.sinc(along * length).astype(np.float32)
    return np.maximum(scipy.fft.irfftn(spectrum, volume.shape), 0)


def smeared_images(patient: CohortPatient) -> Iterator[tuple[str, PatientImage]]:
    """Make the image of a patient; yield it smeared in the vessels, then in the rest, each measured.

    Raises
    ------
    QualityError
        If an image shows nothing.
    """
    made, rng = make_image(patient), np.random.default_rng([patient.seed, _STREAM])
    tube = 1 - np.clip(coronary_distance(made.volume, made.truth) - _AROUND, 0, 1)
    for where, weight in zip(WHERE, (tube, 1 - tube), strict=True):
        length, direction = float(rng.uniform(*_LENGTH)), rng.standard_normal(3)
        direction /= np.linalg.norm(direction)
        soft = smear(made.volume, length, direction, made.truth.voxel_size)
        volume = (made.volume + weight * (soft - made.volume)).astype(np.float32)
        details = {**made.details, "smeared": where, "length": length, "direction": direction.tolist()}
        yield where, PatientImage(volume, made.affine, measure(volume, made.truth), details)


def missing_smeared(folder: Path, patients: Sequence[CohortPatient]) -> list[CohortPatient]:
    """Return the patients of whom a volume is not finished, or was measured by other code."""
    measured_by = measuring_sha256()

    def finished(patient: CohortPatient) -> bool:
        paths = _paths(folder / SMEARED, patient)
        return all(is_finished(path, patient.matrix, _source(patient), measured_by) for path in paths)

    return [patient for patient in patients if not finished(patient)]


def started_smeared(folder: Path, patients: Sequence[CohortPatient]) -> list[CohortPatient]:
    """Return the patients of whom both volumes are there."""

    def there(patient: CohortPatient) -> bool:
        return all(path.with_suffix(".json").is_file() for path in _paths(folder / SMEARED, patient))

    return [patient for patient in patients if there(patient)]


def make_smeared(folder: Path, patients: Sequence[CohortPatient], workers: int = 1) -> Iterator[Progress]:
    """Make, measure and write the smeared volumes of patients; yield as each patient is finished.

    Parameters
    ----------
    folder : Path
        Of the cohort; ``smeared/p001-vessels.nii`` and ``-rest.nii`` are written, the JSON of each last.
    patients : sequence of CohortPatient
        Those to make; see :func:`missing_smeared`.
    workers : int
        Processes; the files do not depend on it.

    Raises
    ------
    ResourceError
        If a worker process died.
    """
    target = folder / SMEARED
    yield from progress_of(target, partial(_write, target), patients, workers)


def grade_smeared(folder: Path, rows: Sequence[GradedPatient], *, seed: int) -> list[GradedScan]:
    """Have finished smeared volumes graded and read by the formula and the readers of the others.

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
    target = folder / SMEARED
    return [
        further_scan(path, row, seed=seed, image=_READING + at)
        for row in rows
        for at, path in enumerate(_paths(target, row.patient))
    ]


def _paths(target: Path, patient: CohortPatient) -> list[Path]:
    return [target / f"{patient.name}-{where}.nii" for where in WHERE]


def _write(target: Path, patient: CohortPatient) -> None:
    for path, (_, image) in zip(_paths(target, patient), smeared_images(patient), strict=True):
        write_image(path, image, _source(patient))


def _source(patient: CohortPatient) -> dict[str, Any]:
    return {"patient": patient}
