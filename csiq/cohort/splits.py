"""Which patients train, which test: parts of similar grades and sexes, each patient in one part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from csiq.cohort.patients import N_PATIENTS, N_TEST, CohortPatient, may_calibrate
from csiq.errors import ShapeError

#: Parts for training and threefold cross-validation, and the one for testing.
FOLDS, TEST = ("train1", "train2", "train3"), "test"
#: Test patients of each grade, where the database has that many.
LEAST = 4
_STREAM = 3  # of a patient's random numbers


def split_patients(
    patients: Sequence[CohortPatient], grades: Sequence[float], *, seed: int = 0
) -> dict[int, str]:
    """Split patients into three parts for training and one for testing.

    Parameters
    ----------
    patients : sequence of CohortPatient
    grades : sequence of float
        Of reader 1a, a row of ``patients``.
    seed : int
        Of the cohort; decides between patients of equal grade and sex.

    Returns
    -------
    dict of int to str
        Patient number to ``train1``, ``train2``, ``train3`` or ``test``.

    Raises
    ------
    ShapeError
        If there is not one grade a patient.

    Notes
    -----
    Test patients come first: their grades are those of all patients, in proportion, but at least
    :data:`LEAST` of each grade where so many may test. Men and women follow the grade's own shares. Who may
    calibrate the reference formula never tests. The others are dealt into the three parts in order of grade
    and sex, so that these differ by one patient at most in each.
    """
    if len(patients) != len(grades):
        raise ShapeError(f"{len(patients)} patients, but {len(grades)} grades")
    ordered = sorted(
        zip(patients, grades, strict=True), key=lambda pair: (pair[1], pair[0].sex, _lot(pair[0], seed))
    )
    testing = _choose_test(ordered)
    rest = [patient for patient, _ in ordered if patient.number not in testing]
    found = dict.fromkeys(testing, TEST)
    found.update({patient.number: FOLDS[i % len(FOLDS)] for i, patient in enumerate(rest)})
    return found


def n_test_of(n_patients: int) -> int:
    """Return how many of so many patients are for testing: the paper's share."""
    return round(n_patients * N_TEST / N_PATIENTS)


def seats_per_grade(
    totals: Mapping[float, int], allowed: Mapping[float, int], seats: int
) -> dict[float, int]:
    """Return how many test patients each grade has.

    Parameters
    ----------
    totals, allowed : mapping of grade to int
        All patients of that grade, and those among them that may test.
    seats : int
    """
    n = sum(totals.values())
    target = {grade: seats * count / n for grade, count in totals.items()}
    found = {grade: min(LEAST, allowed[grade]) for grade in totals}
    if sum(found.values()) > seats:  # a cohort too small for so many of each
        found = dict.fromkeys(totals, 0)
    for _ in range(min(seats, sum(allowed.values())) - sum(found.values())):
        open_grades = [grade for grade in totals if found[grade] < allowed[grade]]
        neediest = max(open_grades, key=lambda grade: (target[grade] - found[grade], -grade))
        found[neediest] += 1
    return found


def _choose_test(ordered: list[tuple[CohortPatient, float]]) -> list[int]:
    by_grade: dict[float, list[CohortPatient]] = {}
    for patient, grade in ordered:
        by_grade.setdefault(grade, []).append(patient)
    free = {g: [p for p in group if not may_calibrate(p.number)] for g, group in by_grade.items()}
    totals = {grade: len(group) for grade, group in by_grade.items()}
    seats = seats_per_grade(totals, {g: len(f) for g, f in free.items()}, n_test_of(len(ordered)))
    chosen: list[int] = []
    owed = 0.0  # men, from the rounding of the grades before
    for grade, count in seats.items():
        men = [p.number for p in free[grade] if p.sex == "M"]
        women = [p.number for p in free[grade] if p.sex != "M"]
        wanted = count * sum(p.sex == "M" for p in by_grade[grade]) / totals[grade] + owed
        n_men = int(np.clip(round(wanted), count - min(len(women), count), min(len(men), count)))
        owed = wanted - n_men
        chosen += men[:n_men] + women[: count - n_men]
    return chosen


def _lot(patient: CohortPatient, seed: int) -> float:
    return float(np.random.default_rng([seed, patient.number, _STREAM]).random())
