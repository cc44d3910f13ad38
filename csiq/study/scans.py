"""Which scans a study takes: of test patients, and of patients who train, to choose rivals on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from csiq.cohort.cohort_folder import config_of
from csiq.cohort.grading import PEOPLE
from csiq.cohort.manifest import CohortScan, read_cohort
from csiq.cohort.patients import CohortPatient, draw_patients
from csiq.cohort.raw import SCANS, choose_spread, n_raw_of
from csiq.cohort.splits import FOLDS, TEST
from csiq.errors import ConfigError, RawDataError
from csiq.io.tables import read_table
from csiq.study.request import StudyRequest

#: Roles of a scan: shown in the study's results, or only used to choose rules that rival csiq's.
TESTING, TUNING = "test", "tuning"


@dataclass(frozen=True)
class StudyScan:
    """One scan of a study.

    Attributes
    ----------
    patient : CohortPatient
    role : str
        ``test`` or ``tuning``.
    raw : Path, optional
        Its raw file; a scan without one is simulated when its turn comes, and removed afterwards.
    preset : str, optional
        Configuration that the cohort's manifest names.
    """

    patient: CohortPatient
    role: str
    raw: Path | None = None
    preset: str | None = None

    @property
    def name(self) -> str:
        """Of its patient: ``p001``."""
        return self.patient.name


def choose_scans(request: StudyRequest) -> list[StudyScan]:
    """Return the scans of a study: those of test patients by number, then those to tune on.

    A smaller number takes those that differ most in difficulty (:func:`csiq.cohort.raw.choose_spread`), and a
    larger one later only adds to them.

    Raises
    ------
    ConfigError
        If the cohort has fewer patients of either kind.
    RawDataError, ManifestError
        If its tables are not in order.
    """
    made = config_of(request.record)
    patients = draw_patients(made.n_patients, seed=made.seed, matrix=made.matrix)
    split = {str(row["patient"]): str(row["split"]) for row in read_table(request.cohort / PEOPLE)}
    if missing := [p.name for p in patients if p.name not in split]:
        raise RawDataError(f"{missing[0]} is not there", file=request.cohort / PEOPLE)
    raw = _raw_scans(request) if request.setting.matrix == made.raw_matrix else {}
    testing = [p for p in patients if split[p.name] == TEST]
    training = [p for p in patients if split[p.name] in FOLDS]
    # the cohort's own choice of who has raw data comes first
    with_raw = [p for p in testing if p.name in raw] or choose_spread(testing, n_raw_of(len(testing)))
    pool = with_raw if request.n_scans <= len(with_raw) else testing
    chosen = [
        *((p, TESTING) for p in _chosen(pool, request.n_scans, "--scans", "test patients")),
        *((p, TUNING) for p in _chosen(training, request.n_tuning, "--tuning", "patients who train")),
    ]
    return [_scan(request.cohort, patient, role, raw) for patient, role in chosen]


def _raw_scans(request: StudyRequest) -> dict[str, CohortScan]:
    manifest = request.cohort / SCANS
    return {scan.scan: scan for scan in read_cohort(manifest)} if manifest.is_file() else {}


def _chosen(patients: Sequence[CohortPatient], count: int, option: str, kind: str) -> Sequence[CohortPatient]:
    if count > len(patients):
        raise ConfigError(f"{count} scans, but {len(patients)} {kind}", field=option)
    return choose_spread(patients, count) if count else ()


def _scan(cohort: Path, patient: CohortPatient, role: str, raw: dict[str, CohortScan]) -> StudyScan:
    found = raw.get(patient.name)
    preset = found.config if found is not None else None
    if found is not None and preset is not None and preset.endswith(".toml"):
        preset = str(cohort / preset)
    return StudyScan(patient, role, found.raw if found is not None else None, preset)
