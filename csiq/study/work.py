"""The long part of a study: scan after scan in processes of one thread each, every finished one kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from csiq.arrays import choose_device
from csiq.cohort.database import Progress
from csiq.cohort.raw import make_scan
from csiq.errors import ModelError
from csiq.io.atomic import TEMPORARY
from csiq.preparation import load_grader
from csiq.simulate.truth import truth_path
from csiq.study.measure import measured_by_solver, measured_selfnav
from csiq.study.record import folder_of, is_finished, write_record
from csiq.study.request import DEFAULT, PRESET, SELFNAV, Setting
from csiq.study.scans import TESTING, StudyScan
from csiq.workers.pool import results_of

#: Folders of a study: its records, and scans that are simulated for it while they are needed.
SCANS, SIMULATED = "scans", "simulated"

#: Told of each scan that is finished.
Listener = Callable[[Progress], None]


@dataclass(frozen=True)
class Job:
    """What is still to be made of one scan.

    Attributes
    ----------
    scan : StudyScan
    parts : tuple of str
        Solvers, and ``selfnav``.
    """

    scan: StudyScan
    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of the scan."""
        return self.scan.name


def jobs_of(folder: Path, scans: Sequence[StudyScan], solvers: Sequence[str], sha256: str = "") -> list[Job]:
    """Return what is not finished, scan by scan; scans to tune on have no self-navigated image.

    Parameters
    ----------
    folder : Path
        Of the study.
    scans : sequence of StudyScan
    solvers : sequence of str
    sha256 : str
        Of the network: what another one graded is made anew.
    """
    jobs = []
    for scan in scans:
        wanted = (*solvers, SELFNAV) if scan.role == TESTING else tuple(solvers)
        places = {part: folder_of(folder / SCANS, scan.name, part) for part in wanted}
        left = tuple(part for part, place in places.items() if not is_finished(place, sha256))
        if left:
            jobs.append(Job(scan, left))
    return jobs


def work_through(folder: Path, jobs: Sequence[Job], setting: Setting, workers: int) -> Iterator[Progress]:
    """Do the jobs; yield as each scan is finished.

    Parameters
    ----------
    folder : Path
        Of the study.
    jobs : sequence of Job
    setting : Setting
    workers : int
        Processes; no number but seconds depends on it.

    Raises
    ------
    ResourceError
        If a worker process died.
    """
    _clear(folder)
    started = time.monotonic()
    task = partial(do, folder, setting)
    for done, (job, result) in enumerate(results_of(task, jobs, workers), start=1):
        error = result if isinstance(result, Exception) else None
        yield Progress(job.name, done, len(jobs), time.monotonic() - started, error)


def do(folder: Path, setting: Setting, job: Job) -> None:
    """Make what is missing of one scan.

    Raises
    ------
    ModelError
        If the network is another one by now than when the study began.
    """
    _check_network(setting)
    raw = job.scan.raw or _simulated(folder / SIMULATED, setting, job.scan)
    try:
        for part in job.parts:
            # the self-navigated image is gridded: no solver has a part in it
            config = setting.config(DEFAULT if part == SELFNAV else part, job.scan.preset)
            made = measured_selfnav(raw, config) if part == SELFNAV else measured_by_solver(raw, config)
            target = folder_of(folder / SCANS, job.name, part)
            write_record(target, made, scan=job.name, role=job.scan.role, part=part, preset=_preset(job))
    finally:
        if job.scan.raw is None:
            _remove(raw)


def _check_network(setting: Setting) -> None:
    """Refuse to grade by another network than the scans before: csiq may be updated while a study goes on."""
    grader = load_grader(setting.config(DEFAULT), choose_device(setting.device))
    if setting.sha256 and (grader is None or grader.sha256 != setting.sha256):
        hint = "--resume --model names the one it began with, --overwrite begins anew"
        raise ModelError("the network changed while the study went on", field="--model", hint=hint)


def _preset(job: Job) -> str:
    return Path(job.scan.preset or PRESET).name


def _simulated(target: Path, setting: Setting, scan: StudyScan) -> Path:
    target.mkdir(exist_ok=True)
    make_scan(target, setting.matrix, setting.n_coils, scan.patient)
    return target / f"{scan.name}.h5"


def _remove(raw: Path) -> None:
    for path in (raw, truth_path(raw)):
        path.unlink(missing_ok=True)


def _clear(folder: Path) -> None:
    """Remove what a killed run left: half-written files, and scans that were simulated for it."""
    for leftover in (folder / SCANS).glob(f"*/.*{TEMPORARY}*"):
        leftover.unlink(missing_ok=True)
    for leftover in [*(folder / SIMULATED).glob("p*.h5"), *(folder / SIMULATED).glob(f".*{TEMPORARY}*")]:
        leftover.unlink(missing_ok=True)
