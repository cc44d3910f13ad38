"""The folder of a cohort of raw scans: who may write to it, what is in it, and what may be removed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from csiq.cohort_run.job import OUTCOMES, SCANS, ScanJob
from csiq.errors import ConfigError, OutputError, RawDataError
from csiq.io.held_folder import config_in, own_folder, remove_own_files
from csiq.io.run_folder import RunFolder
from csiq.io.tables import read_json

#: What the folder says of itself, its page, and the table beside it.
RECORD, PAGE, TABLE = "cohort-run.json", "cohort.html", "cohort.tsv"
#: Every file csiq writes into it, by its path there; those of scans are a run's.
OWN_FILES = re.compile(rf"cohort-run\.json|cohort\.(html|tsv)|timing\.json|{OUTCOMES}/[\w.-]+\.json")


def described(manifest: Path, jobs: Sequence[ScanJob], models: Mapping[str, str | None]) -> dict[str, Any]:
    """Return what a cohort is of, for its record.

    Parameters
    ----------
    manifest : Path
    jobs : sequence of ScanJob
        All of its scans.
    models : mapping
        SHA-256 by the name of each network.
    """
    scans = [
        {
            "scan": job.name,
            "raw": job.raw.name,
            "config": Path(job.config_name).name,
            "config_sha256": job.config.sha256(),
            "model_sha256": models[job.config.quality.model],
        }
        for job in jobs
    ]
    return {"manifest": manifest.name, "scans": scans}


@contextmanager
def open_folder(
    folder: Path, config: Mapping[str, Any], *, overwrite: bool = False, resume: bool = False
) -> Iterator[None]:
    """Make the folder of a cohort ready and hold it.

    Parameters
    ----------
    folder : Path
        Missing or empty, unless one of the options is given.
    config : mapping
        What :func:`described` returns; one that is resumed may have further scans, and miss some.
    overwrite : bool
        Remove what csiq wrote there; nothing else is touched.
    resume : bool
        Keep what is finished.

    Raises
    ------
    OutputError
        If there is something in it, another process writes to it, or a scan is not what it was.
    ResourceError
        If it cannot be made or written to.
    """
    with own_folder(folder, RECORD, overwrite=overwrite, resume=resume) as found:
        if found and overwrite:
            _remove_all(folder)
        elif found:
            _check_same(folder, config)
        for name in (SCANS, OUTCOMES):
            (folder / name).mkdir(exist_ok=True)
        yield


def read_cohort_run(folder: Path) -> dict[str, Any]:
    """Return what the folder of a cohort of raw scans says of itself.

    Raises
    ------
    ConfigError
        If there is none.
    RawDataError
        If its record is damaged.
    """
    if not (folder / RECORD).is_file():
        hint = "csiq cohort run MANIFEST.tsv makes one"
        what = "holds no cohort of raw scans"
        if not folder.is_dir():
            what = "is a file, expected a folder" if folder.exists() else "no such folder"
        raise ConfigError(what, file=folder, hint=hint)
    content = read_json(folder / RECORD)
    try:
        names = [str(scan["scan"]) for scan in content["config"]["scans"]]
    except (KeyError, TypeError):
        raise RawDataError("its record is damaged", file=folder / RECORD) from None
    if any("/" in name or name.startswith(".") for name in names):
        raise RawDataError("names a scan by what is no name", file=folder / RECORD)
    return dict(content)


def _check_same(folder: Path, config: Mapping[str, Any]) -> None:
    before = {scan["scan"]: scan for scan in config_in(folder / RECORD).get("scans", [])}
    words = {"raw": "raw file", "config_sha256": "configuration", "model_sha256": "model"}
    wrong = [
        f"{scan['scan']} (another {what})"
        for scan in config["scans"]
        for key, what in words.items()
        if scan["scan"] in before and before[scan["scan"]].get(key) != scan[key]
    ]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise OutputError(
            f"holds other scans of these names: {', '.join(wrong[:5])}{more}",
            file=folder,
            hint="--overwrite, another folder, or as it was before",
        )


def _remove_all(folder: Path) -> None:
    for sub in sorted((folder / SCANS).glob("*")):
        if sub.is_dir() and not sub.is_symlink():
            with RunFolder.open(sub, overwrite=True) as run_folder:
                run_folder.remove_own_files()
            with suppress(OSError):
                sub.rmdir()
    remove_own_files(folder, OWN_FILES, (OUTCOMES, SCANS))
