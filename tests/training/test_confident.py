"""Intervals from networks that left a fold out."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from csiq.cli.entry import main
from csiq.cli.train import train
from csiq.errors import ConfigError
from csiq.io.nifti import read_volume
from csiq.io.tables import read_json, read_table, write_table
from csiq.quality import confidence_fit
from csiq.quality.grade import Grader
from csiq.training.confident import fold_jobs
from csiq.training.recalibration import Recalibration
from csiq.training.runs import TrainingTask
from tests.training.graded_folder import FEW, make_graded

TINY = ["--iterations", "3", "--threads", "1", "--keep", "0.9", "--precision", "float32", "--device", "cpu"]
TINY += [
    part for text in ("widths=4,4,4,4", "hidden=8,4", "batch=4", "window=128") for part in ("--set", text)
]
FOLDS = ("train1", "train2", "train3")


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(confidence_fit, "LEAST", 10)
    return make_graded(tmp_path / "data", FOLDS)


def _run(manifest: Path, out: Path, *more: str) -> str:
    arguments = [str(manifest), "-o", str(out), "--name", "tiny", *TINY, *more]
    done = CliRunner().invoke(train, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_a_fold_is_left_out_of_its_own_training_alone(tmp_path: Path) -> None:
    task = TrainingTask(tmp_path / "graded.tsv", "reader1a", ("train",), (), FEW, tmp_path)
    jobs = fold_jobs(task, FOLDS, ("train3", "train1"), tmp_path / "out")
    assert [job.splits for job, _ in jobs] == [("train1", "train2"), ("train2", "train3")]
    assert [job.held_out for job, _ in jobs] == [("train3",), ("train1",)]
    assert [folder.name for _, folder in jobs] == ["train3", "train1"]
    assert all(replace(job, splits=task.splits, held_out=(), name=task.name) == task for job, _ in jobs)
    with pytest.raises(ConfigError, match="'test' cannot be left out of train1, train2, train3"):
        fold_jobs(task, FOLDS, ("test",), tmp_path)
    with pytest.raises(ConfigError, match="'train' cannot be left out of train"):
        fold_jobs(task, ("train",), ("train",), tmp_path)


def test_the_card_gets_intervals(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = _run(manifest, out, "--confidence", "train1,train2,train3")
    assert "intervals from 12 images of train1, train2, train3" in said
    grader = Grader.load(out / "tiny.safetensors")
    entry = grader.card["confidence"]
    assert (entry["n"], entry["against"]) == (12, "reference")
    assert [one["name"] for one in entry["networks"]] == [f"tiny-without-{fold}" for fold in FOLDS]
    volume, voxels, _ = read_volume(manifest.parent / "train1-0.nii")
    interval = replace(grader.grade(volume, voxels)).interval
    assert interval is not None
    assert 0 <= interval[0] < interval[1] <= 4
    before = read_json(out / "tiny.json")
    _run(manifest, out, "--confidence", "train1,train2,train3", "--resume")
    assert read_json(out / "tiny.json") == before


def test_retrainings_share_intervals_and_recalibration(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Recalibration(1.25, -0.5, 8, ("train1", "train2"))
    monkeypatch.setattr(Recalibration, "fit", lambda *_: line)
    out, plain = tmp_path / "out", tmp_path / "plain"
    _run(manifest, plain, "--retrain", "2")
    _run(manifest, out, "--retrain", "2", "--confidence", "train1,train2,train3")
    volume, voxels, _ = read_volume(manifest.parent / "train1-0.nii")
    hashes = {row["model"]: row["sha256"] for row in read_table(out / "retrainings.tsv")}
    for name in ("model-00", "model-01"):
        before, after = (Grader.load(folder / name / "tiny.safetensors") for folder in (plain, out))
        expected = 1.25 * before.patch_grades(volume, voxels) - 0.5
        np.testing.assert_allclose(after.patch_grades(volume, voxels), expected, atol=1e-5)
        assert after.card["recalibration"] == line.as_dict()
        assert after.card["confidence"]["n"] == 12
        assert hashes[name] == after.sha256 == read_json(out / name / "result.json")["sha256"]
    for fold in FOLDS:
        assert Recalibration.of_model(out / "folds" / fold / f"tiny-without-{fold}.safetensors") == line
    _run(manifest, out, "--retrain", "2", "--confidence", "train1,train2,train3", "--resume")
    again = {row["model"]: row["sha256"] for row in read_table(out / "retrainings.tsv")}
    assert again == hashes


def test_without_a_reference_intervals_are_of_the_reader(manifest: Path, tmp_path: Path) -> None:
    rows = read_table(manifest)
    for row in rows:
        row["reference"] = math.nan
    write_table(manifest, rows)
    out = tmp_path / "out"
    _run(manifest, out, "--confidence", "train1,train2,train3")
    entry = Grader.load(out / "tiny.safetensors").card["confidence"]
    assert (entry["n"], entry["against"]) == (12, "reader1a")
    assert np.isfinite(entry["quantiles"]).all()


def test_what_cannot_give_intervals_is_refused_before_anything_is_trained(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = read_table(manifest)
    for row in rows:
        if row["split"] == "train1":
            row["patient"] = "one"
    write_table(manifest, rows)
    monkeypatch.setattr(confidence_fit, "LEAST", 5)
    refused = {
        "train1": "--confidence: 4 graded images in train1, intervals need 5 or more",
        "train1,test": "'test' cannot be left out of train1, train2, train3",
    }
    for number, (folds, words) in enumerate(refused.items()):
        arguments = ["-o", str(tmp_path / str(number)), "--confidence", folds, *TINY]
        assert main(["train", str(manifest), *arguments]) in (2, 3)
        assert words in capsys.readouterr().err
        assert not (tmp_path / str(number)).exists()
    few = ["-o", str(tmp_path / "few"), "--splits", "train1,train2", "--confidence", "train1,train2", *TINY]
    assert main(["train", str(manifest), *few]) == 3
    assert "1 patient to train on in train1, expected 4 or more" in capsys.readouterr().err
    assert not (tmp_path / "few").exists()
