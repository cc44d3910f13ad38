"""Images unlike the training set are known as such."""

from __future__ import annotations

import json

import numpy as np
import pytest

from csiq.errors import ModelError, ShapeError
from csiq.quality.descriptors import DESCRIPTORS, describe_slices
from csiq.quality.domain import Domain
from csiq.quality.patches import ORIENTATIONS, volume_slices
from tests.quality.toy_chest import VOXEL, area_under_curve, toy_chest

N = len(DESCRIPTORS)


@pytest.fixture
def domain(rng: np.random.Generator) -> Domain:
    samples = rng.standard_normal((200, N)) * 0.2 + np.arange(N)
    return Domain.fit(samples, (1.0, 2.2))


def test_training_set_is_inside_and_the_far_is_not(domain: Domain) -> None:
    assert domain.complaints(domain.mean, (1.6, 1.6, 1.6)) == ()
    far = domain.mean + 5
    assert "far from the training set" in domain.complaints(far, (1.6, 1.6, 1.6))[0]


def test_statistics_that_are_not_numbers_are_outside(domain: Domain) -> None:
    assert domain.complaints(np.full(N, np.nan), (1.6, 1.6, 1.6))


@pytest.mark.parametrize("voxel_size", [(0.8, 1.0, 1.0), (2.0, 2.0, 3.25)])
def test_unknown_voxel_sizes_are_outside(domain: Domain, voxel_size: tuple[float, float, float]) -> None:
    assert "the model knows 1 to 2.2 mm" in domain.complaints(domain.mean, voxel_size)[0]


def test_distance_by_hand() -> None:
    known = Domain(np.zeros(8), np.diag([4.0, *np.ones(7)]), 1.0, (1.0, 2.0))
    assert known.distance(np.array([2.0, 2.0, 0, 0, 0, 0, 0, 0])) == pytest.approx(np.sqrt(1 + 4))


def test_domain_survives_the_card(domain: Domain) -> None:
    card = {"domain": domain.as_dict(), "voxel_size_mm": {"min": 1.0, "max": 2.2}}
    again = Domain.from_card(card)
    sample = domain.mean + 0.3
    assert again.distance(sample) == pytest.approx(domain.distance(sample), rel=1e-3)


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"mean": [1.0], "covariance": [[1.0]], "threshold": 3.0},
        {
            "statistics": "csiq-descriptors-1",
            "mean": [1.0],
            "spread": [1.0],
            "correlation": "",
            "threshold": 3.0,
        },
    ],
)
def test_a_card_without_a_usable_domain_is_refused(entry: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="domain"):
        Domain.from_card({"domain": entry, "voxel_size_mm": {"min": 1.0, "max": 2.2}})


def test_other_descriptors_are_refused(domain: Domain) -> None:
    card = {"domain": {**domain.as_dict(), "statistics": "others"}, "voxel_size_mm": {"min": 1.0, "max": 2.2}}
    with pytest.raises(ModelError, match=r"domain\.statistics.*another version of csiq"):
        Domain.from_card(card)


def test_statistics_do_not_depend_on_scale_and_see_noise(rng: np.random.Generator) -> None:
    z, y, x = np.mgrid[:104, :104, :104] - 52
    volume = np.exp(-(z**2 + y**2 + x**2) / 800).astype(np.float32)
    noise = 0.2 * rng.standard_normal(volume.shape, dtype=np.float32)
    plain, louder, noisy = (
        describe_slices(volume_slices(image, (2.0,) * 3).values)
        for image in (volume, volume * 55, volume + noise)
    )
    # float32; power next to its floor, where this image has none, is rounding
    np.testing.assert_allclose(louder, plain, atol=1e-3)
    power = DESCRIPTORS.index(f"{ORIENTATIONS[0]} log power 0.13 to 0.18")
    assert noisy[power] > plain[power] + 0.5


# --- images of the training set's kind and of others ----------------------------------------------------


def _described(volumes: list[np.ndarray]) -> np.ndarray:
    return np.array([describe_slices(volume_slices(volume, VOXEL).values) for volume in volumes])


@pytest.fixture(scope="module")
def chests() -> list[np.ndarray]:
    rng = np.random.default_rng(31)
    return [toy_chest(rng) for _ in range(54)]


@pytest.fixture(scope="module")
def known(chests: list[np.ndarray]) -> Domain:
    return Domain.fit(_described(chests[:44]), (4.0, 4.0))


def _distances(domain: Domain, volumes: list[np.ndarray]) -> np.ndarray:
    return np.array([domain.distance(sample) for sample in _described(volumes)])


