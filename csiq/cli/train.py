"""``csiq train``: simulated patients in, a graded training set, a trained network with its card out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from csiq.cli.options import DEBUG, options

if TYPE_CHECKING:
    from csiq.quality.train import TrainConfig

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command(name="train")
@click.option(
    "-o", "--out", type=_FOLDER, default=Path("csiq-model"), help="Folder of the result [csiq-model]."
)
@click.option("--name", default="iq-dcnn", help="Name of the model [iq-dcnn].")
@click.option("--data", type=_FOLDER, help="Folder of graded slices, kept and completed [OUT/data].")
@click.option("--patients", type=click.IntRange(0), default=60, help="To train on; 0: those in --data [60].")
@click.option("--iterations", type=click.IntRange(1), default=6000, help="Optimiser steps [6000].")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of patients and training [0].")
@click.option("--threads", type=click.IntRange(1), help="CPU threads [all].")
@click.option("--note", default="", help="A sentence for the model card.")
@click.option("--resume/--restart", default=True, help="Go on from the last checkpoint [yes].")
@options(DEBUG)
def train(
    out: Path,
    name: str,
    data: Path | None,
    patients: int,
    iterations: int,
    seed: int,
    threads: int | None,
    note: str,
    resume: bool,
) -> None:
    """Train a grading network on simulated scans.

    Makes graded images of simulated patients (about a minute of one core each, kept in --data), trains, tests
    on patients never trained on, and writes OUT/NAME.safetensors with its card OUT/NAME.json.
    """
    from csiq.arrays import default_threads
    from csiq.quality.train import TrainConfig

    workers = threads or default_threads()
    folder = data or out / "data"
    if patients:
        _complete(folder, patients, seed, workers)
    config = TrainConfig(iterations=iterations, seed=seed)
    _train(folder, out, config, resume=resume, threads=workers)
    _finish(folder, out, name, config, note)


def _complete(folder: Path, patients: int, seed: int, workers: int) -> None:
    from csiq.simulate.graded import GradedConfig, make_training_set, patient_seeds

    seeds = patient_seeds(patients, max(1, patients // 6), max(1, patients // 5), seed)
    for done, (patient, count) in enumerate(make_training_set(folder, seeds, GradedConfig(), workers), 1):
        click.echo(f"patient {patient}: {count} images ({done} of {len(seeds)})")


def _train(folder: Path, out: Path, config: TrainConfig, *, resume: bool, threads: int) -> None:
    import torch

    from csiq.quality.train import train
    from csiq.quality.training_set import TrainingSet

    torch.set_num_threads(threads)
    data = TrainingSet(folder)
    recent: list[float] = []
    for record in train(data, out, config, resume=resume):
        recent.append(record["loss"])
        if "validation" in record:
            mean = sum(recent) / len(recent)
            recent.clear()
            click.echo(
                f"iteration {record['iteration']}: loss {mean:.3f}, validation {record['validation']:.3f}"
            )


def _finish(folder: Path, out: Path, name: str, config: TrainConfig, note: str) -> None:
    from csiq.quality.card import make_card
    from csiq.quality.evaluation import predict
    from csiq.quality.model_file import encode_tensors, save_model
    from csiq.quality.train import best_network
    from csiq.quality.training_set import TrainingSet

    data = TrainingSet(folder)
    network = best_network(out)
    predicted = predict(network, data, data.of("test"))
    card = make_card(data, network.config, config, predicted)
    card["note"] = note or None
    target = out / f"{name}.safetensors"
    save_model(target, encode_tensors(network.state_dict(), network.config.as_dict()), card)
    found = card["evaluation"]["all"]
    click.echo(
        f"{target}: on {card['evaluation']['patients']} patients never trained on R2 {found['r2']}, "
        f"Spearman {found['spearman']}, error {found['bias']} +- {found['sd']}"
    )
