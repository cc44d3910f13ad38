"""What a step of training costs, what each choice made for speed gains, and how long a whole training takes.

    python benchmarks/training.py [--batch 16] [--matrix 208] [--volumes 16] [--steps 40] [--threads 2]

Steps are those of csiq.training.Trainer: forward, loss, backward, optimiser, average of the weights. Beside
the step that docs/decisions/0013-training.md settled on stand steps that differ in one choice, all in turn in
one process and with as many patches. Volumes are noise, mapped from a temporary folder; times do not depend
on what is in them, as long as they fill the windows. Whole trainings are extrapolated from --steps steps of
Trainer.run, batches read ahead and all. Grading one patch at a time against shared convolutions is in
grading.py.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import report, side_by_side

from csiq.arrays import default_threads, use_threads
from csiq.training.device import Place, has_bf16
from csiq.training.mapped_volume import MappedVolume, write_mapped
from csiq.training.settings import TrainConfig
from csiq.training.trainer import Trainer
from csiq.training.windows import Drawing

#: Minutes the paper needed for 1000 steps, on the GPU it names.
PAPER_MINUTES = 14.0
_GRADES = np.arange(9) / 2
_PLAIN_VOXEL, _OTHER_VOXEL = 1.0, 1.3


@dataclass(frozen=True)
class Case:
    """A step that differs in one choice from the one settled on.

    Attributes
    ----------
    changes : dict
        Settings of the training.
    bf16, channels_last : bool
    """

    changes: dict[str, Any] = field(default_factory=dict)
    bf16: bool = True
    channels_last: bool = True


SETTLED = "bfloat16, channels last"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print and append three tables."""
    asked = options(arguments)
    use_threads(asked.threads)
    with tempfile.TemporaryDirectory() as folder:
        volumes = [noise(Path(folder), n, asked.matrix, _PLAIN_VOXEL) for n in range(asked.volumes)]
        coarser = [noise(Path(folder), n, asked.matrix, _OTHER_VOXEL) for n in range(asked.volumes)]
        base = TrainConfig(batch=asked.batch)
        how = f"{asked.batch} windows of {base.window}x{base.window}, {asked.threads} threads"
        report(
            f"A training step ({how})",
            ("step", "patches", "ms", "patches/s", "times the first"),
            step_rows(base, volumes, asked),
            _native_note(),
        )
        report(
            f"Drawing a batch ({how})",
            ("volumes", "ms a batch", "ms a window"),
            drawing_rows(base, {_PLAIN_VOXEL: volumes, _OTHER_VOXEL: coarser}, asked),
            f"Matrix {asked.matrix}, files in the page cache. Training reads batches ahead in a thread.",
        )
        report(
            f"A whole training ({how})",
            ("network", "weights", "steps timed", "ms a step", "minutes per 1000 steps", "steps", "minutes"),
            training_rows(base, volumes, asked),
            f"Without looks at held-out patients. The paper: {PAPER_MINUTES:g} minutes per 1000 steps.",
        )


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--matrix", type=int, default=208)
    parser.add_argument("--volumes", type=int, default=16)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=default_threads())
    return parser.parse_args(arguments)


def noise(folder: Path, number: int, n: int, voxel: float) -> MappedVolume:
    volume = np.random.default_rng(number).random((n, n, n), dtype=np.float32)
    return write_mapped(folder / f"{voxel:g}-{number}.npy", volume, (voxel,) * 3)


def drawing_of(config: TrainConfig, volumes: list[MappedVolume]) -> Drawing:
    grades = [float(_GRADES[number % len(_GRADES)]) for number in range(len(volumes))]
    return Drawing(volumes, grades, [1.0] * len(volumes), config)


def step_cases(base: TrainConfig) -> dict[str, Case]:
    """Return the steps compared; each has as many patches as the first."""
    alone = {"window": 128, "batch": base.batch * base.patches_a_side**2}
    return {
        SETTLED: Case(),
        "single patches instead of windows": Case(alone),
        "float32, channels last": Case(bf16=False),
        "float32, channels first": Case(bf16=False, channels_last=False),
        "bfloat16, channels first": Case(channels_last=False),
        "without batch normalisation": Case({"batch_norm": False}),
        "Adam instead of SGD": Case({"optimiser": "adam"}),
    }


def step_rows(
    base: TrainConfig, volumes: list[MappedVolume], asked: argparse.Namespace
) -> list[tuple[object, ...]]:
    steps = {name: step_of(case, base, volumes) for name, case in step_cases(base).items()}
    best = side_by_side(steps, asked.repeats)
    n_patches = base.batch * base.patches_a_side**2
    return [
        (
            name,
            n_patches,
            f"{1e3 * seconds:.0f}",
            f"{n_patches / seconds:.0f}",
            f"{seconds / best[SETTLED]:.2f}",
        )
        for name, seconds in best.items()
    ]


def step_of(case: Case, base: TrainConfig, volumes: list[MappedVolume]) -> Callable[[], object]:
    """Return one step of a case, its batch drawn beforehand."""
    drawing = drawing_of(replace(base, **case.changes), volumes)
    trainer = Trainer(drawing, 2.0, Place(bf16=case.bf16))
    if not case.channels_last:
        # torch's own hints leave memory_format out
        trainer.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return partial(trainer.step, drawing.batch(0))


def drawing_rows(
    base: TrainConfig, volumes: dict[float, list[MappedVolume]], asked: argparse.Namespace
) -> list[tuple[object, ...]]:
    def drawn(one: list[MappedVolume]) -> Callable[[], object]:
        drawing, numbers = drawing_of(base, one), count()
        return lambda: drawing.batch(next(numbers))

    best = side_by_side({f"{voxel:g} mm": drawn(one) for voxel, one in volumes.items()}, 4 * asked.repeats)
    return [
        (name, f"{1e3 * seconds:.1f}", f"{1e3 * seconds / base.batch:.2f}") for name, seconds in best.items()
    ]


def training_rows(
    base: TrainConfig, volumes: list[MappedVolume], asked: argparse.Namespace
) -> list[tuple[object, ...]]:
    """Return what some steps took as a training takes them, and what follows for all."""
    name = base.network.title
    trainer = Trainer(drawing_of(base, volumes), 2.0, Place.choose("cpu"))
    run = trainer.run()
    # the second round takes further steps of the same training: the first is not counted
    best = side_by_side({name: partial(taken, run, asked.steps)}, repeats=2)
    run.close()
    a_step = best[name] / asked.steps
    n_weights = sum(part.numel() for part in trainer.result().parameters())
    minutes = f"{1000 * a_step / 60:.1f}", base.iterations, f"{base.iterations * a_step / 60:.0f}"
    return [(name, n_weights, asked.steps, f"{1e3 * a_step:.0f}", *minutes)]


def taken(run: Iterator[dict[str, Any]], n_steps: int) -> None:
    for _ in range(n_steps):
        next(run)


def _native_note() -> str:
    if has_bf16(torch.device("cpu")):
        return "This processor multiplies bfloat16: training takes the first row by default."
    return "This processor does not multiply bfloat16: training takes float32, channels last, by default."


if __name__ == "__main__":
    main()
