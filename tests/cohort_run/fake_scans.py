"""Scans whose raw file says what becomes of them; named in a module, so that other processes find it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from csiq.arrays import choose_device
from csiq.cohort_run.job import ScanJob, write_outcome
from csiq.errors import RawDataError
from csiq.history import COLUMNS
from csiq.io.run_folder import RunFolder

#: What iterations a made-up run stops after, and its grades by phase.
GRADES = [1.0, 2.0, 1.9, 1.2]


def behave(job: ScanJob, threads: int) -> dict[str, Any]:
    """Do what the raw file says: good, bad, die, die-once, wait, or an iteration to stop at."""
    started = time.monotonic()
    job.outcome.unlink(missing_ok=True)
    word = job.raw.read_text().strip()
    print(f"{job.name}: {word}, {threads} threads")
    if word == "bad":
        return write_outcome(job, time.monotonic() - started, RawDataError("no signal", file=job.raw))
    if word == "die" or (word == "die-once" and _first_time(job)):
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "bug":
        raise ValueError("what is this")
    with RunFolder.open(job.run_folder, resume=True) as folder:
        if word == "wait":
            _wait(job)
        write_run(job, folder, int(word) if word.isdigit() else 5)
    return write_outcome(job, time.monotonic() - started)


def on_its_gpu(job: ScanJob, threads: int) -> dict[str, Any]:
    """Write down the device that ``auto`` takes here, wait for the two others, and fail."""
    where = f"{choose_device('auto')} of {os.environ['CUDA_VISIBLE_DEVICES']}"
    job.raw.with_suffix(".where").write_text(where)
    deadline = time.monotonic() + 60
    while len(list(job.raw.parent.glob("*.where"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    return write_outcome(job, 0.0, RawDataError("not today", file=job.raw))


def write_run(job: ScanJob, folder: RunFolder, stop: int, offset: float = 0.0) -> None:
    """Write the files of a run that a cohort looks at."""
    rows = [
        {"iteration": k, "phase": p, "grade": grade + offset, "grade_sd": 0.1, "cost": 10.0 - k}
        | {"cost_data": 9.0 - k, "cost_penalty": 1.0, "recon_s": float(k), "grading_s": 0.5 * k}
        for k in range(stop + 1)
        for p, grade in enumerate(GRADES, start=1)
    ]
    folder.write_table("curves.tsv", rows, COLUMNS)
    content = {
        "schema_version": 1,
        "status": "complete",
        "csiq": "0",
        "config": job.config.as_dict(),
        "config_sha256": job.config.sha256(),
        "iterations": stop,
        "stop": {"iteration": stop, "reason": "plateau", "rule": "grade_plateau_mean"},
        "returned_iteration": stop,
        "counterfactual": {"grade_plateau_mean": stop},
        "grading": {"in_domain": [True] * 4},
        "seconds": {"recon": 60.0, "grading": 30.5},
        "warnings": [],
    }
    folder.write_json("run.json", content)
    (folder.path / "report.html").write_text("<!doctype html>")


def _first_time(job: ScanJob) -> bool:
    mark = job.raw.with_suffix(".died")
    if mark.exists():
        return False
    mark.touch()
    return True


def _wait(job: ScanJob) -> None:
    """Say that it has begun, and wait for leave."""
    job.raw.with_suffix(f".begun-{os.getpid()}").touch()
    while not job.raw.with_suffix(".go").exists():
        time.sleep(0.02)


def begun(raw: Path) -> list[int]:
    """Return the processes that have begun to wait for leave."""
    return [int(path.suffix.partition("-")[2]) for path in raw.parent.glob(f"{raw.stem}.begun-*")]
