"""Manifests: tables of graded volumes and of raw scans, checked as a whole before anything is done with them.

Graded volumes have the columns ``volume patient split``, one a reader (``reader1a`` ...) and, where there is
one, ``reference``; cohorts have ``scan raw config``. Cells are separated by tabs, missing ones are ``nan`` or
empty, paths are relative to the manifest's folder.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from csiq.cohort.checked_table import MISSING, CheckedTable, ManifestError
from csiq.config import load_config
from csiq.errors import ConfigError, nearest
from csiq.io.tables import Cell, write_table
from csiq.presets import preset_names

__all__ = [
    "CohortScan",
    "GradedScan",
    "ManifestError",
    "observer_of",
    "read_cohort",
    "read_manifest",
    "write_cohort",
    "write_manifest",
]

_READER = r"reader\w*"
#: Of a scan: the folder of its results is called so.
_NAME = re.compile(r"\w[\w.-]{0,119}")
_SPLIT = re.compile(r"train\d*|validation|test")


@dataclass(frozen=True)
class GradedScan:
    """One row of a graded manifest.

    Attributes
    ----------
    volume : Path
    patient : str
    split : str
        ``train`` (or ``train1`` ... for cross-validation), ``validation`` or ``test``.
    grades : dict of str to float
        Reader to grade; ``nan`` where that reader did not grade it.
    reference : float
        Grade of a formula, continuous; ``nan`` if there is none.
    """

    volume: Path
    patient: str
    split: str
    grades: dict[str, float] = field(default_factory=dict)
    reference: float = math.nan


@dataclass(frozen=True)
class CohortScan:
    """One row of a cohort's manifest.

    Attributes
    ----------
    scan : str
        Its name.
    raw : Path
    config : str, optional
        A preset, or a TOML file relative to the manifest's folder; the defaults if there is none.
    """

    scan: str
    raw: Path
    config: str | None = None


def observer_of(reader: str) -> str:
    """Return whose reading a column is: reader1a and reader1b are readings of reader1."""
    return re.sub(r"(?<=\d)[a-z]$", "", reader)


def graded(cell: str) -> str:
    """Return what a cell says of a grade; spreadsheets leave missing ones empty, some programs write NA."""
    return MISSING if cell.lower() in ("", "na") else cell


def write_manifest(path: str | Path, scans: Sequence[GradedScan]) -> None:
    """Write a graded manifest, atomically."""
    path = Path(path)
    readers = list(scans[0].grades) if scans else []
    rows: list[dict[str, Cell]] = [
        {
            "volume": _relative(scan.volume, path),
            "patient": scan.patient,
            "split": scan.split,
            **scan.grades,
            "reference": scan.reference,
        }
        for scan in scans
    ]
    write_table(path, rows, ["volume", "patient", "split", *readers, "reference"])


def read_manifest(path: str | Path, *, check_files: bool = True) -> list[GradedScan]:
    """Read a graded manifest.

    Parameters
    ----------
    path : path
    check_files : bool
        Whether the volumes have to be there.

    Raises
    ------
    ManifestError
        With everything that is wrong: columns, splits, grades off the scale, a patient in two splits, a
        volume listed twice, volumes that are not there.
    RawDataError
        If it cannot be read.
    """
    table = CheckedTable(Path(path), ("volume", "patient", "split"), ("reference",), _READER)
    if not table.further and "reference" not in table.columns:
        table.fault(1, "no column of grades (reader..., reference)")
    scans = []
    for line, cells in table.rows:
        volume = table.file_of(line, cells["volume"], "volume", check=check_files)
        patient, split = table.text(line, cells, "patient"), cells["split"]
        if not _SPLIT.fullmatch(split) and "split" not in table.missing:
            known = ("train", "train1", "train2", "train3", "validation", "test")
            table.fault(line, f"split '{split}' is not known ({nearest(split, known)})")
        grades = {name: table.grade(line, name, graded(cells[name]), halves=True) for name in table.further}
        reference = table.grade(line, "reference", graded(cells.get("reference", "")), halves=False)
        scans.append(GradedScan(volume, patient, split, grades, reference))
    table.unique("volume", "is listed before")
    _one_split_each(table)
    table.refuse()
    return scans


def write_cohort(path: str | Path, scans: Sequence[CohortScan]) -> None:
    """Write a cohort's manifest, atomically."""
    path = Path(path)
    rows: list[dict[str, Cell]] = [
        {
            "scan": scan.scan,
            "raw": _relative(scan.raw, path),
            "config": scan.config,
        }
        for scan in scans
    ]
    write_table(path, rows, ["scan", "raw", "config"])


def read_cohort(path: str | Path, *, check_files: bool = True) -> list[CohortScan]:
    """Read a cohort's manifest.

    Raises
    ------
    ManifestError
        With everything that is wrong: columns, a scan named twice or by what cannot name a folder, files that
        are not there, configurations that cannot be read.
    RawDataError
        If it cannot be read.
    """
    table = CheckedTable(Path(path), ("scan", "raw"), ("config",))
    scans = []
    for line, cells in table.rows:
        raw = table.file_of(line, cells["raw"], "raw", check=check_files)
        config = cells.get("config", MISSING)
        if check_files and config not in ("", MISSING):
            _check_config(table, line, config)
        name = table.text(line, cells, "scan")
        if name and not _NAME.fullmatch(name):
            table.fault(line, f"scan '{name}' cannot name a folder: letters, digits, '.', '_' and '-' can")
        scans.append(CohortScan(name, raw, None if config in ("", MISSING) else config))
    table.unique("scan", "is named before")
    table.refuse()
    return scans


def _check_config(table: CheckedTable, line: int, config: str) -> None:
    if config in preset_names():
        return
    if not config.endswith(".toml"):
        hint = nearest(config, preset_names())
        table.fault(line, f"config '{config}' is neither a preset nor a TOML file ({hint})")
        return
    before = len(table.faults)
    path = table.file_of(line, config, "config", check=True)
    if len(table.faults) > before:
        return
    try:
        load_config(file=path)
    except ConfigError as error:
        table.fault(line, error.one_line())


def _one_split_each(table: CheckedTable) -> None:
    if {"patient", "split"} & set(table.missing):
        return
    first: dict[str, tuple[str, int]] = {}
    for line, cells in table.rows:
        split, before = first.setdefault(cells["patient"], (cells["split"], line))
        if split != cells["split"]:
            what = f"patient {cells['patient']} is in '{cells['split']}', in line {before} in '{split}'"
            table.fault(line, what)


def _relative(file: Path, manifest: Path) -> str:
    folder = manifest.parent
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.as_posix()
