"""One scan of a cohort: what is to be done, where, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csiq.config import Config
from csiq.errors import CsiqError, RawDataError
from csiq.failures import as_csiq_error
from csiq.io import lock
from csiq.io.tables import read_json, write_json

#: Folders of a cohort: one a scan with its results and log, and a file a scan on how its last attempt ended.
SCANS, OUTCOMES = "scans", "outcomes"
WAITING, RUNNING, COMPLETE, FAILED, INTERRUPTED = "waiting", "running", "complete", "failed", "interrupted"
#: What a scan may be, in the order in which they are counted.
STATES = (COMPLETE, FAILED, RUNNING, INTERRUPTED, WAITING)


@dataclass(frozen=True)
class ScanJob:
    """A scan to reconstruct.

    Attributes
    ----------
    name : str
        Of the manifest's column ``scan``.
    raw : Path
        Absolute: another process, or machine, has to find it.
    config : Config
    folder : Path
        Of the cohort, absolute.
    config_name : str
        What the manifest says: a preset or a file; empty for the defaults.
    """

    name: str
    raw: Path
    config: Config
    folder: Path
    config_name: str = ""

    @property
    def run_folder(self) -> Path:
        """Where its results and log go."""
        return run_folder_of(self.folder, self.name)

    @property
    def outcome(self) -> Path:
        """File on how its last attempt ended."""
        return outcome_file(self.folder, self.name)


def run_folder_of(folder: Path, name: str) -> Path:
    """Return the run folder of a cohort's scan."""
    return folder / SCANS / name


def outcome_file(folder: Path, name: str) -> Path:
    """Return the file on how the last attempt at a scan ended."""
    return folder / OUTCOMES / f"{name}.json"


def log_of(job: ScanJob) -> Path:
    """Return the log of a scan."""
    return job.run_folder / "csiq.log"


def write_outcome(job: ScanJob, seconds: float, error: Exception | None = None) -> dict[str, Any]:
    """Write how an attempt ended and return it.

    Parameters
    ----------
    job : ScanJob
    seconds : float
        It took.
    error : Exception, optional
        Why there is no result.
    """
    job.outcome.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "schema_version": 1,
        "scan": job.name,
        "status": FAILED if error is not None else COMPLETE,
        "seconds": round(seconds, 2),
        "raw": _stamp(job.raw),
        "error": _described(error) if error is not None else None,
    }
    write_json(job.outcome, content)
    return content


def read_outcome(folder: Path, name: str) -> dict[str, Any] | None:
    """Return how the last attempt at a scan ended; None if none did, or its file is damaged."""
    with suppress(RawDataError):
        content = read_json(outcome_file(folder, name))
        if isinstance(content, dict) and content.get("status") in (COMPLETE, FAILED):
            return content
    return None


def state_of(folder: Path, name: str) -> str:
    """Return where a scan stands, one of :data:`STATES`."""
    run_folder = run_folder_of(folder, name)
    if lock.is_held(run_folder):
        return RUNNING
    outcome = read_outcome(folder, name)
    if outcome is not None:
        return str(outcome["status"])
    status = run_of(run_folder).get("status")
    # a program killed between the last two files of a scan has finished it
    return COMPLETE if status == COMPLETE else INTERRUPTED if status else WAITING


def run_of(run_folder: Path) -> Mapping[str, Any]:
    """Return ``run.json``, empty if it is not there or damaged."""
    with suppress(RawDataError):
        content = read_json(run_folder / "run.json")
        if isinstance(content, dict):
            return content
    return {}


def is_finished(job: ScanJob) -> bool:
    """Return whether nothing is left to do: complete, of this configuration and this raw file."""
    from csiq.checkpoint import goes_further

    outcome, run = read_outcome(job.folder, job.name), run_of(job.run_folder)
    if outcome is None or outcome["status"] != COMPLETE or run.get("status") != COMPLETE:
        return False
    same = run.get("config_sha256") == job.config.sha256() and outcome.get("raw") == _stamp(job.raw)
    return same and not goes_further(dict(run), job.config)


def _stamp(raw: Path) -> dict[str, int] | None:
    """Return what changes when a raw file does, without reading it."""
    try:
        found = raw.stat()
    except OSError:
        return None
    return {"bytes": found.st_size, "mtime_ns": found.st_mtime_ns}


def _described(error: Exception) -> dict[str, Any]:
    known = error if isinstance(error, CsiqError) else as_csiq_error(error)
    if known is not None:
        return {**known.as_dict(), "line": known.one_line()}
    what = f"this is a bug in csiq: {type(error).__name__}: {error}"
    line = " ".join(f"{what}; please report it with csiq.log".split())
    return {"status": "error", "code": 1, "message": " ".join(what.split()), "line": line}
