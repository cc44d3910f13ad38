"""What a cohort has come to, in numbers: grades, parts, readers, and where it falls short."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple
from itertools import combinations
from typing import Any

import numpy as np

from csiq.cohort.grading import GradedPatient
from csiq.cohort.manifest import GradedScan
from csiq.cohort.readers import READERS
from csiq.cohort.splits import FOLDS, LEAST, TEST

#: The scale in halves.
GRADES = tuple(half / 2 for half in range(9))


def summary_of(graded: Sequence[GradedPatient]) -> dict[str, Any]:
    """Return the summary of a graded cohort, plain numbers in dictionaries.

    Parameters
    ----------
    graded : sequence of GradedPatient
    """
    grades = np.array([astuple(row.readings) for row in graded])
    parts = {part: [i for i, row in enumerate(graded) if row.split == part] for part in (*FOLDS, TEST)}
    return {
        "patients": len(graded),
        "grades": {str(grade): int(np.sum(grades[:, 0] == grade)) for grade in GRADES},
        "grade_mean": _rounded(grades[:, 0].mean()),
        "grade_sd": _rounded(_sd(grades[:, 0])),
        "kinds": dict(sorted(Counter(row.patient.difficulty.kind for row in graded).items())),
        "parts": {part: _part(graded, grades, rows) for part, rows in parts.items()},
        "readers": [_pair(grades, a, b) for a, b in combinations(range(len(READERS)), 2)],
        "shortfalls": _shortfalls(grades, parts),
    }


def grades_summary(scans: Sequence[GradedScan]) -> dict[str, Any]:
    """Return how many there are and how their grades lie, plain numbers."""
    grades = [scan.reference for scan in scans]
    found = {"mean": round(float(np.mean(grades)), 3), "sd": round(float(np.std(grades)), 3)}
    return {"volumes": len(scans), "reference": found}


def _part(graded: Sequence[GradedPatient], grades: np.ndarray, rows: list[int]) -> dict[str, Any]:
    people = [graded[i].patient for i in rows]
    first = grades[rows, 0]
    return {
        "patients": len(rows),
        "men": sum(p.sex == "M" for p in people),
        "age_mean": _rounded(float(np.mean([p.age for p in people]))) if rows else None,
        "age_sd": _rounded(_sd(np.array([p.age for p in people]))) if rows else None,
        "grade_mean": _rounded(first.mean()) if rows else None,
        "grade_sd": _rounded(_sd(first)) if rows else None,
        "grades": {str(grade): int(np.sum(first == grade)) for grade in GRADES},
    }


def _pair(grades: np.ndarray, a: int, b: int) -> dict[str, Any]:
    difference = grades[:, a] - grades[:, b]
    found = {"bias": _rounded(difference.mean()), "sd": _rounded(_sd(difference))}
    return {"a": READERS[a], "b": READERS[b], "n": len(difference), **found}


def _shortfalls(grades: np.ndarray, parts: dict[str, list[int]]) -> list[str]:
    """Say which grades a part lacks; nothing is done about it."""
    found = []
    for part, rows in parts.items():
        least = LEAST if part == TEST else 1
        counts = {grade: int(np.sum(grades[rows, 0] == grade)) for grade in GRADES}
        lacking = [f"{grade:g} ({count})" for grade, count in counts.items() if count < least]
        if lacking:
            found.append(f"{part} has fewer than {least} of grade {', '.join(lacking)}")
    return found


def _sd(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _rounded(value: float) -> float:
    return round(float(value), 3)
