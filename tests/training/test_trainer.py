"""A training: its curve falls, does not depend on breaks, and ends with an average of the weights."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from csiq.cli.training_progress import Progress
from csiq.errors import ConfigError, CsiqError, RawDataError
from csiq.quality.network import NetworkConfig
from csiq.training import GradedSet, Trainer
from csiq.training.curves import Log, draw_curve, read_log
from csiq.training.device import Place
from csiq.training.loss import volume_loss
from csiq.training.prefetch import ahead
from csiq.training.settings import TrainConfig
from csiq.training.trainable import SPREAD, Trainable
from csiq.training.trainer import CHECKPOINT, learning_rate, weights_of
from csiq.training.windows import Batch, Drawing
from tests.training.graded_folder import FEW

Weights = dict[str, torch.Tensor]


def _trainer(manifest: Path, place: Place | None = None, **changes: object) -> Trainer:
    images = GradedSet.open(manifest, splits=("train",)).of("train")
    config = replace(FEW, **changes)  # type: ignore[arg-type]
    drawing = Drawing([i.volume for i in images], [i.grade for i in images], [1.5] * len(images), config)
    return Trainer(drawing, 2.0, place)


def _same(one: Weights, other: Weights) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_learning_rates() -> None:
    config = TrainConfig(iterations=1000, warmup=100, learning_rate=1e-3)
    assert learning_rate(config, 0) == pytest.approx(1e-5)
    assert learning_rate(config, 100) == pytest.approx(1e-3)
    assert learning_rate(config, 550) == pytest.approx(5e-4)
    assert learning_rate(config, 1000) == pytest.approx(0)
    steps = replace(config, schedule="step")
    assert [learning_rate(steps, i) for i in (500, 560, 780)] == pytest.approx([1e-3, 1e-4, 1e-5])
    assert learning_rate(replace(config, schedule="constant"), 999) == 1e-3


@pytest.mark.parametrize(("optimiser", "rate", "left"), [("sgd", 1e-2, 0.8), ("adam", 3e-3, 0.92)])
def test_loss_falls(manifest: Path, optimiser: str, rate: float, left: float) -> None:
    network = NetworkConfig(widths=(4, 4, 8, 8), hidden=(16, 8), keep=1.0)
    trainer = _trainer(
        manifest, iterations=30, batch=8, network=network, learning_rate=rate, optimiser=optimiser
    )
    losses = [record["loss"] for record in trainer.run()]
    assert np.mean(losses[-8:]) < left * np.mean(losses[:8])


def test_a_training_that_was_broken_off_ends_with_the_same_weights(manifest: Path, tmp_path: Path) -> None:
    whole = _trainer(manifest)
    records = list(whole.run(tmp_path / "whole"))
    broken = _trainer(manifest)
    for record in broken.run(tmp_path / "broken"):
        if record["iteration"] == 5:
            # as SIGKILL leaves it: the checkpoint of step 3, the log two steps further and its end torn
            kept = (tmp_path / "broken" / CHECKPOINT).read_bytes()
            log = (tmp_path / "broken" / "log.jsonl").read_text() + '{"iteration": 6, "lo'
            break
    (tmp_path / "broken" / CHECKPOINT).write_bytes(kept)
    (tmp_path / "broken" / "log.jsonl").write_text(log)
    again = _trainer(manifest)
    again.restore(tmp_path / "broken" / CHECKPOINT)
    assert again.iteration == 3
    rest = list(again.run(tmp_path / "broken"))
    assert rest == records[3:]
    assert _same(weights_of(again.result()), weights_of(whole.result()))
    assert _same(weights_of(again.network), weights_of(whole.network))
    assert read_log(tmp_path / "broken") == records


@pytest.mark.parametrize(
    "line",
    [
        '{"iteration": 2, "lo',
        "12",
        "[1, 2]",
        "null",
        '{"iteration": 2}',
        '{"iteration": "2", "loss": 1}',
        '{"iteration": 2, "loss": [1]}',
        "[" * 100_000,
    ],
    ids=range(8),
)
def test_a_log_ends_at_its_first_line_that_is_no_record(tmp_path: Path, line: str) -> None:
    whole = {"iteration": 1, "loss": 0.5, "learning_rate": 1e-3, "validation_patient_l1": None}
    later = {**whole, "iteration": 3}
    (tmp_path / "log.jsonl").write_text("\n".join([json.dumps(whole), line, json.dumps(later)]))
    assert read_log(tmp_path) == [whole]
    log = Log(tmp_path, 3)
    log.add({**whole, "iteration": 2})
    log.close()
    assert [record["iteration"] for record in read_log(tmp_path)] == [1, 2]


def test_a_caller_who_stops_leaves_a_checkpoint(manifest: Path, tmp_path: Path) -> None:
    for record in _trainer(manifest).run(tmp_path):
        if record["iteration"] == 5:
            break
    again = _trainer(manifest)
    again.restore(tmp_path / CHECKPOINT)
    assert again.iteration == 5


def test_a_signal_within_a_step_loses_no_record(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(_trainer(manifest).run())
    trainer = _trainer(manifest)
    step = trainer.step

    def stopped(batch: Batch) -> float:
        """Take a step, and have Ctrl-C come within the fifth."""
        if trainer.iteration == 4:
            signal.raise_signal(signal.SIGINT)
        return step(batch)

    monkeypatch.setattr(trainer, "step", stopped)
    with pytest.raises(KeyboardInterrupt):
        list(trainer.run(tmp_path))
    assert [record["iteration"] for record in read_log(tmp_path)] == [1, 2, 3, 4, 5]
    again = _trainer(manifest)
    again.restore(tmp_path / CHECKPOINT)
    list(again.run(tmp_path))
    assert read_log(tmp_path) == whole


def test_time_before_a_checkpoint_counts(manifest: Path, tmp_path: Path) -> None:
    trainer = _trainer(manifest)
    trainer.began -= 1000
    trainer.save(tmp_path / CHECKPOINT)
    again = _trainer(manifest)
    began = again.began
    again.restore(tmp_path / CHECKPOINT)
    assert 1000 <= began - again.began < 1100


def test_weights_that_are_half_updated_are_not_saved(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = _trainer(manifest)

    def interrupted() -> None:
        if trainer.iteration == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "_follow", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(trainer.run(tmp_path))
    again = _trainer(manifest)
    again.restore(tmp_path / CHECKPOINT)
    assert again.iteration == 3


def test_other_settings_cannot_go_on(manifest: Path, tmp_path: Path) -> None:
    _trainer(manifest).save(tmp_path / CHECKPOINT)
    with pytest.raises(RawDataError, match="other settings"):
        _trainer(manifest, seed=1).restore(tmp_path / CHECKPOINT)
    (tmp_path / CHECKPOINT).write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(RawDataError, match="not a checkpoint"):
        _trainer(manifest).restore(tmp_path / CHECKPOINT)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Drawing.batch

    def spoiled(self: Drawing, iteration: int) -> Batch:
        batch = plain(self, iteration)
        return replace(batch, windows=batch.windows * np.float32(np.nan)) if iteration == 4 else batch

    monkeypatch.setattr(Drawing, "batch", spoiled)
    with pytest.raises(RawDataError, match=r"loss nan at iteration 5; a learning rate below 0.001"):
        list(_trainer(manifest).run(tmp_path))
    again = _trainer(manifest)
    again.restore(tmp_path / CHECKPOINT)
    assert again.iteration == 3
    assert all(torch.isfinite(value).all() for value in weights_of(again.network).values())


def test_the_result_is_an_average_of_the_weights(manifest: Path) -> None:
    trainer = _trainer(manifest, average=0.5, batch_norm=False)
    seen = []
    for _ in trainer.run():
        seen.append(weights_of(trainer.network)["features.0.weight"].clone())
    mean = seen[0]
    for number, one in enumerate(seen[1:], start=2):
        # the first steps are followed faster: 1/11, 2/12 ... up to the decay
        decay = min(0.5, (number - 1) / (10 + number - 1))
        mean = decay * mean + (1 - decay) * one
    assert torch.allclose(weights_of(trainer.result())["features.0.weight"] * SPREAD, mean, atol=1e-6)
    last = _trainer(manifest, average=0.0)
    list(last.run())
    assert _same(weights_of(last.result()), weights_of(last.network.folded()))


@pytest.mark.parametrize("batch_norm", [False, True])
def test_what_is_kept_grades_as_the_trained_network(manifest: Path, batch_norm: bool) -> None:
    trainer = _trainer(manifest, average=0.0, batch_norm=batch_norm)
    list(trainer.run())
    windows = torch.from_numpy(trainer._drawing.batch(0).windows)
    with torch.inference_mode():
        expected = trainer.network.eval()(windows)
        found = trainer.result()(windows)
    assert expected.std() > 1e-3
    assert torch.allclose(found, expected, atol=1e-5)


def test_loss_of_whole_volumes(manifest: Path) -> None:
    patches = torch.tensor([[[1.0, 3.0]], [[2.0, 2.0]]])
    grades, weights = torch.tensor([2.0, 1.0]), torch.tensor([3.0, 0.5])
    # errors of patches cancel within the first window
    assert float(volume_loss(patches, grades, weights)) == pytest.approx((0 + 0.5) / 2)
    # two windows of each of two volumes: errors of windows cancel, too
    four, twice = patches.repeat_interleave(2, dim=0), grades.repeat_interleave(2)
    four[0] += 1
    four[1] -= 1
    found = volume_loss(four, twice, weights.repeat_interleave(2), windows=2)
    assert float(found) == pytest.approx((0 + 0.5) / 2)
    one, other = (_trainer(manifest, together=share) for share in (0.0, 0.5))
    batch = one._drawing.batch(0)
    assert one.step(batch) >= other.step(batch)


def test_seeds_differ_and_repeat(manifest: Path) -> None:
    first, again, other = (_trainer(manifest, seed=seed) for seed in (4, 4, 5))
    for trainer in (first, again, other):
        list(trainer.run())
    assert _same(weights_of(first.result()), weights_of(again.result()))
    assert not _same(weights_of(first.result()), weights_of(other.result()))


def test_bfloat16_stays_near_float32(manifest: Path) -> None:
    both = []
    for bf16 in (False, True):
        trainer = _trainer(manifest, Place(bf16=bf16), iterations=3)
        both.append([record["loss"] for record in trainer.run()])
        assert trainer.network.features[0].weight.dtype == torch.float32  # type: ignore[union-attr]
    assert both[0] == pytest.approx(both[1], rel=0.05)
    assert both[0] != both[1]


def test_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Place.choose("auto", "float32") == Place()
    assert Place.choose("cpu", "bf16").bf16
    for name in ("cuda:0", "tpu"):
        with pytest.raises(CsiqError):
            Place.choose(name)


def test_batches_are_read_with_one_thread_of_blas(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenBLAS keeps its threads spinning on the cores that torch needs."""
    seen: set[int] = set()

    def batch(drawing: Drawing, iteration: int) -> Batch:
        seen.update(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")
        return _batch(drawing, iteration)

    _batch = Drawing.batch
    monkeypatch.setattr(Drawing, "batch", batch)
    limits = threadpool_limits(2, user_api="blas")
    for _ in _trainer(manifest, iterations=2).run():
        pass
    limits.restore_original_limits()
    assert seen == {1}


def test_curve_is_drawn(tmp_path: Path) -> None:
    log = Log(tmp_path, 0)
    for number in range(1, 9):
        log.add({"iteration": number, "loss": 1.0})
    log.add({"iteration": 9, "loss": 1.0, "validation_patch_l1": 0.7, "validation_patient_l1": 0.6})
    log.add({"iteration": 10, "loss": 1.0, "validation_patch_l1": 0.6, "validation_patient_l1": float("nan")})
    log.close()
    assert draw_curve(tmp_path).read_bytes()[:4] == b"\x89PNG"
    assert read_log(tmp_path)[-1]["validation_patient_l1"] is None, "strict JSON knows no NaN"


def test_a_single_score_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: (drawn.append(figure), path.touch()))
    log = Log(tmp_path, 0)
    for number in range(1, 30):
        log.add({"iteration": number, "loss": 1.0})
    log.add({"iteration": 30, "loss": 1.0, "validation_patch_l1": 0.7, "validation_patient_l1": 0.6})
    log.close()
    draw_curve(tmp_path)
    lines = {str(line.get_label()): line for line in drawn[0].axes[0].lines}
    assert {"training", "held-out, patch level", "held-out, patient level"} <= set(lines)
    assert all(line.get_marker() == "o" for label, line in lines.items() if label.startswith("held-out"))


