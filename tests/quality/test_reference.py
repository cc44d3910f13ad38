"""The reference quality: known answers, monotone in what it measures, blind to what does not matter."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from csiq.errors import CsiqError, ShapeError
from csiq.quality import reference
from csiq.quality.features import Features, HeartTruth, QualityError, measure
from csiq.quality.residual import residual
from csiq.quality.sharpness import VesselSharpness
from tests.quality.tubes import heart_of_tubes


@pytest.fixture(scope="module")
def truth() -> HeartTruth:
    return heart_of_tubes(0.5)


def noise_of(truth: HeartTruth, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(truth.volume.shape).astype(np.float32)


def features_like(**changes: float) -> Features:
    vessel = VesselSharpness(1.5, 40.0, 45.0, 3.0, 90.0, changes.pop("visible_share", 0.9))
    vessel = replace(vessel, **{k: changes.pop(k) for k in ("edge_sharpness", "deriche") if k in changes})
    plain = Features({"RCA": vessel}, 1.5, 40.0, 45.0, 3.0, 90.0, vessel.visible_share, 8.0, 0.05, 0.02, 0.0)
    return replace(plain, **changes)


def test_truth_itself_is_the_best(truth: HeartTruth) -> None:
    found = measure(truth.volume, truth)
    assert found.noise < 1e-3
    assert found.streaks < 1e-3
    assert found.visible_share > 0.98
    assert reference.grade(found) > 3.8


def test_scale_and_global_phase_do_not_matter(truth: HeartTruth) -> None:
    image = gaussian_filter(truth.volume, 0.8) + 0.05 * noise_of(truth)
    first = measure(image, truth).as_dict()
    turned = measure(3e4 * image * np.exp(1.3j), truth).as_dict()
    # float32 of magnitudes, and a search over poses that stops at 1e-6
    np.testing.assert_allclose(list(turned.values()), list(first.values()), rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_mirror_images_have_equal_quality(truth: HeartTruth, axis: int) -> None:
    image = gaussian_filter(truth.volume, 0.8) + 0.1 * noise_of(truth)
    first = measure(image, truth)
    edge = (truth.volume.shape[axis] - 1) * truth.voxel_size[axis]
    mirror = np.eye(3)[axis] * edge, 1 - 2 * np.eye(3)[axis]
    vessels = {n: replace(v, points=mirror[0] + mirror[1] * v.points) for n, v in truth.vessels.items()}
    masks = {name: np.flip(getattr(truth, name), axis) for name in ("volume", "heart", "blood", "myocardium")}
    second = measure(np.flip(image, axis), replace(truth, vessels=vessels, **masks))
    # directions across the vessels start elsewhere: another sample of the same noise
    assert second.edge_sharpness == pytest.approx(first.edge_sharpness, rel=0.03)
    assert second.visible_share == pytest.approx(first.visible_share, abs=0.02)
    assert second.noise == pytest.approx(first.noise, rel=0.02)
    assert reference.grade(second) == pytest.approx(reference.grade(first), abs=0.1)


def test_noise_is_told_as_what_was_added(truth: HeartTruth) -> None:
    blood = truth.volume[truth.blood].mean()
    found = measure(truth.volume + 0.05 * noise_of(truth), truth)
    # half the heart is fat, at three SD: the magnitude keeps the noise's SD there
    assert found.noise == pytest.approx(0.05 / blood, rel=0.03)
    assert found.streaks < 0.15 * found.noise
    contrast = blood - truth.volume[truth.myocardium].mean()
    assert found.cnr == pytest.approx(contrast / 0.05, rel=0.05)


def test_streaks_are_told_from_noise(truth: HeartTruth) -> None:
    slow = gaussian_filter(noise_of(truth), 8.0)
    slow *= 0.08 / slow.std()
    found = measure(truth.volume + slow, truth)
    # blocks of 6 mm keep most of what changes over 8 mm (SD); the shading that is allowed takes some
    assert 0.04 < found.streaks < 0.08
    assert found.noise < 0.4 * found.streaks


@pytest.mark.parametrize("kind", ["gaussian", "motion", "shift", "shading"])
def test_blur_is_no_noise(truth: HeartTruth, kind: str) -> None:
    v = truth.volume
    if kind == "gaussian":
        image = gaussian_filter(v, 1.3)
    elif kind == "motion":
        image = np.mean([np.roll(v, s, 0) for s in range(-4, 5)], axis=0)
    elif kind == "shift":
        image = np.roll(v, (2, 1), (0, 1))
    else:
        image = v * np.linspace(0.8, 1.2, v.shape[2], dtype=np.float32)
    found = measure(image, truth)
    plain = np.std(image - v) / v[truth.blood].mean()
    assert np.hypot(found.noise, found.streaks) < 0.25 * plain


def test_residual_of_what_is_explained_is_nothing(truth: HeartTruth) -> None:
    shading = 1 + 0.2 * np.linspace(-1, 1, truth.volume.shape[0], dtype=np.float32)[:, None, None]
    found = residual(2 * shading * truth.volume, truth.volume, truth.heart, truth.voxel_size, np.zeros(3))
    assert np.abs(found.volume).max() < 0.01


@pytest.mark.parametrize("kind", ["blur", "motion", "noise", "streaks"])
def test_more_damage_is_a_lower_quality(truth: HeartTruth, kind: str) -> None:
    v, noise = truth.volume, noise_of(truth)
    slow = gaussian_filter(noise, 4.0)
    slow /= slow.std()
    ladders = {
        "blur": [gaussian_filter(v, s) for s in (0, 1.0, 1.5, 2.5)],
        "motion": [np.mean([np.roll(v, s, 2) for s in range(-m, m + 1)], axis=0) for m in (0, 2, 4, 7)],
        "noise": [v + s * noise for s in (0, 0.1, 0.25, 0.6)],
        "streaks": [v + s * slow for s in (0, 0.1, 0.25, 0.6)],
    }
    found = [measure(image, truth) for image in ladders[kind]]
    for weights in (reference.WEIGHTS, *reference.ALTERNATIVES.values()):
        values = [reference.latent(f, weights) for f in found]
        assert all(a > b for a, b in pairwise(values)), values
    grades = [reference.grade(f) for f in found]
    assert grades[-1] < 1.5 < 3.8 < grades[0]


def test_hopeless_images_have_a_low_grade_and_no_nan(truth: HeartTruth) -> None:
    for image in (np.abs(noise_of(truth)), 1 / (0.1 + truth.volume), noise_of(truth) * 1e-20):
        found = measure(image, truth)
        assert np.isfinite(list(found.as_dict().values())).all()
        assert 0 <= reference.grade(found) < 0.3


def test_images_that_show_nothing(truth: HeartTruth) -> None:
    v = truth.volume
    broken = v.copy()
    broken[30, 30, 30] = np.nan
    for image in (np.zeros_like(v), np.ones_like(v), broken, np.where(v > 0.5, np.inf, v)):
        with pytest.raises(QualityError):
            measure(image, truth)
    with pytest.raises(ShapeError, match="differ"):
        measure(v[1:], truth)
    assert issubclass(QualityError, CsiqError)


@pytest.mark.parametrize("name", ["heart", "blood", "myocardium"])
def test_truths_that_do_not_fit(truth: HeartTruth, name: str) -> None:
    with pytest.raises(ShapeError, match=f"{name}: is empty"):
        replace(truth, **{name: np.zeros_like(truth.heart)})
    with pytest.raises(ShapeError, match=name):
        replace(truth, **{name: truth.heart[1:]})
    with pytest.raises(ShapeError, match="vessels"):
        replace(truth, vessels={})


def test_no_argument_is_changed(truth: HeartTruth) -> None:
    image = truth.volume + 0.1 * noise_of(truth)
    kept = image.copy(), truth.volume.copy()
    measure(image, truth)
    np.testing.assert_array_equal(image, kept[0])
    np.testing.assert_array_equal(truth.volume, kept[1])


def test_known_answers() -> None:
    assert reference.grade_of(0.0) == pytest.approx(0)
    assert reference.grade_of(reference.CALIBRATION.top) == pytest.approx(4)
    assert reference.grade_of(1.0) == 4
    at_scale = features_like(
        visible_share=1.0, edge_sharpness=30.0, deriche=40.0, cnr=4.0, noise=0.1, streaks=0.08
    )
    found = reference.scores(at_scale)
    halves = [value for name, value in found.items() if name != "visible_share"]
    np.testing.assert_allclose(halves, 0.5)
    assert found["visible_share"] == pytest.approx(0.8)
    # (0.85 sqrt(1/2) + 0.15 sqrt(4/5))^2
    assert reference.latent(at_scale) == pytest.approx(0.540, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "worse"),
    [
        ("edge_sharpness", [80, 40, 20, 5, 0]),
        ("deriche", [90, 45, 20, 5, 0]),
        ("visible_share", [1, 0.5, 0.2, 0]),
        ("cnr", [40, 10, 4, 1, 0]),
        ("noise", [0, 0.05, 0.1, 0.5]),
        ("streaks", [0, 0.05, 0.1, 0.5]),
    ],
)
def test_monotone_in_each_feature(name: str, worse: list[float]) -> None:
    for label, weights in {"": reference.WEIGHTS, **reference.ALTERNATIVES}.items():
        values = [reference.latent(features_like(**{name: v}), weights) for v in worse]
        if label == "no_deriche" and name == "deriche":
            assert len(set(values)) == 1
        else:
            assert all(a > b for a, b in pairwise(values))


def test_weights_are_shares() -> None:
    for weights in (reference.WEIGHTS, *reference.ALTERNATIVES.values()):
        assert set(weights) == set(reference.SCALES)
        assert sum(weights.values()) == pytest.approx(1)
    heavier = reference.ALTERNATIVES["sharpness_heavier"]
    ratio = heavier["edge_sharpness"] / heavier["noise"]
    assert ratio == pytest.approx(3 * reference.WEIGHTS["edge_sharpness"] / reference.WEIGHTS["noise"])
    assert reference.ALTERNATIVES["no_deriche"]["deriche"] == 0


def test_statement_carries_the_constants_and_the_hash_the_files() -> None:
    said = reference.statement()
    for name, value in reference.WEIGHTS.items():
        assert f"{name} {value:g}" in said
    assert f"middle {reference.CALIBRATION.middle:g}" in said
    assert "Etienne" in said
    assert len(reference.formula_sha256()) == 64
