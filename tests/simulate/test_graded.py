"""The training set: graded as stated, the same from the same seed, its patients apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from csiq.quality.training_set import TrainingSet
from csiq.simulate.anatomy import Patient
from csiq.simulate.graded import GradedConfig, make_patient, make_training_set, patient_seeds
from csiq.simulate.quick_scan import Scene, Spokes, breathing_levels, sample

SMALL = GradedConfig(
    matrices=(32,), shares=(1.0,), n_coils=2, iterates=(0, 2), last_shares=(1.0,), n_full=1, n_slices=2
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graded")
    make_patient(folder, 5, "train", SMALL)
    return folder


def test_images_of_a_patient(made: Path) -> None:
    data = TrainingSet(made)
    kinds = [image.kind for image in data.images]
    assert kinds == ["full", "gridded", *["cs"] * 4]
    assert all(0 <= image.grade <= 4 for image in data.images)
    assert all(image.voxel_size == 6.5 for image in data.images)
    for image in data.images:
        slices = data.slices(image)
        assert slices.shape == (3, 2, 208, 208)
        assert slices.dtype == np.float16
        # normalised to about the brightness of blood
        assert 0.5 < np.percentile(slices[:, :, 64:144, 64:144].astype(np.float32), 99) < 2
    assert {i.details["iteration"] for i in data.of("train", "cs")} == {0, 2}


def test_equal_seeds_give_equal_images(made: Path, tmp_path: Path) -> None:
    make_patient(tmp_path, 5, "train", SMALL)
    first, again = TrainingSet(made), TrainingSet(tmp_path)
    assert first.images == again.images
    np.testing.assert_array_equal(first.slices(first.images[-1]), again.slices(again.images[-1]))


def test_what_is_finished_is_not_made_again(made: Path) -> None:
    before = (made / "patient-5.jsonl").stat().st_mtime_ns
    assert make_patient(made, 5, "train", SMALL) == 6
    assert (made / "patient-5.jsonl").stat().st_mtime_ns == before


def test_further_patients_have_no_iterates(tmp_path: Path) -> None:
    from dataclasses import replace

    config = replace(SMALL, cs_patients=0)
    made = dict(make_training_set(tmp_path, [(6, "test")], config, workers=1))
    assert made == {6: 2}
    data = TrainingSet(tmp_path)
    assert {i.kind for i in data.of("test")} == {"full", "gridded"}
    assert data.slices(data.images[0]).shape == (3, 6, 208, 208)  # the grader's own slices
    assert data.description["lamda"] == 0.02


def test_patients_of_the_splits_never_meet() -> None:
    for seed in range(3):
        patients = patient_seeds(40, 10, 12, seed)
        assert len({p for p, _ in patients}) == 62
        assert {split for _, split in patients[:12]} == {"train", "validation", "test"}
    assert not {p for p, _ in patient_seeds(40, 10, 12, 0)} & {p for p, _ in patient_seeds(40, 10, 12, 1)}


def test_breathing_dwells_at_end_expiration(rng: np.random.Generator) -> None:
    levels = breathing_levels(400, 10.0, rng)
    assert len(np.unique(levels)) == 6
    assert np.median(levels) < 0.5 * levels.max()


def test_noise_free_gridding_of_a_still_patient_is_the_patient(rng: np.random.Generator) -> None:
    from csiq.operators import ForwardModel
    from csiq.trajectory import density_compensation

    scene = Scene.make(Patient.from_seed(5), 32, 2, rng)
    n_spokes = round(1.5 * np.pi / 2 * 32**2)
    spokes = Spokes.phyllotaxis(32, n_spokes, lambda m: np.full(m, 3.0), rng)
    kspace = sample(scene, spokes, 0.0, rng)
    volume = np.abs(
        ForwardModel([spokes.coord], scene.unit_maps, threads=1).H(
            density_compensation(spokes.coord) * kspace
        )[0]
    )
    truth = scene.image(3.0) * scene.shading
    middle = np.s_[8:24, 8:24, 8:24]
    # 6.5 mm voxels ring; the body outside leaks in
    assert np.corrcoef(volume[middle].ravel(), truth[middle].ravel())[0, 1] > 0.95
