"""The volumes of a cohort, one a patient, made in parallel and kept as soon as they are finished."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from csiq.cohort.patients import CohortPatient
from csiq.cohort.volume_file import bytes_of_volume, write_int16
from csiq.errors import RawDataError
from csiq.io.atomic import TEMPORARY
from csiq.io.tables import read_json, strict, write_json
from csiq.workers.pool import results_of

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


def missing_volumes(
    folder: Path, patients: Sequence[CohortPatient], where: str = VOLUMES
) -> list[CohortPatient]:
    """Return the patients whose volume is not finished, or was measured by another version of the code.

    Parameters
    ----------
    folder : Path
        Of the cohort.
    patients : sequence of CohortPatient
    where : str
        Folder of the volumes within the cohort's.
    """
    measured_by = measuring_sha256()
    target = folder / where
    return [
        p
        for p in patients
        if not is_finished(target / f"{p.name}.nii", p.matrix, {"patient": p}, measured_by)
    ]


def make_volumes(
    folder: Path,
    patients: Sequence[CohortPatient],
    make: ImageMaker,
    workers: int = 1,
    where: str = VOLUMES,
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
    where : str
        Folder of the volumes within the cohort's.

    Raises
    ------
    ResourceError
        If a worker process died.
    """
    target = folder / where
    yield from progress_of(target, partial(make_volume, target, make), patients, workers)


def progress_of(
    target: Path, task: Callable[[CohortPatient], None], patients: Sequence[CohortPatient], workers: int
) -> Iterator[Progress]:
    """Have files of patients written into a folder, which is made; yield as each patient is finished.

    Parameters
    ----------
    target : Path
    task : callable
        Writes the files of a patient; named in a module, so that another process finds it.
    patients : sequence of CohortPatient
    workers : int
        Processes.

    Raises
    ------
    ResourceError
        If a worker process died.
    """
    target.mkdir(exist_ok=True)
    for leftover in target.glob(f".*{TEMPORARY}*"):
        leftover.unlink(missing_ok=True)
    started = time.monotonic()
    for done, (patient, result) in enumerate(results_of(task, patients, workers), start=1):
        error = result if isinstance(result, Exception) else None
        yield Progress(patient.name, done, len(patients), time.monotonic() - started, error)


def make_volume(target: Path, make: ImageMaker, patient: CohortPatient) -> None:
    """Make, measure and write the volume of one patient."""
    write_image(target / f"{patient.name}.nii", make(patient), {"patient": patient})


def write_image(path: Path, image: PatientImage, source: Mapping[str, Any]) -> None:
    """Write an image and, last, the JSON beside it.

    Parameters
    ----------
    path : Path
        Ends in ``.nii``.
    image : PatientImage
    source : mapping
        All that decides the image, for :func:`is_finished`.
    """
    content = {
        **source,
        "features": image.features,
        "measured_by": measuring_sha256(),
        "details": image.details,
        "volume_sha256": write_int16(path, image.volume, image.affine),
    }
    write_json(path.with_suffix(".json"), content)


def is_finished(path: Path, matrix: int, source: Mapping[str, Any], measured_by: str) -> bool:
    """Return whether an image is there, of the same source, and measured by the same code."""
    try:
        content = read_json(path.with_suffix(".json"))
    except RawDataError:
        return False
    if not path.is_file() or path.stat().st_size != bytes_of_volume(matrix):
        return False
    if not isinstance(content, dict) or content.get("measured_by") != measured_by:
        return False
    return all(content.get(name) == strict(value) for name, value in source.items())


def read_features(folder: Path, patient: CohortPatient) -> Features:
    """Return what was measured of a patient's finished volume; see :func:`features_of`."""
    return features_of(folder / VOLUMES / f"{patient.name}.nii")


def features_of(path: Path) -> Features:
    """Return what was measured of a finished image.

    Raises
    ------
    RawDataError
        If there is no readable sidecar.
    """
    from csiq.quality.features import Features
    from csiq.quality.sharpness import VesselSharpness

    sidecar = path.with_suffix(".json")
    content = read_json(sidecar)
    try:
        numbers = dict(content["features"])
        vessels = {name: VesselSharpness(**_floats(v)) for name, v in numbers.pop("vessels").items()}
        return Features(vessels=vessels, **_floats(numbers))
    except (KeyError, TypeError, AttributeError, ValueError):
        raise RawDataError("has no features", file=sidecar.name, hint="remove it") from None


def measuring_sha256() -> str:
    """Return the SHA-256 of the code that measures an image; how grades follow is no part of it."""
    found = hashlib.sha256()
    for name in ("centreline.py", "features.py", "residual.py", "sharpness.py"):
        found.update((resources.files("csiq.quality") / name).read_bytes())
    return found.hexdigest()


def _floats(numbers: dict[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else float(value) for name, value in numbers.items()}
