"""Training the IQ-DCNN, from a folder of graded slices to weights; reads from top to bottom.

The paper states the loss (eq. 1), an initial learning rate of 5e-3 and dropout; optimiser, batch, schedule
and number of iterations are not public. Ours: Adam, 16 slices a batch of as many images, cosine decay.

Every random choice of an iteration follows from (seed, iteration) alone, so a resumed training goes on along
the curve of an unbroken one.
"""

from __future__ import annotations

import json
import math
import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from csiq.errors import RawDataError
from csiq.quality.evaluation import predict
from csiq.quality.network import IQDCNN, NetworkConfig
from csiq.quality.patches import SIDE
from csiq.quality.training_set import GradedImage, TrainingSet

#: Width of a class of the loss: readers give half grades.
CLASS_WIDTH = 0.5


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes
    ----------
    iterations : int
        Optimiser steps.
    batch : int
        Slices a step, each of another image.
    learning_rate : float
        At the start, after ``warmup`` steps; then a cosine down to zero. The paper's 5e-3 is for an optimiser
        it does not name; Adam diverges there (our choice).
    seed : int
    crop : int
        Side of the randomly shifted window cut from a slice: 160 holds 9 patches.
    check_every : int
        Steps between checkpoints, each with a look at the validation patients.
    validation : int
        Images of such a look, spread evenly over all there are.
    """

    iterations: int = 6000
    batch: int = 16
    learning_rate: float = 1e-3
    warmup: int = 100
    seed: int = 0
    crop: int = 160
    check_every: int = 200
    validation: int = 36


def anti_bias_l1(predicted: Tensor, grade: Tensor) -> Tensor:
    """Return the cost-sensitive anti-bias L1 loss, eq. (1) of the paper.

    The mean over classes of the mean absolute error within the class: a rare grade counts as much as a common
    one. Reference grades are continuous, so classes are their nearest halves; the error is taken to the grade
    itself. Classes without a member in the batch are left out of the mean.

    Parameters
    ----------
    predicted : float tensor, (n, ...)
        Grades of the patches of each slice.
    grade : float tensor, (n,)
        Reference grade of each slice.
    """
    error = (predicted - grade.reshape(-1, *[1] * (predicted.ndim - 1))).abs()
    error = error.reshape(len(grade), -1).mean(dim=1)
    classes = torch.round(grade / CLASS_WIDTH).long()
    _, member, count = torch.unique(classes, return_inverse=True, return_counts=True)
    return (error / count[member]).sum() / len(count)


def draw_batch(
    data: TrainingSet, images: list[GradedImage], config: TrainConfig, iteration: int
) -> tuple[Tensor, Tensor]:
    """Return the slices and grades of one step, augmented in ways that leave quality as it is.

    Flips, quarter turns, shifts below the patch spacing and a slight change of intensity.
    """
    rng = np.random.default_rng((config.seed, iteration))
    chosen = rng.choice(len(images), size=config.batch, replace=config.batch > len(images))
    batch = np.empty((config.batch, config.crop, config.crop), dtype=np.float32)
    for slot, which in enumerate(chosen):
        values = data.slices(images[which])
        one = values[rng.integers(3), rng.integers(values.shape[1])]
        top, left = rng.integers(0, SIDE - config.crop + 1, size=2)
        window = one[top : top + config.crop, left : left + config.crop].astype(np.float32)
        window = np.rot90(window, int(rng.integers(4)))
        window = window[:, ::-1] if rng.integers(2) else window
        batch[slot] = window * np.float32(rng.uniform(0.93, 1.07))
    grades = np.array([images[which].grade for which in chosen], dtype=np.float32)
    return torch.from_numpy(batch), torch.from_numpy(grades)


def learning_rate(config: TrainConfig, iteration: int) -> float:
    """Return the learning rate of a step: linear warm-up, then half a cosine to zero."""
    if iteration < config.warmup:
        return config.learning_rate * (iteration + 1) / config.warmup
    done = (iteration - config.warmup) / max(config.iterations - config.warmup, 1)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


@dataclass
class Training:
    """What changes during a training, and is written to the checkpoint."""

    network: IQDCNN
    optimizer: torch.optim.Adam
    iteration: int = 0
    best_loss: float = math.inf
    best_weights: dict[str, Tensor] | None = None

    @classmethod
    def start(cls, config: TrainConfig, network: NetworkConfig, mean_grade: float) -> Training:
        """Return an untrained network that answers about the mean grade everywhere."""
        torch.manual_seed(config.seed)
        net = IQDCNN(network)
        for layer in net.modules():
            if isinstance(layer, torch.nn.Conv2d) and layer.bias is not None:
                torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                torch.nn.init.constant_(layer.bias, mean_grade if layer.out_channels == 1 else 0.0)
        return cls(net, torch.optim.Adam(net.parameters(), lr=config.learning_rate))

    def save(self, path: Path) -> None:
        """Write the checkpoint: beside its name first, then renamed."""
        state = {
            "config": self.network.config.as_dict(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "iteration": self.iteration,
            "best_loss": self.best_loss,
            "best_weights": self.best_weights,
        }
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = _load(path)
        try:
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, KeyError, ValueError) as error:
            raise RawDataError(f"not a checkpoint of this training: {error}", file=path) from error
        self.iteration, self.best_loss = state["iteration"], state["best_loss"]
        self.best_weights = state["best_weights"]


def _load(path: Path) -> dict[str, Any]:
    """Read a checkpoint; nothing in it can run code."""
    try:
        return dict(torch.load(path, weights_only=True))
    except (RuntimeError, ValueError, TypeError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise RawDataError(f"not a checkpoint: {error}", file=path, hint="train with --restart") from error


def best_network(out: Path) -> IQDCNN:
    """Return the network of a training folder that did best on the validation patients."""
    state = _load(out / "checkpoint.pt")
    network = IQDCNN(NetworkConfig.from_dict(state["config"]))
    network.load_state_dict(state["best_weights"] or state["network"])
    return network.eval()


def step(training: Training, slices: Tensor, grades: Tensor, config: TrainConfig) -> float:
    """Take one optimiser step and return the loss before it."""
    torch.manual_seed(config.seed * 1_000_003 + training.iteration)  # the dropout of this iteration
    for group in training.optimizer.param_groups:
        group["lr"] = learning_rate(config, training.iteration)
    training.network.train()
    loss = anti_bias_l1(training.network(slices), grades)
    training.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if bool(torch.isfinite(loss)):
        training.optimizer.step()
        training.iteration += 1
    return float(loss.detach())


def train(
    data: TrainingSet,
    out: Path,
    config: TrainConfig,
    *,
    network: NetworkConfig | None = None,
    resume: bool = False,
) -> Iterator[dict[str, Any]]:
    """Train, yielding one record a step.

    A record holds ``iteration``, ``loss``, ``learning_rate`` and, now and then, ``validation``.

    Writes ``log.jsonl`` and ``checkpoint.pt`` to ``out``. The caller owns the loop and may leave it.

    Raises
    ------
    RawDataError
        If there is nothing to train or validate on, or the loss is no longer finite.
    """
    out.mkdir(parents=True, exist_ok=True)
    images, validation = data.of("train"), data.of("validation")
    if not images or not validation:
        raise RawDataError(
            f"{len(images)} images to train on, {len(validation)} to validate", file=data.folder
        )
    validation = validation[:: max(1, len(validation) // config.validation)]
    mean_grade = float(np.mean([image.grade for image in images]))
    training = Training.start(config, network or NetworkConfig(), mean_grade)
    checkpoint, log = out / "checkpoint.pt", out / "log.jsonl"
    if resume and checkpoint.exists():
        training.restore(checkpoint)
    _cut_log(log, training.iteration)
    with log.open("a", encoding="utf-8") as file:
        while training.iteration < config.iterations:
            slices, grades = draw_batch(data, images, config, training.iteration)
            loss = step(training, slices, grades, config)
            if not math.isfinite(loss):
                raise RawDataError(
                    f"loss {loss} at iteration {training.iteration + 1}; the last good weights are kept",
                    file=checkpoint,
                    hint=f"a learning rate below {config.learning_rate:g}",
                )
            record = {"iteration": training.iteration, "loss": loss}
            record["learning_rate"] = learning_rate(config, training.iteration - 1)
            if training.iteration % config.check_every == 0 or training.iteration == config.iterations:
                record["validation"] = _check(training, data, validation)
                training.save(checkpoint)
            file.write(json.dumps(record) + "\n")
            file.flush()
            yield record


def _check(training: Training, data: TrainingSet, validation: list[GradedImage]) -> float:
    predicted = torch.from_numpy(predict(training.network, data, validation))
    truth = torch.tensor([image.grade for image in validation], dtype=torch.float64)
    loss = float(anti_bias_l1(predicted[:, None], truth))
    if loss < training.best_loss:
        training.best_loss = loss
        training.best_weights = {k: v.clone() for k, v in training.network.state_dict().items()}
    return loss


def _cut_log(log: Path, iteration: int) -> None:
    """Drop the records after the checkpoint: they will be made again."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    kept = [line for line in lines if line.endswith("}") and json.loads(line)["iteration"] <= iteration]
    log.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
