"""Training on a tiny set: the loss by hand, a falling curve, and the same curve after a break."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from csiq.errors import RawDataError
from csiq.quality.evaluation import predict
from csiq.quality.network import NetworkConfig
from csiq.quality.train import TrainConfig, anti_bias_l1, draw_batch, learning_rate, train
from csiq.quality.training_set import GradedImage, TrainingSet, finish_patient, store_slices

SMALL = NetworkConfig(widths=(8, 8, 8, 8), hidden=(32, 16), keep=0.9)
FEW = TrainConfig(iterations=30, batch=6, crop=128, check_every=10, learning_rate=3e-3, warmup=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    """Blurred noise of four strengths: its grade is easily seen."""
    folder = tmp_path_factory.mktemp("graded")
    rng = np.random.default_rng(3)
    z, y, x = np.mgrid[:52, :52, :52] - 26
    ball = (z**2 + y**2 + x**2 < 300).astype(np.float32)
    for patient, split in enumerate(["train", "train", "validation", "test"]):
        images = []
        for grade in (0.5, 1.5, 2.5, 3.5):
            noise = rng.standard_normal(ball.shape, dtype=np.float32) * (4 - grade) / 3
            entry = GradedImage(f"{patient}-{grade}", patient, split, "full", grade, 4.0, {})
            images.append(store_slices(folder, ball + noise, entry))
        finish_patient(folder, patient, images)
    return TrainingSet(folder)


def test_loss_by_hand() -> None:
    # class 1.0 holds errors 1 and 2, class 3.5 holds 0.5: eq. (1) gives (1.5 + 0.5) / 2
    predicted = torch.tensor([2.0, 3.0, 3.0])
    grade = torch.tensor([1.0, 1.0, 3.5])
    assert anti_bias_l1(predicted, grade).item() == pytest.approx(1.0)
    # plain L1 would be (1 + 2 + 0.5) / 3
    assert anti_bias_l1(predicted, grade).item() != pytest.approx(3.5 / 3)


def test_loss_over_patches_and_soft_grades() -> None:
    # 0.8 and 1.2 are of class 1.0; the error is taken to the grade itself, patch by patch
    predicted = torch.tensor([[[1.0, 0.6]], [[1.2, 2.2]], [[4.0, 4.0]]])
    loss = anti_bias_l1(predicted, torch.tensor([0.8, 1.2, 3.0]))
    assert loss.item() == pytest.approx(((0.2 + 0.5) / 2 + 1.0) / 2)


def test_learning_rate_warms_up_and_ends_at_zero() -> None:
    config = TrainConfig(iterations=1000, warmup=100, learning_rate=1e-3)
    assert learning_rate(config, 0) == pytest.approx(1e-5)
    assert learning_rate(config, 100) == pytest.approx(1e-3)
    assert learning_rate(config, 550) == pytest.approx(5e-4)
    assert learning_rate(config, 1000) == pytest.approx(0)


def test_batches_follow_from_seed_and_iteration_alone(data: TrainingSet) -> None:
    images = data.of("train")
    first, grades = draw_batch(data, images, FEW, 7)
    again, _ = draw_batch(data, images, FEW, 7)
    other, _ = draw_batch(data, images, FEW, 8)
    assert first.shape == (6, 128, 128)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert set(grades.tolist()) <= {0.5, 1.5, 2.5, 3.5}


def test_loss_falls_and_the_log_says_so(data: TrainingSet, tmp_path: Path) -> None:
    records = list(train(data, tmp_path, FEW, network=replace(SMALL, keep=1.0)))
    losses = [r["loss"] for r in records]
    assert len(losses) == FEW.iterations
    assert np.mean(losses[-8:]) < 0.8 * np.mean(losses[:8])
    assert "validation" in records[9]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == records


def test_resumed_training_goes_on_along_the_same_curve(data: TrainingSet, tmp_path: Path) -> None:
    short = replace(FEW, iterations=14, check_every=5)
    whole = list(train(data, tmp_path / "whole", short, network=SMALL))
    for record in train(data, tmp_path / "broken", short, network=SMALL):
        if record["iteration"] == 8:
            break  # three steps beyond the checkpoint of step 5: they are made again
    rest = list(train(data, tmp_path / "broken", short, network=SMALL, resume=True))
    assert [r["iteration"] for r in rest] == list(range(6, 15))
    assert rest == whole[5:]
    assert (tmp_path / "broken" / "log.jsonl").read_text() == (tmp_path / "whole" / "log.jsonl").read_text()


def test_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
    data: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from csiq.quality import train as module

    def spoiled(*args: object) -> tuple[torch.Tensor, torch.Tensor]:
        slices, grades = draw_batch(*args)  # type: ignore[arg-type]
        return (slices * np.nan if args[-1] == 12 else slices), grades

    monkeypatch.setattr(module, "draw_batch", spoiled)
    with pytest.raises(RawDataError, match=r"at iteration 13; .* learning rate below"):
        list(train(data, tmp_path, FEW, network=SMALL))
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["iteration"] == 10
    assert all(torch.isfinite(v).all() for v in state["network"].values())


def test_damaged_checkpoint_is_refused(data: TrainingSet, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(RawDataError, match="checkpoint"):
        list(train(data, tmp_path, FEW, network=SMALL, resume=True))


def test_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(RawDataError, match="0 images to train on"):
        next(train(TrainingSet(tmp_path), tmp_path / "out", FEW))


def test_patients_in_two_splits_are_refused(tmp_path: Path) -> None:
    entries = [GradedImage(f"1-{s}", 1, s, "full", 2.0, 1.0, {}) for s in ("train", "test")]
    finish_patient(tmp_path, 1, entries)
    with pytest.raises(RawDataError, match="patient 1 is in 'test' and in 'train'"):
        TrainingSet(tmp_path)


def test_an_index_that_cannot_be_read_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "patient-3.jsonl").write_text('{"name": "x"}\n')
    with pytest.raises(RawDataError, match=r"patient-3.jsonl: line 1"):
        TrainingSet(tmp_path)


def test_prediction_is_the_mean_over_patches(data: TrainingSet) -> None:
    from csiq.quality.network import IQDCNN

    torch.manual_seed(0)
    network = IQDCNN(SMALL).eval()
    image = data.of("test")[0]
    slices = torch.from_numpy(np.array(data.slices(image), dtype=np.float32)).reshape(18, 208, 208)
    with torch.inference_mode():
        expected = network(slices).mean().item()
    assert predict(network, data, [image])[0] == pytest.approx(expected, rel=1e-5)
