"""Cross-validation: which hyperparameters, which folds, and what the tables say."""

from __future__ import annotations

from pathlib import Path

import pytest

from csiq.errors import ConfigError, RawDataError
from csiq.io.tables import read_table, write_table
from csiq.training.cross_validation import Point, cross_validate, folds_of, points_of, summary_of
from csiq.training.retraining import retrain
from csiq.training.runs import TrainingTask
from csiq.training.settings import TrainConfig
from tests.training.graded_folder import FEW, make_graded

CENTRE = Point(5, 0.3, 5e-3, 40)


def _task(manifest: Path, folder: Path) -> TrainingTask:
    config = TrainConfig(**{**FEW.__dict__, "iterations": 2})
    return TrainingTask(
        manifest, "reader1a", ("train",), (), config, folder / "cache", device="cpu", precision="float32"
    )


def test_neighbours_of_the_papers_optimum() -> None:
    found = [point.name for point in points_of(CENTRE)]
    assert found == [
        "k5-p0.3-lr0.005-h40",
        "k3-p0.3-lr0.005-h40",
        "k7-p0.3-lr0.005-h40",
        "k5-p0.5-lr0.005-h40",
        "k5-p0.3-lr0.002-h40",
        "k5-p0.3-lr0.005-h24",
    ]


def test_grids() -> None:
    grid = {"keep": [0.3, 0.5], "half_edge": [24.0]}
    assert [p.name for p in points_of(CENTRE, grid)] == [
        "k5-p0.3-lr0.005-h40",
        "k5-p0.5-lr0.005-h40",
        "k5-p0.3-lr0.005-h24",
    ]
    every = points_of(CENTRE, grid, combined=True)
    assert {(p.keep, p.half_edge) for p in every} == {(0.3, 40), (0.5, 40), (0.3, 24), (0.5, 24)}
    with pytest.raises(ConfigError, match="no hyperparameter 'kernel'"):
        points_of(CENTRE, {"kernel": [3]})


def test_a_window_fits_a_smaller_cube() -> None:
    config = Point(7, 0.5, 1e-3, 8).put_into(TrainConfig(window=160))
    assert (config.window, config.half_edge) == (144, 8)
    assert (config.network.first_kernel, config.network.keep, config.learning_rate) == (7, 0.5, 1e-3)


def test_folds(manifest: Path, tmp_path: Path) -> None:
    assert folds_of(manifest) == ["train1", "train2", "train3"]
    with pytest.raises(ConfigError, match=r"expected train1, train2 ..."):
        folds_of(make_graded(tmp_path, ("train", "test")))


def test_a_fold_that_leaves_too_few_is_refused_before_the_first_training(tmp_path: Path) -> None:
    path = make_graded(tmp_path / "data", ("train1", "train2"))
    rows = read_table(path)
    write_table(path, rows[:-1])
    with pytest.raises(RawDataError, match="3 patients to train on in train2, expected 4 or more"):
        next(iter(cross_validate(_task(path, tmp_path), [CENTRE], tmp_path / "out")))
    assert not (tmp_path / "out").exists()


def test_tables_grow_and_finished_runs_stay(manifest: Path, tmp_path: Path) -> None:
    task = _task(manifest, tmp_path)
    points = [CENTRE, Point(3, 0.9, 1e-3, 24)]
    rows = []
    for row in cross_validate(task, points, tmp_path):
        rows.append(row)
        assert len(read_table(tmp_path / "cross-validation.tsv")) == len(rows)
        if len(rows) == 4:
            break
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("runs/*/model.safetensors")}
    assert len(before) == 4
    rows = list(cross_validate(task, points, tmp_path))
    assert all(file.stat().st_mtime_ns == stamp for file, stamp in before.items())
    table = read_table(tmp_path / "cross-validation.tsv")
    assert [(row["config"], row["fold"]) for row in table] == [
        (point.name, part) for point in points for part in ("train1", "train2", "train3")
    ]
    assert len({row["sha256"] for row in table}) == 6
    summary = read_table(tmp_path / "cross-validation-summary.tsv")
    assert [row["best"] for row in summary] == [1, 0]
    means = {p.name: sum(r["patch_l1"] for r in table if r["config"] == p.name) / 3 for p in points}
    assert summary[0]["config"] == min(means, key=means.__getitem__)
    assert summary[0]["patch_l1"] == pytest.approx(min(means.values()))


def test_a_configuration_that_lacks_folds_is_not_the_best() -> None:
    base = {"first_kernel": 5, "keep": 0.3, "learning_rate": 5e-3, "half_edge": 40}
    scores = ("patient_l1", "patch_r2", "patient_r2", "patch_kappa", "patient_kappa")
    rows = [
        {"config": name, **base, "fold": fold, "patch_l1": l1, **dict.fromkeys(scores, 0.5)}
        for name, fold, l1 in (("a", "train1", 0.5), ("a", "train2", 0.7), ("b", "train1", 0.1))
    ]
    found = summary_of(rows)
    assert [(row["config"], row["folds"], row["best"]) for row in found] == [("a", 2, 1), ("b", 1, 0)]
    assert found[0]["patch_l1"] == pytest.approx(0.6)


@pytest.mark.slow
def test_on_a_dask_cluster_the_result_is_the_same(manifest: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    task = _task(manifest, tmp_path)
    here = list(retrain(task, 2, tmp_path / "here"))
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        there = list(retrain(task, 2, tmp_path / "there", scheduler=cluster.scheduler_address))
    assert {r["seed"]: r["sha256"] for r in here} == {r["seed"]: r["sha256"] for r in there}
    assert (tmp_path / "there" / "model-01" / "result.json").is_file()
    assert len(read_table(tmp_path / "there" / "retrainings.tsv")) == 2
