"""Which images a network is tested on, who graded them, and what a simulated cohort knows of them besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from csiq.cohort.grading import MANIFEST, PEOPLE
from csiq.cohort.manifest import GradedScan, observer_of, read_manifest
from csiq.cohort.readers import READERS
from csiq.errors import ConfigError, RawDataError, nearest
from csiq.evaluation.days import read_again
from csiq.io.tables import read_json, read_table
from csiq.training.graded_set import GradedImage, GradedSet

#: Patients below which a bootstrap interval holds the truth clearly less often than it says.
_FEW = 10


@dataclass(frozen=True)
class Roles:
    """Who is who among the readers of a manifest.

    Attributes
    ----------
    main : str
        Column the network is held against: observer 1.
    again : str, optional
        Observer 1's second reading.
    second : str, optional
        Another observer.
    """

    main: str
    again: str | None = None
    second: str | None = None

    @classmethod
    def of(cls, readers: Sequence[str], main: str) -> Roles:
        """Return the roles that names such as ``reader1a``, ``reader1b`` and ``reader2`` give.

        Raises
        ------
        ConfigError
            If there is no such reader.
        """
        if main not in readers:
            raise ConfigError(f"no reader '{main}'", field="--reader", hint=nearest(main, readers))
        others = [name for name in readers if name != main]
        again = next((name for name in others if observer_of(name) == observer_of(main)), None)
        second = next((name for name in others if observer_of(name) != observer_of(main)), None)
        return cls(main, again, second)

    def as_dict(self) -> dict[str, str]:
        """Return role to column, of those that are there."""
        found = {"main": self.main, "again": self.again, "second": self.second}
        return {role: name for role, name in found.items() if name is not None}


@dataclass(frozen=True)
class Cohort:
    """What the folder of a simulated cohort says of its patients.

    Attributes
    ----------
    seed : int
    people : dict of str to dict
        Rows of ``patients.tsv`` by patient.
    """

    seed: int
    people: Mapping[str, dict[str, Any]]


@dataclass(frozen=True)
class Cases:
    """The images of a test, row by row.

    Attributes
    ----------
    manifest : Path
    split : str
    images : tuple of GradedImage
        Of this split.
    database : tuple of GradedScan
        Of all splits, one a patient: the patient's first.
    roles : Roles
    draws : dict of str to float64 array (n_draws, n), optional
        Grades of the same patients by the same readers on other days, by reader.
    cohort : Cohort, optional
    notes : tuple of str
        What cannot be said of these data, and why.
    """

    manifest: Path
    split: str
    images: tuple[GradedImage, ...]
    database: tuple[GradedScan, ...]
    roles: Roles
    draws: Mapping[str, np.ndarray] | None = None
    cohort: Cohort | None = None
    notes: tuple[str, ...] = ()
    # volumes that had to be unpacked go with the set
    _held: GradedSet | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def readers(self) -> tuple[str, ...]:
        """Columns with two grades or more of these images, in the order of the manifest."""
        return _readers(self.images)

    def grades(self, reader: str) -> np.ndarray:
        """Return a reader's grades, float64 (n,), NaN where one is missing."""
        return np.array([image.grades[reader] for image in self.images])

    @property
    def reference(self) -> np.ndarray | None:
        """Noise-free reference, float64 (n,); None unless all are known."""
        found = np.array([image.reference for image in self.images])
        return found if np.isfinite(found).all() else None

    @property
    def patients(self) -> tuple[str, ...]:
        """Whose image it is, row by row."""
        return tuple(image.patient for image in self.images)

    @property
    def volumes(self) -> tuple[str, ...]:
        """What the manifest calls the volumes, row by row."""
        return tuple(image.name for image in self.images)

    def facts(self, patient: str) -> dict[str, Any] | None:
        """Return what the cohort says of a patient; None if it does not tell seed, age and sex."""
        found = self.cohort.people.get(patient, {}) if self.cohort else {}
        return found if {"seed", "age", "sex"} <= found.keys() else None


def manifest_of(where: str | Path) -> Path:
    """Return the manifest that a path names: the file itself, or the one in the folder of a cohort.

    Raises
    ------
    ConfigError
        If there is neither.
    """
    path = Path(where)
    found = path / MANIFEST if path.is_dir() else path
    if not found.is_file():
        hint = "csiq cohort init makes one" if path.is_dir() else "expected a manifest or a cohort's folder"
        raise ConfigError("no such file", file=found, hint=hint)
    return found


def read_cases(where: str | Path, *, split: str = "test", reader: str = "reader1a") -> Cases:
    """Read the images of a test from a manifest.

    Parameters
    ----------
    where : path
        A manifest, or the folder of a cohort.
    split : str
        ``train`` stands for ``train1`` to ``train3`` as well.
    reader : str
        Whom the network is held against.

    Raises
    ------
    ConfigError
        If there is no manifest, no such split or no such reader.
    ManifestError
        With everything that is wrong with the manifest and its volumes.
    """
    manifest = manifest_of(where)
    held = GradedSet.open(manifest, reader, splits=[split])
    images = held.images
    if len(images) < 2:
        raise ConfigError(f"one volume of split '{split}'", file=manifest, hint="two or more are needed")
    roles = Roles.of(_readers(images), reader)
    rows = read_manifest(manifest, check_files=False)
    cohort = _cohort(manifest.parent)
    draws, why = _draws(images, cohort, reader)
    first = {row.patient: row for row in reversed(rows)}
    database = tuple(row for row in rows if first[row.patient] is row)
    notes = (*_notes(images), *([why] if why else []))
    return Cases(manifest, split, images, database, roles, draws, cohort, notes, held)


def _readers(images: Sequence[GradedImage]) -> tuple[str, ...]:
    grades = {name: [image.grades[name] for image in images] for name in images[0].grades}
    return tuple(name for name, found in grades.items() if np.isfinite(found).sum() > 1)


def _notes(images: Sequence[GradedImage]) -> list[str]:
    notes = []
    missing = sum(not np.isfinite(image.reference) for image in images)
    if missing:
        which = "No volume has" if missing == len(images) else f"{missing} volumes have not"
        notes.append(f"{which} a noise-free reference (column reference): nothing is said against one.")
    if len({image.patient for image in images}) < len(images):
        n = len({image.patient for image in images})
        few = " Of so few patients they are still too narrow." if n < _FEW else ""
        what = f"{len(images)} volumes are of {n} patients"
        notes.append(
            f"{what}: intervals resample patients, each with all volumes.{few}"
            if n > 1
            else "All volumes are of one patient: there are no intervals over patients."
        )
    return notes


def _cohort(folder: Path) -> Cohort | None:
    """Return what a folder says of its patients, None if it is no cohort's."""
    try:
        record, people = read_json(folder / "cohort.json"), read_table(folder / PEOPLE)
        seed = int(record["config"]["seed"])
        return Cohort(seed, {str(row["patient"]): row for row in people})
    except (RawDataError, KeyError, TypeError, ValueError):
        return None


def _draws(
    images: Sequence[GradedImage], cohort: Cohort | None, reader: str
) -> tuple[dict[str, np.ndarray] | None, str]:
    """Have simulated readers grade again, or say why that is not possible."""
    if cohort is None:
        return None, (
            "The manifest does not lie in the folder of a simulated cohort: its readers cannot be asked "
            "again, so there are no means over redraws and no ceilings."
        )
    if reader not in READERS:
        return None, f"{reader} is none of the cohort's simulated readers: nobody is drawn again."
    return read_again(images, cohort.people, seed=cohort.seed)
