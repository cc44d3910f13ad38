"""``csiq train``: graded volumes in, a grading network with its card out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from csiq.cli.options import DEBUG, JSON, options

if TYPE_CHECKING:
    from csiq.training.runs import Listener, TrainingTask

_PATH = click.Path(path_type=Path)

_DATA = (
    click.option(
        "-o",
        "--output",
        "out",
        type=_PATH,
        default=Path("csiq-model"),
        metavar="DIR",
        help="Folder to write [csiq-model].",
    ),
    click.option("--name", default="iq-dcnn", help="Name of the model [iq-dcnn]."),
    click.option("--note", default="", metavar="TEXT", help="A sentence for the model card."),
    click.option(
        "--reader",
        default="reader1a",
        metavar="NAME",
        help="Column, consensus or reference [reader1a].",
    ),
    click.option("--splits", default="train", metavar="A,B", help="Parts trained on [train: all of them]."),
    click.option("--validate", default="", metavar="A,B", help="Parts looked at meanwhile [none]."),
)
_HYPER = (
    click.option("--iterations", type=click.IntRange(1), default=6000, help="Optimiser steps [6000]."),
    click.option("--seed", type=click.IntRange(0), default=0, help="Of everything that is random [0]."),
    click.option("--first-kernel", type=click.IntRange(1), default=5, help="hp1: receptive field [5]."),
    click.option("--keep", type=float, default=0.3, help="hp2: share of units dropout keeps [0.3]."),
    click.option("--learning-rate", type=float, default=5e-3, help="hp3: at the start [5e-3]."),
    click.option("--half-edge", type=click.IntRange(0, 40), default=40, help="hp4: of the cube, mm [40]."),
    click.option(
        "--set",
        "further",
        multiple=True,
        metavar="KEY=VALUE",
        help="Another setting; repeatable.",
    ),
)
_STUDY = (
    click.option(
        "--confidence",
        default="",
        metavar="A,B",
        help="Folds to leave out in further trainings, which recalibrate grades and give intervals [none].",
    ),
    click.option("--retrain", type=click.IntRange(1), metavar="N", help="Train N times: seed, seed + 1 ..."),
    click.option("--cross-validate", is_flag=True, help="Try hyperparameters on folds train1 ..."),
    click.option(
        "--grid",
        multiple=True,
        metavar="KEY=A,B",
        help="Values of first_kernel, keep, learning_rate or half_edge; repeatable [the paper's neighbours].",
    ),
    click.option("--combine", is_flag=True, help="Every combination of --grid, not one change at a time."),
    click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers do the trainings."),
)
_RUNNING = (
    click.option("--device", default="auto", metavar="auto|cpu|cuda:0", help="Where to compute [auto]."),
    click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "bf16"]),
        default="auto",
        help="Of the convolutions; auto is bf16 where the processor has it [auto].",
    ),
    click.option("--threads", type=click.IntRange(1), help="CPU threads [all]."),
    click.option("--tensorboard", is_flag=True, help="Write for TensorBoard, too."),
    click.option("--resume", is_flag=True, help="Go on where it was stopped; finished trainings stay."),
    click.option("--overwrite", is_flag=True, help="Remove what csiq wrote there first."),
    click.option("-q", "--quiet", is_flag=True, help="No progress."),
)


@click.command(
    name="train",
    epilog="""\b
Examples:
  csiq train cohort -o model                       the paper's settings, on all of train1, train2, train3
  csiq train graded.tsv -o model --reader consensus --validate validation
  csiq train cohort -o cv --cross-validate --iterations 1500
  csiq train cohort -o model --confidence train3   and a second training without train3: stated intervals
  csiq train cohort -o models --retrain 10 --resume
  csiq train cohort -o small --set widths=8,16,32,32 --set batch=32 --set optimiser=adam
