"""The grades of iterates: the same formula and readers as for the volumes of patients, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from csiq.cohort.database import features_of
from csiq.cohort.grading import GradedPatient, reader_scores
from csiq.cohort.iterates import ITERATES, Kept, kept_of
from csiq.cohort.manifest import GradedScan, write_manifest
from csiq.cohort.readers import Readings, as_row, read, reader_rng
from csiq.cohort.recipe import N_PHASES
from csiq.cohort.splits import FOLDS
from csiq.io.tables import Cell, write_table
from csiq.quality.features import Features
from csiq.quality.reference import grade, latent

#: Table of the iterates, and the manifest of those of test patients, beside that of the volumes.
TABLE, TESTING = "iterates.tsv", "graded-iterates.tsv"


@dataclass(frozen=True)
class GradedIterate:
    """One iterate with everything that is said of it.

    Attributes
    ----------
    path : Path
    row : GradedPatient
        Of its patient, whose split it shares.
    kept : Kept
    features : Features
    reference : float
        Reference grade, 0 to 4, continuous.
    readings : Readings
    """

    path: Path
    row: GradedPatient
    kept: Kept
    features: Features
    reference: float
    readings: Readings

    @property
    def scan(self) -> GradedScan:
        """Its row in the manifest."""
        name, split = self.row.patient.name, self.row.split
        return GradedScan(self.path, name, split, as_row(self.readings), round(self.reference, 4))


def first_of(graded: Sequence[GradedPatient], count: int, *, testing: bool = False) -> list[GradedPatient]:
    """Return the first patients by number that train, or that test; fewer if there are no more."""
    wanted = [row for row in graded if (row.split not in FOLDS if testing else row.split in FOLDS)]
    return sorted(wanted, key=lambda row: row.patient.number)[:count]


def grade_iterates(folder: Path, rows: Sequence[GradedPatient], *, seed: int) -> list[GradedIterate]:
    """Have finished iterates graded and read.

    Parameters
    ----------
    folder : Path
        Of the cohort.
    rows : sequence of GradedPatient
        Patients that have iterates.
    seed : int
        Of the cohort.

    Raises
    ------
    RawDataError
        If an iterate was not measured.
    """
    found = []
    for row in rows:
        for kept in kept_of(row.patient):
            path = folder / ITERATES / f"{kept.name(row.patient)}.nii"
            features = features_of(path)
            quality, scores = grade(features), reader_scores(features)
            # another stretch of random numbers for each volume that there may be; 0 is the patient's own
            image = 1 + N_PHASES * kept.iteration + kept.phase - 1
            readings = read(quality, *scores, reader_rng(seed, row.patient.number, image))
            found.append(GradedIterate(path, row, kept, features, quality, readings))
    return found


def write_iterate_table(folder: Path, iterates: Sequence[GradedIterate]) -> None:
    """Write ``iterates.tsv``: what each is, its grades and its measured features.

    Those of test patients are also in a manifest of their own, ``graded-iterates.tsv``, to test on.
    """
    write_table(folder / TABLE, [_facts(one) for one in iterates])
    testing = [one.scan for one in iterates if one.row.split not in FOLDS]
    if testing:
        write_manifest(folder / TESTING, testing)


def iterates_summary(iterates: Sequence[GradedIterate]) -> dict[str, Any]:
    """Return how the grades of gridded phases and of further iterates lie, plain numbers."""
    parts = {
        "gridded": [one.reference for one in iterates if one.kept.iteration == 0],
        "iterates": [one.reference for one in iterates if one.kept.iteration > 0],
    }
    return {
        "patients": list(dict.fromkeys(one.row.patient.name for one in iterates)),
        "volumes": len(iterates),
        "reference": {
            name: {"n": len(v), "mean": round(float(np.mean(v)), 3), "sd": round(float(np.std(v)), 3)}
            for name, v in parts.items()
            if v
        },
    }


def _facts(one: GradedIterate) -> dict[str, Cell]:
    numbers = {"reference": one.reference, "latent": latent(one.features), **one.features.as_dict()}
    return {
        "volume": f"{ITERATES}/{one.path.name}",
        "patient": one.row.patient.name,
        "split": one.row.split,
        "iteration": one.kept.iteration,
        "phase": one.kept.phase,
        **as_row(one.readings),
        **{name: round(float(value), 4) for name, value in numbers.items()},
    }
