"""Threefold cross-validation over the paper's four hyperparameters.

hp1 is the first kernel, hp2 the keep probability, hp3 the initial learning rate, hp4 the half edge of the
cube of patch centres. By default the paper's optimum (5, 0.3, 5e-3, 40) is held against its neighbours, one
at a time. Each fold trains on two of the three parts and is scored on the third.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from csiq.cohort.manifest import read_manifest
from csiq.errors import ConfigError
from csiq.io.tables import Cell, write_table
from csiq.quality.network import PATCH, STRIDE
from csiq.quality.patches import patch_offsets
from csiq.training.output_folder import RUNS
from csiq.training.runs import Listener, TrainingTask, refuse_few
from csiq.training.scheduling import run_all
from csiq.training.settings import TrainConfig

TABLE, SUMMARY = "cross-validation.tsv", "cross-validation-summary.tsv"
#: Neighbours of the paper's optimum, one at a time.
NEIGHBOURS: dict[str, tuple[float, ...]] = {
    "first_kernel": (3, 7),
    "keep": (0.5,),
    "learning_rate": (2e-3,),
    "half_edge": (24,),
}
_SCORES = ("patch_l1", "patient_l1", "patch_r2", "patient_r2", "patch_kappa", "patient_kappa")
_COLUMNS = ("config", *NEIGHBOURS, "fold", *_SCORES, "seconds", "seed", "iterations", "sha256")


@dataclass(frozen=True)
class Point:
    """One choice of the four hyperparameters."""

    first_kernel: int
    keep: float
    learning_rate: float
    half_edge: int

    @property
    def name(self) -> str:
        """Of its folder and rows."""
        return f"k{self.first_kernel}-p{self.keep:g}-lr{self.learning_rate:g}-h{self.half_edge}"

    @classmethod
    def of(cls, config: TrainConfig) -> Point:
        """Return the hyperparameters of a training."""
        network = config.network
        return cls(network.first_kernel, network.keep, config.learning_rate, config.half_edge)

    def put_into(self, config: TrainConfig) -> TrainConfig:
        """Return a training with these hyperparameters; a window too wide for the cube is made to fit."""
        network = replace(config.network, first_kernel=self.first_kernel, keep=self.keep)
        widest = PATCH + STRIDE * (len(patch_offsets(self.half_edge)) - 1)
        return replace(
            config,
            network=network,
            learning_rate=self.learning_rate,
            half_edge=self.half_edge,
            window=min(config.window, widest),
        )


def points_of(
    centre: Point, grid: Mapping[str, Sequence[float]] | None = None, *, combined: bool = False
) -> list[Point]:
    """Return the choices to try, the centre first.

    Parameters
    ----------
    centre : Point
    grid : mapping, optional
        Hyperparameter to values; :data:`NEIGHBOURS` by default.
    combined : bool
        Every combination, not one change at a time.

    Raises
    ------
    ConfigError
        If there is no such hyperparameter, or a value that cannot be.
    """
    chosen = dict(NEIGHBOURS if grid is None else grid)
    unknown = sorted(set(chosen) - set(NEIGHBOURS))
    if unknown:
        raise ConfigError(f"no hyperparameter '{unknown[0]}'; known: {', '.join(NEIGHBOURS)}", field="--grid")
    changes: list[dict[str, Any]] = [{key: value} for key, values in chosen.items() for value in values]
    if combined:
        every = ([getattr(centre, key), *values] for key, values in chosen.items())
        changes = [dict(zip(chosen, values, strict=True)) for values in product(*every)]
    found = [centre]
    for change in changes:
        whole: dict[str, Any] = {
            k: int(v) if k in ("first_kernel", "half_edge") else float(v) for k, v in change.items()
        }
        point = replace(centre, **whole)
        if point not in found:
            found.append(point)
    return found


def folds_of(manifest: Path) -> list[str]:
    """Return the parts a manifest's training patients are split into.

    Raises
    ------
    ConfigError
        If there are fewer than two.
    RawDataError
        If there are fewer than four patients to train on without one of them.
    """
    scans = read_manifest(manifest, check_files=False)
    parts = sorted({scan.split for scan in scans} - {"test", "validation"})
    if len(parts) < 2:
        what = f"expected train1, train2 ... in column split, got {', '.join(parts) or 'none'}"
        raise ConfigError(what, file=manifest, field="--cross-validate")
    for part in parts:
        others = [other for other in parts if other != part]
        refuse_few(manifest, others, [scan.patient for scan in scans if scan.split in others])
    return parts


def cross_validate(
    task: TrainingTask,
    points: Sequence[Point],
    folder: Path,
    *,
    scheduler: str | None = None,
    listen: Listener | None = None,
) -> Iterator[dict[str, Cell]]:
    """Train every point on every fold; yield each row of ``cross-validation.tsv`` as it is written.

    The table is replaced as a whole when a training ends, and what is finished is not done again.

    Parameters
    ----------
    task : TrainingTask
        Its splits are replaced by the folds.
    points : sequence of Point
    folder : Path
    scheduler : str, optional
        Of Dask.
    listen : callable, optional
    """
    parts = folds_of(task.manifest)
    runs = [(point, part) for point in points for part in parts]
    jobs = []
    for point, part in runs:
        others = tuple(other for other in parts if other != part)
        config = point.put_into(task.config)
        one = replace(task, splits=others, held_out=(part,), config=config, name="model")
        jobs.append((one, folder / RUNS / f"{point.name}-{part}"))
    rows: dict[int, dict[str, Cell]] = {}
    for number, result in run_all(jobs, scheduler, listen):
        point, part = runs[number]
        rows[number] = row_of(point, part, result)
        ordered = [rows[key] for key in sorted(rows)]
        write_table(folder / TABLE, ordered, _COLUMNS)
        write_table(folder / SUMMARY, summary_of(ordered))
        yield rows[number]


def row_of(point: Point, fold: str, result: dict[str, Any]) -> dict[str, Cell]:
    """Return the row of a finished training."""
    scores = {key: result["validation"].get(key) for key in _SCORES}
    hyper = {key: getattr(point, key) for key in NEIGHBOURS}
    rest = {key: result[key] for key in ("seconds", "seed", "iterations", "sha256")}
    return {"config": point.name, **hyper, "fold": fold, **scores, **rest}


def summary_of(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Cell]]:
    """Return a row a configuration: means over its folds, the best patch-level L1 first.

    Only configurations with all folds can be ``best``.
    """
    names = list(dict.fromkeys(str(row["config"]) for row in rows))
    n_folds = len({row["fold"] for row in rows})
    found: list[dict[str, Cell]] = []
    for name in names:
        own = [row for row in rows if row["config"] == name]
        means: dict[str, Cell] = {key: _mean([row[key] for row in own]) for key in _SCORES}
        spread = float(np.std([row["patch_l1"] for row in own], ddof=1)) if len(own) > 1 else math.nan
        hyper = {key: own[0][key] for key in NEIGHBOURS}
        found.append({"config": name, **hyper, "folds": len(own), **means, "patch_l1_sd": spread, "best": 0})
    found.sort(key=lambda row: (row["folds"] != n_folds, row["patch_l1"]))
    if found and found[0]["folds"] == n_folds:
        found[0]["best"] = 1
    return found


def _mean(values: Sequence[Any]) -> float:
    known = [float(value) for value in values if value is not None and not math.isnan(value)]
    return float(np.mean(known)) if len(known) == len(values) and known else math.nan
