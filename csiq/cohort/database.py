"""The volumes of a cohort, one a patient, made in parallel and kept as soon as they are finished."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from csiq.cohort.patients import CohortPatient
from csiq.cohort.volume_file import bytes_of_volume, write_int16
from csiq.cohort.workers import results_of
from csiq.errors import RawDataError
from csiq.io.atomic import TEMPORARY
from csiq.io.tables import read_json, strict, write_json

if TYPE_CHECKING:
    from csiq.quality.features import Features

#: Folder of the volumes within a cohort's.
VOLUMES = "volumes"


@dataclass(frozen=True)
class PatientImage:
    """One image to grade, and what was measured of it.

    Attributes
    ----------
    volume : float32 array, (z, y, x)
        Magnitude.
    affine : float64 array, (4, 4)
        Voxel (x, y, z) to RAS mm.
    features : Features
    details : dict
        How it was made.
    """

    volume: np.ndarray
    affine: np.ndarray
    features: Features
    details: dict[str, Any]


#: Makes the image of a patient; named in a module, so that another process finds it.
ImageMaker = Callable[[CohortPatient], PatientImage]


@dataclass(frozen=True)
class Progress:
    """How far the work is.

    Attributes
    ----------
    name : str
        The patient just finished.
    done, total : int
        Of this run's patients.
    seconds : float
        Since the start of this run.
    error : Exception, optional
        Why this patient has no result.
    """

    name: str
    done: int
    total: int
    seconds: float
    error: Exception | None = None

    @property
    def seconds_left(self) -> float:
        """About how long the others take."""
        return self.seconds / self.done * (self.total - self.done)


def missing_volumes(folder: Path, patients: Sequence[CohortPatient]) -> list[CohortPatient]:
    """Return the patients whose volume is not finished, or was measured by another version of the code.

    Parameters
    ----------
    folder : Path
        Of the cohort.
    patients : sequence of CohortPatient
    """
    measured_by = measuring_sha256()
    return [patient for patient in patients if not _is_finished(folder, patient, measured_by)]


def make_volumes(
    folder: Path, patients: Sequence[CohortPatient], make: ImageMaker, workers: int = 1
) -> Iterator[Progress]:
    """Make, measure and write the volumes of patients; yield as each is finished.

    Parameters
    ----------
    folder : Path
        Of the cohort; ``volumes/p001.nii`` and ``volumes/p001.json`` are written, the latter last: what has
        both is finished, whatever kills the program.
    patients : sequence of CohortPatient
        Those to make; see :func:`missing_volumes`.
    make : callable
    workers : int
        Processes; the files do not depend on it.

    Raises
    ------
    ResourceError
        If a worker process died.
    """
    target = folder / VOLUMES
    target.mkdir(exist_ok=True)
    for leftover in target.glob(f".*{TEMPORARY}*"):
        leftover.unlink(missing_ok=True)
    started = time.monotonic()
    results = results_of(partial(make_volume, target, make), patients, workers)
    for done, (patient, result) in enumerate(results, start=1):
        error = result if isinstance(result, Exception) else None
        yield Progress(patient.name, done, len(patients), time.monotonic() - started, error)


def make_volume(target: Path, make: ImageMaker, patient: CohortPatient) -> None:
    """Make, measure and write the volume of one patient."""
    image = make(patient)
    content = {
        "patient": patient,
        "features": image.features,
        "measured_by": measuring_sha256(),
        "details": image.details,
        "volume_sha256": write_int16(target / f"{patient.name}.nii", image.volume, image.affine),
    }
    write_json(target / f"{patient.name}.json", content)


def read_features(folder: Path, patient: CohortPatient) -> Features:
    """Return what was measured of a finished volume.

    Raises
    ------
    RawDataError
        If there is no readable sidecar.
    """
    from csiq.quality.features import Features
    from csiq.quality.sharpness import VesselSharpness

    content = read_json(folder / VOLUMES / f"{patient.name}.json")
    try:
        numbers = dict(content["features"])
        vessels = {name: VesselSharpness(**_floats(v)) for name, v in numbers.pop("vessels").items()}
        return Features(vessels=vessels, **_floats(numbers))
    except (KeyError, TypeError, AttributeError, ValueError):
        raise RawDataError("has no features", file=f"{patient.name}.json", hint="remove it") from None


def measuring_sha256() -> str:
    """Return the SHA-256 of the code that measures an image; how grades follow is no part of it."""
    found = hashlib.sha256()
    for name in ("centreline.py", "features.py", "residual.py", "sharpness.py"):
        found.update((resources.files("csiq.quality") / name).read_bytes())
    return found.hexdigest()


def _floats(numbers: dict[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else float(value) for name, value in numbers.items()}


def _is_finished(folder: Path, patient: CohortPatient, measured_by: str) -> bool:
    volume = folder / VOLUMES / f"{patient.name}.nii"
    try:
        content = read_json(volume.with_suffix(".json"))
    except RawDataError:
        return False
    if not volume.is_file() or volume.stat().st_size != bytes_of_volume(patient.matrix):
        return False
    if not isinstance(content, dict) or content.get("patient") != strict(patient):
        return False
    return bool(content.get("measured_by") == measured_by)
