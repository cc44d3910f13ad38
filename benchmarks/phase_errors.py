"""How far the errors of grades go together among the phases of one scan, and what preferences are worth.

    python benchmarks/phase_errors.py [--model NAME|FILE] [--patients 12] [--matrix 104] [--iterations 0 3 10]
    python benchmarks/phase_errors.py --study benchmarks/study [--solver pnlcg] [--iterations 0 3 10 20]

With --study nothing is computed: the records of `csiq study` have both grades of every iterate of its test
scans.

Patients of the cohort's recipe are scanned and reconstructed; each phase at each iteration has a reference
grade and one of the network. The correlation is 1 - var(e_a - e_b) / (2 var e) over pairs of phases of one
iteration, e the network's error; csiq.ranking.preference.CORRELATION rests on it. Beside it: how often the
sign of a verdict is right, and how often a reader played on the reference grades (noise 0.10) prefers the
image of the lower grade, and how often the probabilities say so. Voxels are 208 mm / matrix: choose what the
model knows.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from harness import report

from csiq.arrays import use_threads
from csiq.cohort.iterates import Kept, ScanSize
from csiq.cohort.patients import CohortPatient, draw_patients
from csiq.cohort.reconstructed import reconstructed, scanned
from csiq.errors import RawDataError
from csiq.quality.features import measure
from csiq.quality.grade import Grader
from csiq.quality.reference import grade as reference_grade
from csiq.ranking import GradeError, preference
from csiq.ranking.preference import CALIBRATION, difference_sd
from csiq.study.record import folder_of, read_record
from csiq.study.request import DEFAULT
from csiq.study.scans import TESTING
from csiq.study.work import SCANS

N_PHASES = 4


class Phase(NamedTuple):
    """One graded phase of one iterate."""

    patient: str
    iteration: int
    grade: float
    reference: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Print and append the table."""
    asked = options(arguments)
    phases, about = of_study(asked) if asked.study else of_patients(asked)
    rows = [row(iteration, phases) for iteration in asked.iterations]
    report(
        "Errors of the phases of one scan",
        ("iteration", "pairs", "SD of errors", "correlation", "verdicts", "sign right", "wrong way", "said"),
        rows,
        f"{about}. Wrong way: a reader of the reference grades prefers the image of the lower grade.",
    )


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", type=Path, help="of `csiq study`; only --iterations counts then")
    parser.add_argument("--solver", default=DEFAULT, help="of the study")
    parser.add_argument("--model", default="default")
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--first", type=int, default=100, help="number of the first patient, from 0")
    parser.add_argument("--matrix", type=int, default=104)
    parser.add_argument("--coils", type=int, default=4)
    parser.add_argument("--iterations", type=int, nargs="+", default=[0, 3, 10])
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


def of_patients(asked: argparse.Namespace) -> tuple[list[Phase], str]:
    """Return what was graded of patients that are scanned for it, and what that was."""
    use_threads(asked.threads)
    grader = Grader.load(asked.model)
    patients = draw_patients(matrix=asked.matrix)[asked.first : asked.first + asked.patients]
    phases = [one for patient in patients for one in graded(patient, grader, asked)]
    return phases, f"{grader.name}, {asked.patients} patients, {asked.matrix}^3, {asked.coils} coils"


def of_study(asked: argparse.Namespace) -> tuple[list[Phase], str]:
    """Return what a study has of its test scans, and what that is."""
    names = sorted(path.name.split("-")[0] for path in (asked.study / SCANS).glob(f"p*-{asked.solver}"))
    records = [read_record(folder_of(asked.study / SCANS, name, asked.solver)) for name in names]
    tested = [record for record in records if record.facts["role"] == TESTING]
    phases = [
        Phase(record.facts["scan"], int(row["iteration"]), row["grade"], row["reference"])
        for record in tested
        for row in record.rows
    ]
    model, voxel = tested[0].facts["model"]["name"], tested[0].facts["voxel_size_mm"][0]
    return phases, f"{model}, {len(tested)} test scans of a study, {asked.solver}, {voxel:.3f} mm"


def graded(patient: CohortPatient, grader: Grader, asked: argparse.Namespace) -> Iterator[Phase]:
    """Yield the phases of a patient's iterates; a patient whose breathing is not found has none."""
    kept = tuple(Kept(i, phase) for i in sorted(asked.iterations) for phase in range(1, N_PHASES + 1))
    known = scanned(patient, ScanSize(asked.matrix, asked.coils))
    voxel_size = known.acquisition.geometry.voxel_size
    try:
        for one, made in reconstructed(known, kept):
            grade = grader.grade(made.volume, voxel_size).grade
            yield Phase(patient.name, one.iteration, grade, reference_grade(measure(made.volume, made.truth)))
    except RawDataError as error:
        print(f"{patient.name}: {error}")


def row(iteration: int, phases: Sequence[Phase]) -> tuple[object, ...]:
    """Return the numbers of one iteration, in words."""
    chosen = [one for one in phases if one.iteration == iteration]
    errors = np.array([one.grade - one.reference for one in chosen])
    pairs = [(a, b) for a, b in combinations(chosen, 2) if a.patient == b.patient]
    seen = np.array([a.grade - b.grade for a, b in pairs])
    true = np.array([a.reference - b.reference for a, b in pairs])
    spread, told = float(errors.std()), np.abs(seen) >= 0.25
    right = np.mean(np.sign(seen[told]) == np.sign(true[told])) if told.any() else np.nan
    return (
        iteration,
        len(pairs),
        f"{spread:.2f}",
        f"{correlation(errors, seen - true):.2f}",
        int(told.sum()),
        f"{100 * right:.0f} %",
        f"{100 * wrong_way(seen, true, 0.0):.1f} %",
        f"{100 * wrong_way(seen, seen, difference_sd(*[GradeError(spread, CALIBRATION)] * 2) or 0.0):.1f} %",
    )


def correlation(errors: np.ndarray, of_pairs: np.ndarray) -> float:
    """Return the correlation that errors of this spread must have for their differences to have theirs."""
    return float(1 - np.mean(of_pairs**2) / (2 * errors.var()))


def wrong_way(seen: np.ndarray, difference: np.ndarray, sd: float) -> float:
    """Return how often a reader prefers the image of the lower grade, of differences known to ``sd``."""
    said = [preference(d if s >= 0 else -d, sd) for s, d in zip(seen, difference, strict=True)]
    return float(np.mean([one.b for one in said]))


if __name__ == "__main__":
    main()
