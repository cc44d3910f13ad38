"""The curve of a training while it goes on, when it is stopped, and in TensorBoard."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from csiq.errors import ConfigError
from csiq.training import curves
from csiq.training.curves import LOG, PICTURE, TensorBoard, read_log
from csiq.training.runs import TrainingTask, run_training
from csiq.training.trainer import CHECKPOINT
from tests.training.graded_folder import FEW

_PNG = b"\x89PNG\r\n"


class _Writer:
    """Keeps what a ``SummaryWriter`` is told."""

    made: ClassVar[list[_Writer]] = []

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        self.folder, self.purge_step, self.said = folder, purge_step, list[tuple[str, float, int]]()
        self.made.append(self)

    def add_scalar(self, key: str, value: float, step: int) -> None:
        """Keep a number."""
        self.said.append((key, value, step))

    def close(self) -> None:
        """Do nothing: all is kept."""


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> list[_Writer]:
    """Put a stand-in in TensorBoard's place; return the writers that will be made."""
    monkeypatch.setattr(_Writer, "made", [])
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=_Writer))
    return _Writer.made


def _task(manifest: Path, folder: Path, **more: Any) -> TrainingTask:
    return TrainingTask(manifest, "reader1a", ("train1",), (), FEW, folder / "cache", **more)


class _Stop:
    """Presses Ctrl-C at an iteration."""

    def __init__(self, at: int, folder: Path) -> None:
        self.at, self.folder, self.pictures = at, folder, list[int]()

    def __call__(self, event: dict[str, Any]) -> None:
        if event["event"] != "iteration":
            return
        if (self.folder / PICTURE).exists():
            self.pictures.append(event["iteration"])
        if event["iteration"] == self.at:
            raise KeyboardInterrupt


def _is_picture(path: Path) -> bool:
    return path.read_bytes().startswith(_PNG)


def test_a_training_that_is_stopped_leaves_its_curve(manifest: Path, tmp_path: Path) -> None:
    stop = _Stop(5, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_training(_task(manifest, tmp_path), tmp_path, stop)
    assert stop.pictures == [], "within the first minute nothing is drawn"
    assert _is_picture(tmp_path / PICTURE)
    assert (tmp_path / CHECKPOINT).is_file()
    assert [record["iteration"] for record in read_log(tmp_path)] == [1, 2, 3, 4, 5]


def test_the_curve_is_drawn_at_checkpoints(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves, "_PAUSE", 0.0)
    drawn: list[int] = []
    draw = curves.draw_curve

    def noted(folder: Path) -> Path:
        """Draw, and note up to which iteration."""
        drawn.append(read_log(folder)[-1]["iteration"])
        return draw(folder)

    monkeypatch.setattr(curves, "draw_curve", noted)
    stop = _Stop(7, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_training(_task(manifest, tmp_path), tmp_path, stop)
    assert drawn == [3, 6, 7]
    assert stop.pictures == [4, 5, 6, 7]


def test_what_stopped_a_training_is_said_even_where_no_picture_can_be_drawn(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: Path) -> Path:
        """Fail as a full disk does."""
        raise OSError("no space left")

    monkeypatch.setattr(curves, "draw_curve", broken)
    with pytest.raises(KeyboardInterrupt):
        run_training(_task(manifest, tmp_path), tmp_path, _Stop(2, tmp_path))
    assert (tmp_path / CHECKPOINT).is_file()


def test_a_training_that_was_stopped_before_its_first_step_has_no_picture(tmp_path: Path) -> None:
    curves.Picture(tmp_path).leave()
    assert not (tmp_path / PICTURE).exists()


def test_tensorboard_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"pip install 'csiq\[tensorboard\]'"):
        TensorBoard(tmp_path)


def test_tensorboard_of_a_resumed_training_starts_from_the_log(
    manifest: Path, tmp_path: Path, writers: list[_Writer]
) -> None:
    task = _task(manifest, tmp_path, tensorboard=True)
    with pytest.raises(KeyboardInterrupt):
        run_training(task, tmp_path, _Stop(5, tmp_path))
    # as SIGKILL leaves it: a step in the log, and in TensorBoard, that no checkpoint knows
    later = {"iteration": 6, "loss": 9.0, "learning_rate": 1e-3}
    with (tmp_path / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(later) + "\n")
    run_training(task, tmp_path)
    first, second = writers
    assert (first.purge_step, second.purge_step) == (1, 1), "all of before is hidden"
    assert first.folder == second.folder == tmp_path / "tensorboard"
    losses = [(value, step) for key, value, step in second.said if key == "loss"]
    assert losses == [(record["loss"], record["iteration"]) for record in read_log(tmp_path)]
    assert [step for _, step in losses] == list(range(1, 9))


def test_tensorboard_gets_no_score_that_is_undefined(tmp_path: Path, writers: list[_Writer]) -> None:
    record = {"iteration": 3, "loss": 0.5, "learning_rate": 1e-3, "validation_patient_l1": None}
    (tmp_path / LOG).write_text(json.dumps(record) + "\n")
    TensorBoard(tmp_path, 3)
    assert writers[0].said == [("loss", 0.5, 3), ("learning_rate", 1e-3, 3)]
    assert writers[0].purge_step == 3


def test_what_tensorboard_shows(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = TensorBoard(tmp_path)
    records = [{"iteration": step, "loss": float(step)} for step in range(1, 9)]
    for record in records:
        board.add(record)
    board.close()
    (tmp_path / LOG).write_text("".join(json.dumps(record) + "\n" for record in records))
    again = TensorBoard(tmp_path, 4)
    for step in range(5, 11):
        again.add({"iteration": step, "loss": 100.0 + step})
    again.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    shown = [(event.step, event.value) for event in events.Scalars("loss")]
    assert shown == [(step, float(step) if step <= 4 else 100.0 + step) for step in range(1, 11)]
