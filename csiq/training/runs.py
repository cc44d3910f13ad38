"""One training from a manifest to a model file with its card: what every command and every worker does."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from csiq.errors import ConfigError, RawDataError
from csiq.io.tables import read_json, write_json
from csiq.quality.model_file import encode_tensors, save_model
from csiq.quality.network import IQDCNN
from csiq.training.card import CardFacts, make_card
from csiq.training.curves import Picture, TensorBoard, draw_curve
from csiq.training.device import Place
from csiq.training.graded_set import GradedImage, GradedSet
from csiq.training.loss import class_weights
from csiq.training.prediction import Predictor
from csiq.training.settings import TrainConfig
from csiq.training.statistics import Statistics, statistics_of
from csiq.training.trainer import CHECKPOINT, Trainer, mean_of_classes, weights_of
from csiq.training.windows import Drawing

RESULT = "result.json"
#: Patients without whom the domain of a model cannot be told.
_FEWEST = 4
#: Gets what happens: dictionaries with ``event`` and numbers.
Listener = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class TrainingTask:
    """Everything a training needs; can be sent to another process.

    Attributes
    ----------
    manifest : Path
    reader : str
    splits, held_out : tuple of str
        Trained on, and looked at meanwhile; ``held_out`` may be empty.
    config : TrainConfig
    cache : Path
        Where volumes are unpacked and statistics kept.
    name, note : str
        Of the model.
    device, precision : str
    tensorboard : bool
    """

    manifest: Path
    reader: str
    splits: tuple[str, ...]
    held_out: tuple[str, ...]
    config: TrainConfig
    cache: Path
    name: str = "iq-dcnn"
    note: str = ""
    device: str = "auto"
    precision: str = "auto"
    tensorboard: bool = False

    def with_config(self, **changes: Any) -> TrainingTask:
        """Return the task with other settings."""
        return replace(self, config=replace(self.config, **changes))


def run_training(task: TrainingTask, folder: Path, listen: Listener | None = None) -> dict[str, Any]:
    """Train, or go on with a training, and write everything to a folder; return its ``result.json``.

    A training that is finished is not done again.

    Parameters
    ----------
    task : TrainingTask
    folder : Path
        Gets ``NAME.safetensors`` with its card, ``log.jsonl``, ``loss.png`` (also while it runs, and when it
        is stopped), ``result.json``; while it runs ``checkpoint.pt``.
    listen : callable, optional

    Raises
    ------
    ManifestError
        If anything is wrong with the data.
    RawDataError
        If there are fewer than four patients, or the loss is no longer finite.
    """
    if (folder / RESULT).is_file():
        return dict(read_json(folder / RESULT))
    tell = listen or (lambda event: None)
    began = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    data = GradedSet.open(task.manifest, task.reader, splits=(*task.splits, *task.held_out), cache=task.cache)
    for warning in data.warnings:
        tell({"event": "warning", "message": warning})
    images, held_out = data.of(*task.splits), data.of(*task.held_out) if task.held_out else []
    _check_parts(task, images, held_out)
    known = _statistics(task, images, tell)
    place = Place.choose(task.device, task.precision)
    trainer = _trainer(task.config, images, known, place)
    trainer.began = began
    if (folder / CHECKPOINT).is_file():
        trainer.restore(folder / CHECKPOINT)
    predictor = Predictor(held_out, task.config.half_edge, place)
    _follow(task, trainer, predictor, folder, tell)
    found = _scores(trainer, predictor)
    facts = CardFacts(data, task, known, place, found)
    return _finish(folder, trainer, facts)


def refuse_few(manifest: Path, splits: Sequence[str], patients: Iterable[str]) -> None:
    """Raise :class:`RawDataError` if parts hold fewer than four patients to train on.

    Parameters
    ----------
    manifest : Path
        To name in the error.
    splits : sequence of str
        The parts, to name in the error.
    patients : iterable of str
        Of every image of these parts.
    """
    n = len(set(patients))
    if n < _FEWEST:
        few = f"{n} patient{'' if n == 1 else 's'}"
        what = f"{few} to train on in {', '.join(splits)}, expected {_FEWEST} or more"
        raise RawDataError(what, file=manifest)


def _check_parts(task: TrainingTask, images: list[GradedImage], held_out: list[GradedImage]) -> None:
    refuse_few(task.manifest, task.splits, [image.patient for image in images])
    both = {image.patient for image in images} & {image.patient for image in held_out}
    if both:
        raise ConfigError(
            f"{len(both)} patients are both trained on and held out", field="--validate", hint="other splits"
        )
    if task.held_out and not held_out:
        raise ConfigError(f"no scan is in {', '.join(task.held_out)}", field="--validate")


def _statistics(task: TrainingTask, images: list[GradedImage], tell: Listener) -> list[Statistics]:
    def progress(done: int, of: int) -> None:
        tell({"event": "statistics", "done": done, "of": of})

    return statistics_of(images, task.config.half_edge, task.cache, progress)


def _trainer(
    config: TrainConfig, images: list[GradedImage], known: list[Statistics], place: Place
) -> Trainer:
    grades = [image.grade for image in images]
    drawing = Drawing([image.volume for image in images], grades, [one.scale for one in known], config)
    return Trainer(drawing, mean_of_classes(class_weights(grades), np.array(grades)), place)


def _follow(task: TrainingTask, trainer: Trainer, predictor: Predictor, folder: Path, tell: Listener) -> None:
    def check(network: IQDCNN) -> dict[str, float]:
        """Return the validation scores of a network, by name."""
        found = predictor.scores(network, trainer.iteration)
        return {f"validation_{key}": found[key] for key in ("patch_l1", "patient_l1")}

    picture, every = Picture(folder), task.config.check_every
    board = TensorBoard(folder, trainer.iteration) if task.tensorboard else None
    try:
        # closed first when it is stopped: its checkpoint matters more than a picture
        with closing(trainer.run(folder, check if predictor.images else None)) as records:
            for record in records:
                if board is not None:
                    board.add(record)
                tell({"event": "iteration", "of": task.config.iterations, **record})
                if record["iteration"] % every == 0:
                    picture.refresh()
    except BaseException:
        with suppress(Exception):  # what stopped it is what has to be said
            picture.leave()
        raise
    finally:
        if board is not None:
            board.close()


def _scores(trainer: Trainer, predictor: Predictor) -> dict[str, Any] | None:
    if not predictor.images:
        return None
    patients = {image.patient for image in predictor.images}
    found = predictor.scores(trainer.result(), trainer.iteration)
    return {"patients": len(patients), "volumes": len(predictor.images), **found}


def _finish(folder: Path, trainer: Trainer, facts: CardFacts) -> dict[str, Any]:
    task = facts.task
    draw_curve(folder)
    weights = encode_tensors(weights_of(trainer.result()), task.config.network.as_dict())
    target = folder / f"{task.name}.safetensors"
    save_model(target, weights, make_card(facts))
    result = {
        "status": "complete",
        "model": target.name,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "seed": task.config.seed,
        "iterations": trainer.iteration,
        "seconds": round(time.perf_counter() - trainer.began, 1),
        "device": str(facts.place.device),
        "precision": "bf16" if facts.place.bf16 else "float32",
        "validation": facts.validation,
    }
    write_json(folder / RESULT, result)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return dict(read_json(folder / RESULT))
