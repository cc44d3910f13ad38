"""The folder of a cohort: who may write to it, what is in it, and what may be removed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from csiq._version import __version__
from csiq.errors import ConfigError, OutputError, RawDataError, ResourceError, nearest
from csiq.io.held_folder import own_folder, remove_own_files
from csiq.io.sniff import in_bytes
from csiq.io.tables import read_json, strict, write_json

#: What a cohort's folder says of itself.
RECORD = "cohort.json"
#: Every file csiq writes into the folder of a cohort, by its path there.
OWN_FILES = re.compile(
    r"cohort\.json|timing\.json|README\.txt|graded\.tsv|patients\.tsv|scans\.tsv"
    r"|volumes/p\d+\.(nii|json)|raw/p\d+(\.truth)?\.h5"
    r"|(graded-)?iterates\.tsv|iterates/p\d+-i\d\d-phase\d\.(nii|json)"
    r"|graded-coarse\.tsv|coarse/p\d+\.(nii|json)|smeared/p\d+-(vessels|rest)\.(nii|json)"
)
STUDIES = ("paper",)
#: Folders of further volumes of the patients.
COARSE, SMEARED = "coarse", "smeared"
_SUBFOLDERS = ("volumes", "raw", "iterates", COARSE, SMEARED)
_RESERVE = 50e6  # bytes that tables and logs may take


@dataclass(frozen=True)
class StudyConfig:
    """What a cohort is to be.

    Attributes
    ----------
    study : str
        ``paper``: patients, split and raw data as in Piccini et al. 2020.
    n_patients : int
    matrix : int
        Voxels along each axis of the graded volumes, over 208 mm.
    seed : int
        Everything follows from it.
    raw : bool
        Whether test patients get raw data.
    raw_matrix, raw_coils : int
        Of the raw data, and of the scans whose iterates are graded.
    iterates : int
        How many patients who train have iterates of a reconstruction graded as well.
    test_iterates : int
        How many test patients have, to test on; these are in ``iterates.tsv`` alone.
    iterate_matrices : tuple of int
        Matrices of the scans of iterates, one drawn for each patient; ``raw_matrix`` if there are none.
    smeared : int
        How many patients who train have volumes with smeared coronaries graded as well.
    coarse : int
        How many patients, the first by number, have a coarse volume graded as well.
    coarse_matrices : tuple of int
        Matrices of coarse volumes, one drawn for each patient; ``raw_matrix`` if there are none.
    """

    study: str = "paper"
    n_patients: int = 424
    matrix: int = 208
    seed: int = 0
    raw: bool = True
    raw_matrix: int = 144
    raw_coils: int = 8
    iterates: int = 0
    test_iterates: int = 0
    iterate_matrices: tuple[int, ...] = ()
    smeared: int = 0
    coarse: int = 0
    coarse_matrices: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.study not in STUDIES:
            hint = nearest(self.study, STUDIES)
            raise ConfigError(f"unknown study '{self.study}'", field="--study", hint=hint)
        for name, value, least in (
            ("--patients", self.n_patients, 1),
            ("--matrix", self.matrix, 16),
            ("--seed", self.seed, 0),
            ("--raw-matrix", self.raw_matrix, 16),
            ("--raw-coils", self.raw_coils, 1),
            ("--iterates", self.iterates, 0),
            ("--test-iterates", self.test_iterates, 0),
            *(("--iterate-matrix", matrix, 16) for matrix in self.iterate_matrices),
            ("--smeared", self.smeared, 0),
            ("--coarse", self.coarse, 0),
            *(("--coarse-matrix", matrix, 16) for matrix in self.coarse_matrices),
        ):
            if value < least:
                raise ConfigError(f"{value} is below {least}", field=name)


@contextmanager
def open_cohort(
    folder: Path, config: StudyConfig, *, overwrite: bool = False, resume: bool = False
) -> Iterator[None]:
    """Make the folder of a cohort ready and hold it.

    Parameters
    ----------
    folder : Path
        Missing or empty, unless one of the options is given.
    config : StudyConfig
    overwrite : bool
        Remove what csiq wrote there; nothing else is touched.
    resume : bool
        Keep what is finished.

    Raises
    ------
    OutputError
        If there is something in it, another process writes to it, or it is of another configuration.
    ResourceError
        If it cannot be made or written to.
    """
    with own_folder(folder, RECORD, overwrite=overwrite, resume=resume) as found:
        if found and resume:
            _check_same(folder, config)
        elif found:
            remove_own_files(folder, OWN_FILES, _SUBFOLDERS)
        yield


def check_room(folder: Path, needed: int) -> None:
    """Refuse to start what the disk cannot hold.

    Raises
    ------
    ResourceError
        With both numbers.
    """
    free = shutil.disk_usage(folder).free
    if needed + _RESERVE > free:
        raise ResourceError(
            f"needs {in_bytes(needed + _RESERVE)}, {in_bytes(free)} free",
            file=folder,
            hint="make room, or choose fewer --patients, a smaller --matrix, fewer --iterates or --no-raw",
        )


def used_bytes(folder: Path) -> int:
    """Return how much a cohort's files take."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def read_record(folder: Path) -> dict[str, Any]:
    """Return what a cohort's folder says of itself.

    Raises
    ------
    ConfigError
        If there is no such folder.
    RawDataError
        If it is no cohort's folder.
    """
    if not folder.is_dir():
        what = "is a file, expected the folder of a cohort" if folder.exists() else "no such folder"
        raise ConfigError(what, file=folder, hint="csiq cohort init makes one")
    try:
        content = read_json(folder / RECORD)
    except RawDataError:
        content = None
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise RawDataError("is no folder of a cohort", file=folder, field=RECORD)
    return content


