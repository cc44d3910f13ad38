"""Recalibrated grades and stated intervals, by networks that left a fold out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from csiq.errors import ConfigError, RawDataError
from csiq.quality import confidence_fit
from csiq.quality.confidence_folds import confidence_of_folds
from csiq.quality.grade import Grader
from csiq.quality.model_file import extend_card
from csiq.training.graded_rows import rows_of
from csiq.training.graded_set import GradedImage, GradedSet, is_in
from csiq.training.recalibration import Recalibration, recalibrate, recalibration_of
from csiq.training.runs import Listener, TrainingTask, refuse_few
from csiq.training.scheduling import Job, run_all

#: Where the networks of the folds go.
FOLDS = "folds"


def fold_jobs(task: TrainingTask, parts: tuple[str, ...], folds: tuple[str, ...], folder: Path) -> list[Job]:
    """Return the trainings that leave a fold out, with the settings of the training itself.

    Parameters
    ----------
    task : TrainingTask
    parts : tuple of str
        All that the network itself is trained on.
    folds : tuple of str
        Parts to leave out, one a training.
    folder : Path
        Of the training itself.

    Raises
    ------
    ConfigError
        If a fold is no part that is trained on, or the only one.
    """
    for fold in folds:
        if fold not in parts or len(parts) < 2:
            known = ", ".join(parts)
            raise ConfigError(f"'{fold}' cannot be left out of {known}", field="--confidence")
    return [
        (
            replace(
                task,
                splits=tuple(part for part in parts if part != fold),
                held_out=(fold,),
                name=f"{task.name}-without-{fold}",
            ),
            folder / FOLDS / fold,
        )
        for fold in folds
    ]


def check_folds(task: TrainingTask, folds: tuple[str, ...]) -> None:
    """Refuse what :func:`add_confidence` would, before a network has been trained for nothing.

    Parameters
    ----------
    task : TrainingTask
        Of the network itself.
    folds : tuple of str

    Raises
    ------
    ConfigError
        If a fold is no part that is trained on, or the only one.
    RawDataError
        If the folds have too few graded images, or too few patients are left to train on without one.
    """
    rows, problems = rows_of(task.manifest)
    if problems:
        return  # the training says them all, and those of the volumes
    scans = [scan for _, _, scan in rows if is_in(scan.split, task.splits)]
    parts = tuple(sorted({scan.split for scan in scans}))
    for job, _ in fold_jobs(task, parts, folds, Path()):
        refuse_few(task.manifest, job.splits, [scan.patient for scan in scans if scan.split in job.splits])
    n = sum(scan.split in folds for scan in scans)
    if n < confidence_fit.LEAST:
        what = f"{n} graded images in {', '.join(folds)}, intervals need {confidence_fit.LEAST} or more"
        raise RawDataError(what, file=task.manifest, field="--confidence", hint="name further parts")


def add_confidence(
    task: TrainingTask,
    folds: tuple[str, ...],
    folder: Path,
    *,
    models: Sequence[Path] | None = None,
    scheduler: str | None = None,
    listen: Listener | None = None,
) -> dict[str, Any]:
    """Train the networks of the folds, grade what each left out, and write what follows into models.

    The line from these grades to those learned goes into the last layer of the folds' networks and of all
    models (:mod:`csiq.training.recalibration`), the intervals into the cards. Intervals are to hold the
    noise-free reference where the manifest has one, else the grade the network learned.

    Parameters
    ----------
    task : TrainingTask
        Of the networks themselves, which are finished.
    folds : tuple of str
    folder : Path
        Gets the trainings of the folds.
    models : sequence of Path, optional
        Files of the networks; ``folder/NAME.safetensors`` by default.
    scheduler : str, optional
        Of Dask.
    listen : callable, optional

    Returns
    -------
    dict
        The card's entry ``confidence``.

    Raises
    ------
    ConfigError
        If a fold is no part that is trained on.
    ShapeError
        If the folds have fewer than 40 images.
    """
    data = GradedSet.open(task.manifest, task.reader, splits=task.splits, cache=task.cache)
    parts = tuple(sorted({image.split for image in data.images}))
    jobs = fold_jobs(task, parts, folds, folder)
    found = {number: result["model"] for number, result in run_all(jobs, scheduler, listen)}
    of_folds = [jobs[number][1] / found[number] for number in sorted(found)]
    own = list(models) if models is not None else [folder / f"{task.name}.safetensors"]
    line = _line(data.of(*folds), folds, [*of_folds, *own])
    for path in (*own, *of_folds):
        recalibrate(path, line)
    images, against = _with_truth(data.of(*folds), task.reader)
    entry = confidence_of_folds(images, [Grader.load(path) for path in of_folds]) | {"against": against}
    for path in own:
        extend_card(path, {"confidence": entry})
    return entry


def _line(images: list[GradedImage], folds: tuple[str, ...], models: list[Path]) -> Recalibration:
    """Return the line that is in one of the models already, or else the one that the folds ask for."""
    for path in models:
        if known := Recalibration.of_model(path):
            return known
    graders = [(fold, Grader.load(path)) for fold, path in zip(folds, models, strict=False)]
    return recalibration_of(images, graders)


def _with_truth(images: list[GradedImage], reader: str) -> tuple[list[GradedImage], str]:
    if all(math.isfinite(image.reference) for image in images):
        return images, "reference"
    return [replace(image, reference=image.grade) for image in images], reader
