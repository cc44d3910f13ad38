"""A cohort's folder with two tiny raw scans, made by the simulator, and tables without volumes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from csiq.cohort.cohort_folder import StudyConfig
from csiq.cohort.patients import CohortPatient, draw_patients
from csiq.cohort.raw import make_scan, write_scans
from csiq.io.tables import write_json, write_table

MATRIX, COILS = 32, 2
#: Patients 1 to 6: who tests and who trains.
SPLIT = ("train1", "test", "test", "train2", "test", "train3")


def config() -> StudyConfig:
    """Return the configuration of the cohort."""
    return StudyConfig(n_patients=len(SPLIT), matrix=16, seed=0, raw_matrix=MATRIX, raw_coils=COILS)


def patients() -> list[CohortPatient]:
    """Return its patients."""
    return draw_patients(len(SPLIT), seed=0, matrix=16)


def make_cohort(folder: Path, *, with_raw: tuple[int, ...] = (2, 3)) -> Path:
    """Write a cohort; patients of these numbers get raw scans."""
    folder.mkdir(parents=True)
    write_json(folder / "cohort.json", {"status": "complete", "config": asdict(config())})
    people = [{"patient": p.name, "split": split} for p, split in zip(patients(), SPLIT, strict=True)]
    write_table(folder / "patients.tsv", people)
    (folder / "raw").mkdir()
    chosen = [p for p in patients() if p.number in with_raw]
    for patient in chosen:
        make_scan(folder / "raw", MATRIX, COILS, patient)
    if chosen:
        write_scans(folder, chosen)
    return folder