def config_of(record: dict[str, Any]) -> StudyConfig:
    """Return the configuration a cohort was made with.

    Raises
    ------
    RawDataError
        If another version of csiq wrote it.
    """
    try:
        config = dict(record["config"])
        for name in ("iterate_matrices", "coarse_matrices"):
            config[name] = tuple(config.get(name, ()))
        return StudyConfig(**config)
    except TypeError:
        raise RawDataError("its configuration is of another version", field=RECORD) from None


def write_record(folder: Path, config: StudyConfig, status: str, **content: Any) -> dict[str, Any]:
    """Write what a cohort's folder says of itself and return it.

    Parameters
    ----------
    folder : Path
    config : StudyConfig
    status : str
        ``running`` or ``complete``.
    **content
        What there is to say more.
    """
    record = strict(
        {
            "schema_version": 1,
            "status": status,
            "csiq": __version__,
            "use": "Simulated patients, simulated readers: no human was imaged or graded an image. "
            "Research use only.",
            "config": asdict(config),
            **content,
        }
    )
    write_json(folder / RECORD, record)
    return dict(record)


def _check_same(folder: Path, config: StudyConfig) -> None:
    record = read_record(folder)
    before, now = asdict(config_of(record)), asdict(config)
    differ = [key for key in now if now[key] != before[key]]
    # Raw data, iterates, coarse volumes can be added; more patients until somebody has seen a split of fewer
    allowed = {"raw"} if record.get("status") == "complete" else {"raw", "n_patients"}
    allowed |= {key for key in ("iterates", "test_iterates", "smeared", "coarse") if now[key] > before[key]}
    if not before["iterates"] and not before["test_iterates"]:
        allowed.add("iterate_matrices")
    if not before["coarse"]:
        allowed.add("coarse_matrices")
    wrong = [f"{key} {before[key]}, now {now[key]}" for key in differ if key not in allowed]
    if wrong:
        raise OutputError(
            f"was made with {'; '.join(wrong)}", file=folder, hint="the same options, or --overwrite"
        )
