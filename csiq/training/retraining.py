"""The same training again and again with other seeds: how far its result depends on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from csiq.io.tables import Cell, write_table
from csiq.training.runs import Listener, TrainingTask
from csiq.training.scheduling import run_all

TABLE = "retrainings.tsv"
_SCORES = ("patch_l1", "patient_l1", "patch_r2", "patient_r2", "patch_kappa", "patient_kappa")
_COLUMNS = ("model", "seed", "iterations", "seconds", "device", "precision", *_SCORES, "sha256")


def folder_of(number: int) -> str:
    """Return the folder of a retraining, counted from 0."""
    return f"model-{number:02d}"


def retrain(
    task: TrainingTask,
    n: int,
    folder: Path,
    *,
    scheduler: str | None = None,
    listen: Listener | None = None,
) -> Iterator[dict[str, Any]]:
    """Train ``n`` times with the seeds ``seed``, ``seed + 1`` ...; yield each result.

    Models go to ``model-00``, ``model-01`` ...; ``retrainings.tsv`` grows a row with each. Scores are there
    where patients are held out.

    Parameters
    ----------
    task : TrainingTask
    n : int
    folder : Path
    scheduler : str, optional
        Of Dask.
    listen : callable, optional
    """
    jobs = [
        (task.with_config(seed=task.config.seed + number), folder / folder_of(number)) for number in range(n)
    ]
    rows: dict[int, dict[str, Cell]] = {}
    for number, result in run_all(jobs, scheduler, listen):
        scores = result["validation"] or {}
        row = {**scores, **result, "model": jobs[number][1].name}
        rows[number] = {key: row.get(key) for key in _COLUMNS}
        write_table(folder / TABLE, [rows[key] for key in sorted(rows)], _COLUMNS)
        yield result
