"""The training itself: steps, checkpoints, the weights that are kept. Reads from top to bottom.

Every random choice of a step follows from (seed, iteration) alone, so a training that was killed goes on
along the curve of an unbroken one, to the bit where the number of threads is the same.
"""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from csiq.blas import one_blas_thread
from csiq.errors import RawDataError
from csiq.io.atomic import atomic_write
from csiq.quality.network import IQDCNN
from csiq.training.curves import Log
from csiq.training.device import Place, put
from csiq.training.loss import batch_loss, volume_loss
from csiq.training.prefetch import ahead
from csiq.training.settings import TrainConfig
from csiq.training.trainable import Trainable
from csiq.training.undisturbed import signals_wait
from csiq.training.windows import Batch, Drawing

CHECKPOINT = "checkpoint.pt"
#: Looks at held-out patients with a network, and returns what to write down.
Check = Callable[[IQDCNN], dict[str, float]]
_MOMENTUM = 0.9
_NO_CHECKPOINT = (RuntimeError, ValueError, TypeError, KeyError, EOFError, OSError, pickle.UnpicklingError)
_FIRST_AVERAGE = 10.0


def learning_rate(config: TrainConfig, iteration: int) -> float:
    """Return the learning rate of a step, from 0: a linear warm-up, then the schedule."""
    if iteration < config.warmup:
        return config.learning_rate * (iteration + 1) / config.warmup
    done = (iteration - config.warmup) / max(config.iterations - config.warmup, 1)
    if config.schedule == "cosine":
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
    if config.schedule == "step":
        return config.learning_rate * 0.1 ** ((done >= 0.5) + (done >= 0.75))
    return config.learning_rate