def test_the_loss_that_is_shown_is_a_mean_from_the_first_step(capsys: pytest.CaptureFixture[str]) -> None:
    show = Progress()
    for number, loss in enumerate((3.0, 1.0, 1.0, 1.0), start=1):
        show({"event": "iteration", "iteration": number, "of": 4, "loss": loss})
    assert "iteration 4 of 4: loss 1.500" in capsys.readouterr().err


def test_what_goes_wrong_in_the_background_is_raised_here() -> None:
    def make(number: int) -> int:
        if number == 3:
            raise RawDataError("gone")
        return number

    batches = ahead(make, 0, 9)
    assert [next(batches) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RawDataError, match="gone"):
        next(batches)


@pytest.mark.parametrize(
    "changes",
    [
        {"window": 150},
        {"window": 208, "half_edge": 24},
        {"optimiser": "x"},
        {"batch": 0},
        {"learning_rate": 0.0},
    ],
)
def test_settings_that_cannot_be(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        TrainConfig(**changes)  # type: ignore[arg-type]


def test_settings_survive_json() -> None:
    config = replace(FEW, optimiser="adam")
    assert TrainConfig.from_dict(config.as_dict()) == config
    assert replace(config, check_every=7).sha256 == config.sha256
    assert replace(config, seed=7).sha256 != config.sha256


def test_gains_below_zero_are_kept_from_the_fold() -> None:
    torch.manual_seed(0)
    network = Trainable(NetworkConfig(widths=(4, 4, 4, 4), hidden=(6, 5), keep=1.0), batch_norm=True)
    network.start(2.0)
    windows = torch.rand(2, 144, 144)
    with torch.no_grad():
        network(windows)  # running statistics of something
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.weight[1] = -1.0

    def difference() -> float:
        with torch.inference_mode():
            return float((network.folded()(windows) - network.eval()(windows)).abs().max())

    assert difference() > 1e-3
    network.keep_gains()
    assert difference() < 1e-5
    assert float(network(windows).detach().std()) > 1e-3