""",
)
@click.argument("graded", metavar="GRADED.tsv|COHORT", type=_PATH)
@options(_DATA, _HYPER, _STUDY, _RUNNING, JSON, DEBUG)
def train(graded: Path, **given: Any) -> None:
    """Train a grading network on graded volumes.

    The table lists volume, patient, split, a column a reader and perhaps reference; volumes are NIfTI, HDF5,
    folders of a DICOM series, or a phase of a run (run.csiq:2). Writes NAME.safetensors with its card, the
    log and the curve of the loss. Research use only.
    """
    from csiq.arrays import use_threads
    from csiq.cli.training_progress import Progress, warnings_only
    from csiq.training.output_folder import opened

    use_threads(given["threads"])
    task = task_of(graded, given)
    what = "cross-validate" if given["cross_validate"] else "retrain" if given["retrain"] else "train"
    _check(given, task)
    content = {"task": what, "name": task.name, **_content(task)}
    show = warnings_only if given["quiet"] or given["as_json"] else Progress()
    with opened(given["out"], content, overwrite=given["overwrite"], resume=given["resume"]) as folder:
        {"train": _one, "retrain": _several, "cross-validate": _validated}[what](task, folder, given, show)


def task_of(graded: Path, given: dict[str, Any]) -> TrainingTask:
    """Return what the options ask for."""
    from csiq.evaluation.cases import manifest_of
    from csiq.training.output_folder import CACHE
    from csiq.training.runs import TrainingTask

    return TrainingTask(
        manifest=manifest_of(graded),
        reader=given["reader"],
        splits=_names(given["splits"]),
        held_out=_names(given["validate"]),
        config=_config(given),
        cache=given["out"] / CACHE,
        name=given["name"],
        note=given["note"],
        device=given["device"],
        precision=given["precision"],
        tensorboard=given["tensorboard"],
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _config(given: dict[str, Any]) -> Any:
    from csiq.errors import ConfigError, ModelError
    from csiq.training.options import config_with

    keys = ("iterations", "seed", "first_kernel", "keep", "learning_rate", "half_edge")
    try:
        return config_with({key: given[key] for key in keys}, given["further"])
    except (ConfigError, ModelError) as error:
        key = (error.field or "").rpartition(".")[2]
        typed = any(text.partition("=")[0].strip().replace("-", "_") == key for text in given["further"])
        if key.startswith("--"):
            raise
        if key == "kernel" and not typed:  # three of them fit, as they are
            key = "first_kernel"
        field = f"--{key.replace('_', '-')}" if key in keys and not typed else f"--set {key}"
        raise ConfigError(error.what, field=field, hint=error.hint) from None


def _check(given: dict[str, Any], task: TrainingTask) -> None:
    from csiq.errors import ConfigError

    if given["cross_validate"] and given["retrain"]:
        raise ConfigError("one of the two", field="--retrain, --cross-validate")
    if (given["grid"] or given["combine"]) and not given["cross_validate"]:
        raise ConfigError("needs --cross-validate", field="--grid")
    several = given["cross_validate"] or given["retrain"]
    if given["scheduler"] and not (several or given["confidence"]):
        raise ConfigError("needs --cross-validate, --retrain or --confidence", field="--scheduler")
    if given["confidence"] and given["cross_validate"]:
        raise ConfigError("is for networks that are kept", field="--confidence")
    if any(mark in given["name"] for mark in "/\\") or not given["name"].strip("."):
        raise ConfigError(f"'{given['name']}' is no name of a file", field="--name")
    if given["confidence"]:
        from csiq.training.confident import check_folds

        check_folds(task, _names(given["confidence"]))


def _content(task: TrainingTask) -> dict[str, Any]:
    from csiq.io.sniff import sha256_of

    manifest = {"name": task.manifest.name, "sha256": sha256_of(task.manifest)}
    data = {"manifest": manifest, "reader": task.reader, "splits": task.splits, "held_out": task.held_out}
    return {"data": _plain(data), "settings": _plain(task.config.as_dict()), "precision": task.precision}


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    """Return a dictionary as it comes back from JSON."""
    from csiq.io.tables import strict

    return dict(strict(content))


def _one(task: TrainingTask, folder: Path, given: dict[str, Any], show: Listener) -> None:
    from csiq.training.runs import run_training

    result = run_training(task, folder, show)
    _say(given, result, f"{folder / result['model']}: {_words(result)}")
    _confidence(task, folder, [folder / result["model"]], given, show)


def _confidence(
    task: TrainingTask, folder: Path, models: list[Path], given: dict[str, Any], show: Listener
) -> None:
    from csiq.training.confident import add_confidence

    if not given["confidence"]:
        return
    folds = _names(given["confidence"])
    found = add_confidence(task, folds, folder, models=models, scheduler=given["scheduler"], listen=show)
    _say(given, {"confidence": found}, f"intervals from {found['n']} images of {', '.join(folds)}")


def _several(task: TrainingTask, folder: Path, given: dict[str, Any], show: Listener) -> None:
    from csiq.training.retraining import folder_of, retrain

    models = []
    for result in retrain(task, given["retrain"], folder, scheduler=given["scheduler"], listen=show):
        _say(given, result, f"seed {result['seed']}: {_words(result)}")
        models.append(folder / folder_of(result["seed"] - task.config.seed) / result["model"])
    if given["confidence"]:
        _confidence(task, folder, sorted(models), given, show)
        list(retrain(task, given["retrain"], folder))  # trains nothing: the table of recalibrated models


def _validated(task: TrainingTask, folder: Path, given: dict[str, Any], show: Listener) -> None:
    from csiq.cli.output import echo_table
    from csiq.io.tables import read_table
    from csiq.training.cross_validation import SUMMARY, Point, cross_validate, points_of
    from csiq.training.options import grid_of

    points = points_of(Point.of(task.config), grid_of(given["grid"]), combined=given["combine"])
    for row in cross_validate(task, points, folder, scheduler=given["scheduler"], listen=show):
        scores = f"L1 {row['patch_l1']:.3f} by patch, {row['patient_l1']:.3f} by patient"
        _say(given, row, f"{row['config']} {row['fold']}: {scores}, {row['seconds']:.0f} s")
    if given["quiet"] or given["as_json"]:
        return
    keys = ("config", "folds", "patch_l1", "patch_l1_sd", "patient_l1", "patient_r2", "patient_kappa", "best")
    click.echo()
    rows = [
        [("*" if row[k] else "") if k == "best" else row[k] for k in keys]
        for row in read_table(folder / SUMMARY)
    ]
    echo_table([key.replace("_", " ") for key in keys], rows)


def _say(given: dict[str, Any], content: Any, words: str) -> None:
    if given["as_json"]:
        from csiq.cli.output import json_line

        click.echo(json_line(content))
    elif not given["quiet"]:
        click.echo(words)


def _words(result: dict[str, Any]) -> str:
    held_out = result["validation"]
    scores = ""
    if held_out:
        who = f"{held_out['patients']} held-out patient{'' if held_out['patients'] == 1 else 's'}"
        scores = f", anti-bias L1 {held_out['patient_l1']:.3f} on {who}"
    return f"{result['iterations']} iterations in {result['seconds']:.0f} s{scores}"