class Trainer:
    """A network under training, its optimiser and the average of its weights.

    Parameters
    ----------
    drawing : Drawing
        Where batches come from.
    mean_grade : float
        Last bias of the untrained network.
    place : Place
        Device and precision.

    Attributes
    ----------
    network : Trainable
    iteration : int
        Steps that are done.
    began : float
        When it began, s, on the clock of ``time.perf_counter``; earlier by what it took before a checkpoint.
    """

    def __init__(self, drawing: Drawing, mean_grade: float, place: Place | None = None) -> None:
        self.config, self._drawing = drawing.config, drawing
        self.place = place or Place()
        self.iteration = 0
        self.began = time.perf_counter()
        # an error may break a step off: what is half updated must not be saved
        self._within_a_step = False
        self.network: Trainable = put(untrained(self.config, mean_grade), self.place)
        self._optimiser = _optimiser(self.network, self.config)
        self._average = [part.clone() for part in self.network.averaged()]

    def step(self, batch: Batch) -> float:
        """Take one optimiser step; return the loss before it.

        A loss that is not finite leaves the weights alone, not the statistics of normalisation: such a state
        is not saved.
        """
        self._within_a_step = True
        torch.manual_seed(self.config.seed * 1_000_003 + self.iteration)  # the dropout of this step
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(self.config, self.iteration)
        windows, grades, weights, whole = (
            torch.from_numpy(part).to(self.place.device, non_blocking=True)
            for part in (batch.windows, batch.grades, batch.weights, batch.volume_weights)
        )
        self.network.train()
        with self.place.autocast():
            predicted = self.network(windows)
        loss = batch_loss(predicted, grades, weights)
        share = self.config.together
        if share:
            mean = volume_loss(predicted, grades, whole, self.config.windows)
            loss = (1 - share) * loss + share * mean
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        value = float(loss.detach())
        if math.isfinite(value):
            self._optimiser.step()
            self.network.keep_gains()
            self._follow()
            self.iteration += 1
            self._within_a_step = False
        return value

    def _follow(self) -> None:
        """Move the average towards the weights; faster in the beginning, which it must not remember."""
        decay = min(self.config.average, self.iteration / (_FIRST_AVERAGE + self.iteration))
        if self.config.average == 0:
            decay = 0.0
        torch._foreach_lerp_(self._average, self.network.averaged(), 1 - decay)

    def result(self) -> IQDCNN:
        """Return a network with the averaged weights, in evaluation mode."""
        network = Trainable(self.config.network, batch_norm=self.config.batch_norm)
        for part, mean in zip(network.averaged(), self._average, strict=True):
            part.copy_(mean)
        return put(network.folded(), self.place)

    def run(
        self, folder: Path | None = None, check: Check | None = None
    ) -> Generator[dict[str, Any], None, None]:
        """Train to the last iteration, yielding one record a step; the caller may stop at any moment.

        Parameters
        ----------
        folder : Path, optional
            Where ``log.jsonl`` grows a record a step, and ``checkpoint.pt`` is written now and then and when
            the caller stops.
        check : callable, optional
            Gets the averaged network at each checkpoint; what it returns goes into the record.

        Yields
        ------
        dict
            ``iteration``, ``loss``, ``learning_rate`` and what ``check`` returned.

        Raises
        ------
        RawDataError
            If the loss is no longer finite.
        """
        with one_blas_thread():  # of the batches that are read: torch has the cores
            yield from self._run(folder, check)

    def _run(self, folder: Path | None, check: Check | None) -> Generator[dict[str, Any], None, None]:
        config, saved = self.config, self.iteration
        batches = ahead(self._drawing.batch, self.iteration, config.iterations)
        log = Log(folder, self.iteration)
        record: dict[str, Any] = {}
        try:
            for batch in batches:
                rate = learning_rate(config, self.iteration)
                with signals_wait():
                    loss = self.step(batch)
                    if math.isfinite(loss):
                        record = {"iteration": self.iteration, "loss": loss, "learning_rate": rate}
                if not math.isfinite(loss):
                    raise RawDataError(
                        f"loss {loss} at iteration {self.iteration + 1}",
                        field="training",
                        hint=f"a learning rate below {config.learning_rate:g}",
                    )
                due = self.iteration % config.check_every == 0 or self.iteration == config.iterations
                if due and check is not None:
                    record.update(check(self.result()))
                with signals_wait():
                    log.add(record)
                if due and folder is not None:
                    self.save(folder / CHECKPOINT)
                    saved = self.iteration
                yield record
        finally:
            batches.close()
            if record.get("iteration", 0) > log.iteration:
                log.add(record)  # a signal came between the step and its record
            log.close()
            if folder is not None and self.iteration > saved and not self._within_a_step:
                self.save(folder / CHECKPOINT)

    def save(self, path: Path) -> None:
        """Write a checkpoint, atomically."""
        state = {
            "config": self.config.sha256,
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "average": self._average,
            "iteration": self.iteration,
            "seconds": time.perf_counter() - self.began,
        }
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            torch.save(state, file)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises
        ------
        RawDataError
            If it is damaged, or of a training with other settings.
        """
        try:
            # nothing in it can run code
            state = dict(torch.load(path, map_location=self.place.device, weights_only=True))
            same = state["config"] == self.config.sha256
        except _NO_CHECKPOINT as why:
            raise RawDataError(f"not a checkpoint: {why}", file=path, hint="train with --overwrite") from None
        if not same:
            raise RawDataError("of a training with other settings", file=path, hint="train with --overwrite")
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._average = [mean.to(self.place.device) for mean in state["average"]]
        self.iteration = int(state["iteration"])
        self.began -= float(state.get("seconds", 0.0))


def untrained(config: TrainConfig, mean_grade: float) -> Trainable:
    """Return a network of random weights, the mean grade its last bias."""
    torch.manual_seed(config.seed)
    network = Trainable(config.network, batch_norm=config.batch_norm)
    network.start(mean_grade)
    return network


def _optimiser(network: Trainable, config: TrainConfig) -> torch.optim.Optimizer:
    # biases are not pulled to zero: the last one is the mean grade
    weights = [p for p in network.parameters() if p.ndim > 1]
    biases = [p for p in network.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": weights, "weight_decay": config.weight_decay},
        {"params": biases, "weight_decay": 0.0},
    ]
    if config.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=_MOMENTUM, nesterov=True)
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights on the CPU, in the plain memory order of a model file."""
    return {
        name: value.detach().cpu().contiguous(memory_format=torch.contiguous_format)
        for name, value in network.state_dict().items()
    }


def mean_of_classes(weights: np.ndarray, grades: np.ndarray) -> float:
    """Return the mean grade as eq. 1 counts them."""
    return float((weights * grades).mean())