def _zoomed(volume: np.ndarray) -> np.ndarray:
    return volume[13:39, 13:39, 13:39].repeat(2, 0).repeat(2, 1).repeat(2, 2)


def _half_resolution(volume: np.ndarray) -> np.ndarray:
    kspace = np.fft.fftshift(np.fft.fftn(volume))
    kept = np.zeros_like(kspace)
    kept[13:39, 13:39, 13:39] = kspace[13:39, 13:39, 13:39]
    return np.abs(np.fft.ifftn(np.fft.ifftshift(kept))).astype(np.float32)


def test_new_images_of_the_same_kind_are_inside(known: Domain, chests: list[np.ndarray]) -> None:
    assert np.mean(_distances(known, chests[44:]) > known.threshold) <= 0.1
    mirrored = [volume[:, :, ::-1] for volume in chests[44:]]
    assert np.mean(_distances(known, mirrored) > known.threshold) <= 0.15


@pytest.mark.parametrize(
    "spoil",
    [
        lambda v: v.transpose(0, 2, 1),
        lambda v: v.transpose(1, 0, 2),
        lambda v: v.transpose(2, 1, 0),
        _zoomed,
        _half_resolution,
        lambda v: np.random.default_rng(1).rayleigh(size=v.shape).astype(np.float32),
    ],
    ids=["swapped y x", "swapped z y", "swapped z x", "zoomed", "half resolution", "noise"],
)
def test_other_images_are_outside(known: Domain, chests: list[np.ndarray], spoil) -> None:
    inside, outside = _distances(known, chests[44:]), _distances(known, [spoil(v) for v in chests[44:49]])
    assert area_under_curve(inside, outside) >= 0.9


def test_fat_that_was_not_saturated_is_outside(known: Domain, chests: list[np.ndarray]) -> None:
    rng = np.random.default_rng(5)
    bright = _distances(known, [toy_chest(rng, fat=1.1) for _ in range(5)])
    assert area_under_curve(_distances(known, chests[44:]), bright) >= 0.9


def test_shrinkage_is_that_of_scikit_learn(rng: np.random.Generator) -> None:
    covariance = pytest.importorskip("sklearn.covariance")
    samples = rng.standard_normal((40, N)) @ rng.standard_normal((N, N))
    spread = samples.std(axis=0, ddof=1) + 0.01
    theirs, share = covariance.ledoit_wolf((samples - samples.mean(axis=0)) / spread, assume_centered=True)
    assert share > 0.05  # below, ours is held there
    ours = Domain.fit(samples, (1.0, 1.0)).covariance / np.outer(spread, spread)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_many_descriptors_survive_the_card(known: Domain, chests: list[np.ndarray]) -> None:
    text = json.dumps({"domain": known.as_dict(), "voxel_size_mm": {"min": 4.0, "max": 4.0}})
    assert len(text) < 60_000
    again = Domain.from_card(json.loads(text))
    assert again is not None
    for sample in _described(chests[50:52]):
        assert again.distance(sample) == pytest.approx(known.distance(sample), rel=2e-3)


def test_a_card_may_say_that_nothing_is_known() -> None:
    assert Domain.from_card({"domain": None, "voxel_size_mm": None}) is None


@pytest.mark.parametrize("change", [{"spread": [0.0] * 89}, {"correlation": "0.5 nan"}, {"correlation": "x"}])
def test_a_damaged_card_is_refused(known: Domain, change: dict[str, object]) -> None:
    card = {"domain": {**known.as_dict(), **change}, "voxel_size_mm": {"min": 4.0, "max": 4.0}}
    with pytest.raises(ModelError, match="domain"):
        Domain.from_card(card)


def test_images_of_one_patient_are_left_out_together(rng: np.random.Generator) -> None:
    patients = rng.standard_normal((12, N))
    samples = np.repeat(patients, 5, axis=0) + 0.01 * rng.standard_normal((60, N))
    alone = Domain.fit(samples, (1.0, 1.0))
    together = Domain.fit(samples, (1.0, 1.0), np.repeat(np.arange(12), 5).tolist())
    assert together.threshold > 1.2 * alone.threshold


@pytest.mark.parametrize("shape", [(3, 89), (20, 88), (20,)])
def test_what_cannot_be_fitted(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError):
        Domain.fit(np.ones(shape), (1.0, 1.0))


def test_there_are_as_many_names_as_the_card_expects(known: Domain) -> None:
    assert known.mean.shape == (N,)
