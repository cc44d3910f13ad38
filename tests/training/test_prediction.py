"""Scores on held-out volumes, and what is known of volumes before a training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from csiq.errors import RawDataError
from csiq.io.tables import read_json
from csiq.quality.grade import Grader
from csiq.quality.model_file import ModelFile, encode_tensors
from csiq.quality.network import IQDCNN, NetworkConfig
from csiq.quality.patches import volume_slices
from csiq.training import GradedSet
from csiq.training.prediction import Predictor, scores
from csiq.training.statistics import statistics_of
from tests.training.graded_folder import make_graded, write_nii


@pytest.mark.parametrize("half_edge", [40, 24])
def test_patches_are_graded_as_the_grader_does_it(manifest: Path, half_edge: int) -> None:
    torch.manual_seed(3)
    network = IQDCNN(NetworkConfig(widths=(4, 4, 4, 4), hidden=(8, 4)))
    images = GradedSet.open(manifest).of("test")[:2]
    found = Predictor(images, half_edge).patch_grades(network)
    card = {"input": {"half_edge": half_edge}, "domain": None, "network": network.config.as_dict()}
    grader = Grader.of(_model(network, card))
    side = len(range(-half_edge, half_edge + 1, 16))
    assert found.shape == (2, 3, side, side, side)
    for image, patches in zip(images, found, strict=True):
        expected = grader.patch_grades(image.volume, image.voxel_size)
        # slices are held in 16 bits
        np.testing.assert_allclose(patches, expected, atol=2e-4)


def _model(network: IQDCNN, card: dict[str, object]) -> ModelFile:
    weights = encode_tensors(network.state_dict(), network.config.as_dict())
    model = ModelFile("tiny", weights, None)
    return ModelFile("tiny", weights, {**card, "schema_version": 1, "sha256": model.sha256})


def test_scores_by_hand() -> None:
    # volume 1 of grade 1: patches 1 and 2; volume 2 of grade 3: patches 3 and 2
    found = scores(np.array([[1.0, 2.0], [3.0, 2.0]]), [1.0, 3.0])
    assert found["patch_l1"] == pytest.approx(0.5)
    assert found["patient_l1"] == pytest.approx(0.5)
    assert found["patient_r2"] == pytest.approx(1.0)
    assert found["patch_r2"] == pytest.approx(0.5)
    # patients gain on patches where errors of one volume cancel
    found = scores(np.array([[0.0, 2.0], [3.0, 3.0]]), [1.0, 3.0])
    assert found["patch_l1"] == pytest.approx(0.5)
    assert found["patient_l1"] == 0
    assert found["patient_kappa"] == pytest.approx(1.0)


def test_scores_of_a_step_are_computed_once(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor(GradedSet.open(manifest).of("test"), 24)
    calls = []
    monkeypatch.setattr(predictor, "patch_grades", lambda network: calls.append(1) or np.ones((4, 1)))
    network = IQDCNN(NetworkConfig(widths=(4, 4, 4, 4), hidden=(8, 4)))
    assert predictor.scores(network, 5) == predictor.scores(network, 5)
    predictor.scores(network, 6)
    assert len(calls) == 2


def test_statistics_are_looked_up_once(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = GradedSet.open(manifest).of("train1")
    told: list[tuple[int, int]] = []
    found = statistics_of(images, 40, tmp_path, lambda done, of: told.append((done, of)))
    assert told == [(4, 4)]
    for image, one in zip(images, found, strict=True):
        assert one.scale == pytest.approx(volume_slices(image.volume, image.voxel_size).scale, rel=1e-6)
    monkeypatch.setattr("csiq.training.statistics._look", None)
    again = statistics_of(images, 40, tmp_path)
    assert [one.scale for one in again] == [one.scale for one in found]
    assert len(read_json(tmp_path / "statistics.json")) == 4


def test_dark_volumes_are_named(tmp_path: Path) -> None:
    path = make_graded(tmp_path, ("train1",))
    write_nii(tmp_path / "train1-2.nii", np.zeros((52, 52, 52), np.float32))
    with pytest.raises(RawDataError, match=r"1 volumes are dark where the heart should be: train1-2.nii"):
        statistics_of(GradedSet.open(path).images, 40, tmp_path)
