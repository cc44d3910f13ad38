"""From what was measured of each volume to its grades: reference, readers, split, and the tables of a cohort.

The order matters. Measured features are fixed with the volumes. The reference formula makes qualities of
them; it is calibrated on :func:`csiq.cohort.patients.may_calibrate` patients alone. Readers grade from
qualities, the split follows from the grades of reader 1a, and who may calibrate is never in the test part. So
nothing that was fitted saw a test patient, though the split is known last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from csiq.cohort.database import VOLUMES, features_of, read_features
from csiq.cohort.manifest import GradedScan, write_manifest
from csiq.cohort.patients import CohortPatient, may_calibrate
from csiq.cohort.readers import PREFERENCE, Preference, Readings, as_row, read, reader_rng
from csiq.cohort.splits import split_patients
from csiq.io.tables import Cell, write_table
from csiq.quality.reference import ALTERNATIVES, WEIGHTS, Features, grade, latent, scores

#: Tables of a cohort: the manifest, and who is in it.
MANIFEST, PEOPLE = "graded.tsv", "patients.tsv"
_SHARP = ("edge_sharpness", "deriche", "visible_share")
_CLEAN = ("noise", "streaks")


@dataclass(frozen=True)
class GradedPatient:
    """One patient with everything that is said of the image.

    Attributes
    ----------
    patient : CohortPatient
    features : Features
    reference : float
        Reference grade, 0 to 4, continuous: the quality that readers see.
    sharpness, cleanliness : float
        Scores that readers lean on; see :func:`reader_scores`.
    readings : Readings
    split : str
    """

    patient: CohortPatient
    features: Features
    reference: float
    sharpness: float
    cleanliness: float
    readings: Readings
    split: str


def reader_scores(features: Features) -> tuple[float, float]:
    """Return sharpness and cleanliness of an image as readers see them.

    Returns
    -------
    sharpness, cleanliness : float
        Parts of the latent quality, 0 to 1: means of the square roots of the formula's scores, weighted as
        there, of edges and visible length, and of noise and streaks.
    """
    found = scores(features)
    return _mean_root(found, _SHARP), _mean_root(found, _CLEAN)


def grade_cohort(
    folder: Path, patients: Sequence[CohortPatient], *, seed: int, preference: Preference = PREFERENCE
) -> list[GradedPatient]:
    """Have finished volumes graded and split.

    Parameters
    ----------
    folder : Path
        Of the cohort.
    patients : sequence of CohortPatient
    seed : int
        Of the cohort.
    preference : Preference

    Raises
    ------
    RawDataError
        If a volume was not measured.
    """
    rows = []
    for patient in patients:
        features = read_features(folder, patient)
        quality = grade(features)
        sharp, clean = reader_scores(features)
        readings = read(quality, sharp, clean, reader_rng(seed, patient.number), preference)
        rows.append((patient, features, quality, sharp, clean, readings))
    split = split_patients(patients, [row[-1].reader1a for row in rows], seed=seed)
    return [GradedPatient(*row, split=split[row[0].number]) for row in rows]


def further_scan(path: Path, row: GradedPatient, *, seed: int, image: int) -> GradedScan:
    """Have a further volume of a patient graded and read by the formula and the readers of the first.

    Parameters
    ----------
    path : Path
        Of a volume that was measured.
    row : GradedPatient
        Of its patient, whose split it shares.
    seed : int
        Of the cohort.
    image : int
        Stretch of the readers' random numbers; 0 is the patient's own.

    Raises
    ------
    RawDataError
        If the volume was not measured.
    """
    features = features_of(path)
    quality, rng = grade(features), reader_rng(seed, row.patient.number, image)
    readings = as_row(read(quality, *reader_scores(features), rng))
    return GradedScan(path, row.patient.name, row.split, readings, round(quality, 4))


def fit_preference(folder: Path, patients: Sequence[CohortPatient]) -> Preference:
    """Return readers' preference constants from the finished volumes of patients who may calibrate.

    This is how :data:`csiq.cohort.readers.PREFERENCE` was found; it is not part of making a cohort, whose
    readers must not depend on how many patients it has.

    Raises
    ------
    RawDataError
        If a volume was not measured.
    ShapeError
        If the scores of these patients do not vary.
    """
    found = [reader_scores(read_features(folder, p)) for p in patients if may_calibrate(p.number)]
    sharp, clean = np.array(found).reshape(-1, 2).T
    return Preference.fit(sharp, clean)


def write_tables(folder: Path, graded: Sequence[GradedPatient], further: Sequence[GradedScan] = ()) -> None:
    """Write the manifest ``graded.tsv``, and ``patients.tsv``: people, difficulty, features, all grades.

    Parameters
    ----------
    folder : Path
        Of the cohort.
    graded : sequence of GradedPatient
    further : sequence of GradedScan
        Other volumes of these patients, for the end of the manifest.
    """
    scans = [
        GradedScan(
            folder / VOLUMES / f"{row.patient.name}.nii",
            row.patient.name,
            row.split,
            as_row(row.readings),
            round(row.reference, 4),
        )
        for row in graded
    ]
    write_manifest(folder / MANIFEST, [*scans, *further])
    write_table(folder / PEOPLE, [_facts(row) for row in graded])


def _facts(row: GradedPatient) -> dict[str, Cell]:
    drawn = row.patient.as_row()
    person = {key: drawn[key] for key in ("patient", "number", "seed", "age", "sex")}
    other = {f"latent_{name}": latent(row.features, weights) for name, weights in ALTERNATIVES.items()}
    return {
        **person,
        "split": row.split,
        **drawn,
        "reference": round(row.reference, 4),
        **_rounded({"latent": latent(row.features), **other}),
        **_rounded({"sharpness": row.sharpness, "cleanliness": row.cleanliness}),
        **_rounded(row.features.as_dict()),
    }


def _rounded(numbers: Mapping[str, float]) -> dict[str, Cell]:
    return {name: round(float(value), 4) for name, value in numbers.items()}


def _mean_root(found: Mapping[str, float], names: Sequence[str]) -> float:
    weights = np.array([WEIGHTS[name] for name in names])
    return float(weights @ np.sqrt([found[name] for name in names]) / weights.sum())
