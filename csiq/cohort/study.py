"""The whole of ``csiq cohort init``: volumes, grades, split, raw data, and a record of it all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from csiq.cohort.coarse import (
    coarse_patients,
    grade_coarse,
    write_coarse_manifest,
)
from csiq.cohort.cohort_folder import (
    COARSE,
    SMEARED,
    StudyConfig,
    check_room,
    config_of,
    open_cohort,
    read_record,
    used_bytes,
    write_record,
)
from csiq.cohort.database import ImageMaker, make_volumes, missing_volumes
from csiq.cohort.following import Listener, Running, follow, runs_of
from csiq.cohort.grading import GradedPatient, grade_cohort, write_tables
from csiq.cohort.iterate_grades import (
    GradedIterate,
    first_of,
    grade_iterates,
    iterates_summary,
    write_iterate_table,
)
from csiq.cohort.iterates import (
    PER_PATIENT,
    IterateMaker,
    ScanSizes,
    make_iterates,
    missing_iterates,
    remove_others,
    started_iterates,
)
from csiq.cohort.manifest import GradedScan
from csiq.cohort.patients import CohortPatient, draw_patients
from csiq.cohort.raw import (
    bytes_of_scan,
    choose_spread,
    make_scans,
    missing_scans,
    n_raw_of,
    write_scans,
)
from csiq.cohort.readers import PREFERENCE
from csiq.cohort.smeared import (
    grade_smeared,
    make_smeared,
    missing_smeared,
    smeared_of,
    started_smeared,
)
from csiq.cohort.splits import TEST, n_test_of
from csiq.cohort.summary import grades_summary, summary_of
from csiq.cohort.volume_file import bytes_of_volume
from csiq.io.atomic import write_text
from csiq.quality.reference import formula_sha256

_README = """A digital cohort of whole-heart MRI, made by csiq {version}

RESEARCH USE ONLY. Nobody here is real: patients, scans and readers are simulated. No human graded an image.
Grades follow a stated formula of the image and its truth (docs/reference-quality.md), the readers a stated
model of noise and preference (docs/cohort.md).

