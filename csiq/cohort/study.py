"""The whole of ``csiq cohort init``: volumes, grades, split, raw data, and a record of it all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from csiq.cohort.cohort_folder import (
    StudyConfig,
    check_room,
    config_of,
    open_cohort,
    read_record,
    used_bytes,
    write_record,
)
from csiq.cohort.database import ImageMaker, Progress, make_volumes, missing_volumes
from csiq.cohort.grading import GradedPatient, grade_cohort, write_tables
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
from csiq.cohort.splits import TEST, n_test_of
from csiq.cohort.summary import summary_of
from csiq.cohort.volume_file import bytes_of_volume
from csiq.errors import CohortError
from csiq.io.atomic import write_text
from csiq.io.tables import read_json, write_json
from csiq.quality.reference import formula_sha256

#: Wall times of the runs that made a cohort: the one file that differs from run to run.
TIMING = "timing.json"
_SHOWN = 5

#: Told of each patient that is finished; the first argument says of what.
Listener = Callable[[str, Progress], None]

_README = """A digital cohort of whole-heart MRI, made by csiq {version}

RESEARCH USE ONLY. Nobody here is real: patients, scans and readers are simulated. No human graded an image.
Grades follow a stated formula of the image and its truth (docs/reference-quality.md), the readers a stated
model of noise and preference (docs/cohort.md).

graded.tsv      volumes, patients, split, grades of readers 1a, 1b and 2, reference grade
patients.tsv    people, difficulty of their scans, measured features
volumes/        the graded images, NIfTI; a JSON beside each
scans.tsv, raw/ raw scans of test patients (ISMRMRD) with their truth, unless left out
cohort.json     configuration, formula, readers, summary
timing.json     how long it took; the only file that is not determined by the seed
"""


@dataclass(frozen=True)
class Running:
    """How a cohort is made; no file but ``timing.json`` depends on it.

    Attributes
    ----------
    workers : int
        Processes.
    overwrite, resume : bool
        As :func:`csiq.cohort.cohort_folder.open_cohort` takes them.
    """

    workers: int = 1
    overwrite: bool = False
    resume: bool = False


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
        _run(folder, "volumes", make_volumes(folder, left, make, workers), listen, workers)
        graded = grade_cohort(folder, patients, seed=config.seed)
        write_tables(folder, graded)
        chosen = _make_raw(folder, config, graded, listen, workers) if config.raw else []
        return _finish(folder, config, graded, chosen)


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
    n_raw = n_raw_of(n_test_of(config.n_patients)) if config.raw else 0
    return {
        "status": record["status"],
        "config": record["config"],
        "volumes": {"done": len(patients) - len(missing_volumes(folder, patients)), "of": len(patients)},
        "scans": {"done": len(patients) - len(missing_scans(folder, patients)), "of": n_raw},
        "disk_bytes": used_bytes(folder),
        "runs": _runs(folder),
        "summary": record.get("summary"),
    }


def _make_raw(
    folder: Path, config: StudyConfig, graded: Sequence[GradedPatient], listen: Listener, workers: int
) -> list[CohortPatient]:
    testing = [row.patient for row in graded if row.split == TEST]
    chosen = choose_spread(testing, n_raw_of(len(testing)))
    left = missing_scans(folder, chosen)
    scans = make_scans(folder, left, config.raw_matrix, config.raw_coils, workers)
    _run(folder, "scans", scans, listen, workers)
    write_scans(folder, chosen)
    return chosen


def _run(folder: Path, what: str, steps: Iterable[Progress], listen: Listener, workers: int) -> None:
    """Follow the work to its end, note how long it took, and raise what failed."""
    started, failed, done = time.monotonic(), [], 0
    try:
        for step in steps:
            done = step.done
            listen(what, step)
            if step.error is not None:
                failed.append(f"{step.name}: {step.error}")
    finally:
        if done:
            run = {"what": what, "made": done - len(failed), "workers": workers}
            run["seconds"] = round(time.monotonic() - started, 1)
            write_json(folder / TIMING, [*_runs(folder), run])
    if failed:
        more = f"; and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
        raise CohortError(
            f"{len(failed)} of {done} {what} failed: {'; '.join(failed[:_SHOWN])}{more}",
            file=folder,
            hint="the others are kept; --resume tries these again",
        )


def _finish(
    folder: Path, config: StudyConfig, graded: Sequence[GradedPatient], chosen: Sequence[CohortPatient]
) -> dict[str, Any]:
    record = write_record(
        folder,
        config,
        "complete",
        formula_sha256=formula_sha256(),
        preference=asdict(PREFERENCE),
        raw=[patient.name for patient in chosen],
        summary=summary_of(graded),
    )
    write_text(folder / "README.txt", _README.format(version=record["csiq"]))
    return record


def _bytes_needed(config: StudyConfig, patients: Sequence[CohortPatient], n_volumes: int) -> int:
    volumes = n_volumes * bytes_of_volume(config.matrix)
    if not config.raw:
        return volumes
    each = sum(bytes_of_scan(p, config.raw_matrix, config.raw_coils) for p in patients) / len(patients)
    return volumes + round(each * n_raw_of(n_test_of(config.n_patients)))


def _runs(folder: Path) -> list[dict[str, Any]]:
    return list(read_json(folder / TIMING)) if (folder / TIMING).is_file() else []
