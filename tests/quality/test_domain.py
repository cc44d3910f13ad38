"""Images unlike the training set are known as such."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.errors import ModelError
from csiq.quality.domain import FEATURES, Domain, features
from csiq.quality.patches import volume_slices


@pytest.fixture
def domain(rng: np.random.Generator) -> Domain:
    samples = rng.standard_normal((200, len(FEATURES))) * 0.2 + np.arange(len(FEATURES))
    return Domain.fit(samples, (1.0, 2.2))


def test_training_set_is_inside_and_the_far_is_not(domain: Domain) -> None:
    assert domain.complaints(domain.mean, (1.6, 1.6, 1.6)) == ()
    far = domain.mean + 5
    assert "far from the training set" in domain.complaints(far, (1.6, 1.6, 1.6))[0]


def test_statistics_that_are_not_numbers_are_outside(domain: Domain) -> None:
    assert domain.complaints(np.full(len(FEATURES), np.nan), (1.6, 1.6, 1.6))


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


@pytest.mark.parametrize("entry", [{}, {"mean": [1.0], "covariance": [[1.0]], "threshold": 3.0}])
def test_a_card_without_a_usable_domain_is_refused(entry: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="domain"):
        Domain.from_card({"domain": entry, "voxel_size_mm": {"min": 1.0, "max": 2.2}})


def test_statistics_do_not_depend_on_scale_and_see_noise(rng: np.random.Generator) -> None:
    z, y, x = np.mgrid[:104, :104, :104] - 52
    volume = np.exp(-(z**2 + y**2 + x**2) / 800).astype(np.float32)
    plain = features(volume_slices(volume, (2.0,) * 3).values)
    np.testing.assert_allclose(features(volume_slices(volume * 55, (2.0,) * 3).values), plain, atol=1e-4)
    noise = 0.2 * rng.standard_normal(volume.shape, dtype=np.float32)
    noisy = features(volume_slices(volume + noise, (2.0,) * 3).values)
    assert noisy[5] > plain[5] + 0.5