graded.tsv      volumes, patients, split, grades of readers 1a, 1b and 2, reference grade
patients.tsv    people, difficulty of their scans, measured features
volumes/        the graded images, NIfTI; a JSON beside each
iterates.tsv, iterates/  iterates of a reconstruction of some patients who train, if asked for
smeared/        their images with coronaries, or all but these, smeared, if asked for
coarse/         the same patients in larger voxels, if asked for; graded-coarse.tsv lists those who test
scans.tsv, raw/ raw scans of test patients (ISMRMRD) with their truth, unless left out
cohort.json     configuration, formula, readers, summary
timing.json     how long it took; the only file that is not determined by the seed
"""


def init_cohort(
    folder: Path, config: StudyConfig, running: Running, make: ImageMaker, listen: Listener
) -> dict[str, Any]:
    """Make a cohort, or go on with one.

    Parameters
    ----------
    folder : Path
    config : StudyConfig
    running : Running
    make : callable
        Image of a patient; :func:`csiq.cohort.graded_image.graded_image` is the real one.
    listen : callable

    Returns
    -------
    dict
        What ``cohort.json`` says.

    Raises
    ------
    CohortError
        If the images or scans of some patients could not be made; the others are kept.
    OutputError
        If the folder is in use, not empty, or of another configuration.
    ResourceError
        If there is too little room, or a worker process died.
    """
    patients = draw_patients(config.n_patients, seed=config.seed, matrix=config.matrix)
    workers = running.workers
    with open_cohort(folder, config, overwrite=running.overwrite, resume=running.resume):
        left = missing_volumes(folder, patients)
        check_room(folder, _bytes_needed(config, patients, len(left)))
        write_record(folder, config, "running")
        follow(folder, "volumes", make_volumes(folder, left, make, workers), listen, workers)
        graded = grade_cohort(folder, patients, seed=config.seed)
        write_tables(folder, graded)
        coarse = _make_coarse(folder, config, graded, make, listen, workers) if config.coarse else []
        smeared = _make_smeared(folder, config, graded, listen, workers) if config.smeared else []
        wanted = config.iterates or config.test_iterates
        iterates = _make_iterates(folder, config, graded, listen, workers) if wanted else []
        # the test part of the manifest stays one image a patient, as the paper's
        further = [*coarse, *smeared, *(one.scan for one in iterates)]
        write_tables(folder, graded, [scan for scan in further if scan.split != TEST])
        chosen = _make_raw(folder, config, graded, listen, workers) if config.raw else []
        told = {"iterates": iterates_summary(iterates)} if iterates else {}
        several = {"coarse": coarse, "smeared": smeared}
        told |= {name: grades_summary(scans) for name, scans in several.items() if scans}
        return _finish(folder, config, graded, chosen, told)


def state_of(folder: Path) -> dict[str, Any]:
    """Return how far a cohort is: its record, with how many volumes and scans there are.

    Raises
    ------
    ConfigError, RawDataError
        If it is no cohort's folder.
    """
    record = read_record(folder)
    config = config_of(record)
    patients = draw_patients(config.n_patients, seed=config.seed, matrix=config.matrix)
    n_test = n_test_of(config.n_patients)
    n_raw = n_raw_of(n_test) if config.raw else 0
    coarse = _coarse_of(config, patients)
    with_iterates = started_iterates(folder, patients)
    half_made = missing_iterates(folder, with_iterates, _sizes_of(config))
    return {
        "status": record["status"],
        "config": record["config"],
        "volumes": {"done": len(patients) - len(missing_volumes(folder, patients)), "of": len(patients)},
        "scans": {"done": len(patients) - len(missing_scans(folder, patients)), "of": n_raw},
        "iterates": {
            "done": len(with_iterates) - len(half_made),
            "of": min(config.iterates, config.n_patients - n_test) + min(config.test_iterates, n_test),
        },
        "coarse": {"done": len(coarse) - len(missing_volumes(folder, coarse, COARSE)), "of": len(coarse)},
        "smeared": {"done": len(started_smeared(folder, patients)), "of": config.smeared},
        "disk_bytes": used_bytes(folder),
        "runs": runs_of(folder),
        "summary": record.get("summary"),
    }


def iterate_maker() -> IterateMaker:
    """Return what makes the iterates of a cohort."""
    from csiq.cohort.reconstructed import iterate_images

    return iterate_images


def _make_iterates(
    folder: Path, config: StudyConfig, graded: Sequence[GradedPatient], listen: Listener, workers: int
) -> list[GradedIterate]:
    rows = [*first_of(graded, config.iterates), *first_of(graded, config.test_iterates, testing=True)]
    people, sizes = [row.patient for row in rows], _sizes_of(config)
    remove_others(folder, people)
    left = missing_iterates(folder, people, sizes)
    follow(folder, "iterates", make_iterates(folder, left, sizes, iterate_maker(), workers), listen, workers)
    found = grade_iterates(folder, rows, seed=config.seed)
    write_iterate_table(folder, found)
    return found


def _make_coarse(
    folder: Path,
    config: StudyConfig,
    graded: Sequence[GradedPatient],
    make: ImageMaker,
    listen: Listener,
    workers: int,
) -> list[GradedScan]:
    rows = graded[: config.coarse]
    left = missing_volumes(folder, _coarse_of(config, [row.patient for row in rows]), COARSE)
    follow(folder, COARSE, make_volumes(folder, left, make, workers, COARSE), listen, workers)
    found = grade_coarse(folder, rows, seed=config.seed)
    write_coarse_manifest(folder, found)
    return found


def _sizes_of(config: StudyConfig) -> ScanSizes:
    return ScanSizes(config.iterate_matrices or (config.raw_matrix,), config.raw_coils)


def _make_smeared(
    folder: Path, config: StudyConfig, graded: Sequence[GradedPatient], listen: Listener, workers: int
) -> list[GradedScan]:
    rows = smeared_of(graded, config.smeared)
    left = missing_smeared(folder, [row.patient for row in rows])
    follow(folder, SMEARED, make_smeared(folder, left, workers), listen, workers)
    return grade_smeared(folder, rows, seed=config.seed)


def _coarse_of(config: StudyConfig, patients: Sequence[CohortPatient]) -> list[CohortPatient]:
    return coarse_patients(patients[: config.coarse], config.coarse_matrices or (config.raw_matrix,))


def _make_raw(
    folder: Path, config: StudyConfig, graded: Sequence[GradedPatient], listen: Listener, workers: int
) -> list[CohortPatient]:
    testing = [row.patient for row in graded if row.split == TEST]
    chosen = choose_spread(testing, n_raw_of(len(testing)))
    left = missing_scans(folder, chosen)
    scans = make_scans(folder, left, config.raw_matrix, config.raw_coils, workers)
    follow(folder, "scans", scans, listen, workers)
    write_scans(folder, chosen)
    return chosen


def _finish(
    folder: Path,
    config: StudyConfig,
    graded: Sequence[GradedPatient],
    chosen: Sequence[CohortPatient],
    told: dict[str, Any],
) -> dict[str, Any]:
    record = write_record(
        folder,
        config,
        "complete",
        formula_sha256=formula_sha256(),
        preference=asdict(PREFERENCE),
        raw=[patient.name for patient in chosen],
        summary=summary_of(graded),
        **told,
    )
    write_text(folder / "README.txt", _README.format(version=record["csiq"]))
    return record


def _bytes_needed(config: StudyConfig, patients: Sequence[CohortPatient], n_volumes: int) -> int:
    volumes = n_volumes * bytes_of_volume(config.matrix)
    largest = max(_sizes_of(config).matrices)
    volumes += 2 * config.smeared * bytes_of_volume(config.matrix)
    volumes += sum(bytes_of_volume(patient.matrix) for patient in _coarse_of(config, patients))
    volumes += (config.iterates + config.test_iterates) * PER_PATIENT * bytes_of_volume(largest)
    if not config.raw:
        return volumes
    each = sum(bytes_of_scan(p, config.raw_matrix, config.raw_coils) for p in patients) / len(patients)
    return volumes + round(each * n_raw_of(n_test_of(config.n_patients)))
