"""Descriptors: what they see, and what they must not."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.quality.descriptors import DESCRIPTORS, RINGS, describe_slices
from csiq.quality.patches import SIDE, volume_slices
from tests.quality.toy_chest import VOXEL, toy_chest


@pytest.fixture(scope="module")
def slices() -> np.ndarray:
    return np.asarray(volume_slices(toy_chest(np.random.default_rng(2)), VOXEL).values)


def at(words: str) -> list[int]:
    return [i for i, name in enumerate(DESCRIPTORS) if words in name]


def test_there_is_a_number_for_every_name(slices: np.ndarray) -> None:
    found = describe_slices(slices)
    assert found.shape == (len(DESCRIPTORS),)
    assert len(set(DESCRIPTORS)) == len(DESCRIPTORS)
    assert np.isfinite(found).all()


def test_a_mirror_image_is_the_same_heart(slices: np.ndarray) -> None:
    plain = describe_slices(slices)
    layout = at("block")
    for mirrored in (slices[:, ::-1], slices[..., ::-1], slices[:, :, ::-1]):
        other = describe_slices(np.ascontiguousarray(mirrored))
        np.testing.assert_allclose(other[layout], plain[layout], atol=1e-4)
        # every second voxel, and the window about voxel n // 2, see a mirror image a voxel off
        np.testing.assert_allclose(other, plain, atol=0.08)


def test_scale_of_the_volume_does_not_matter() -> None:
    volume = toy_chest(np.random.default_rng(2))
    one, other = (describe_slices(volume_slices(v, VOXEL).values) for v in (volume, 37 * volume))
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_wave_shows_in_its_ring_and_way() -> None:
    wave = 1 + np.cos(2 * np.pi * 0.15 * np.arange(SIDE, dtype=np.float32))
    slices = np.broadcast_to(wave, (3, 6, SIDE, SIDE)).astype(np.float32)
    found = describe_slices(slices)
    power = found[at("axial log power ")][: len(RINGS) - 1]
    assert int(np.argmax(power[1:])) + 1 == int(np.searchsorted(RINGS, 0.15)) - 1
    along = found[at("axial log power along rows over columns 0.09")]
    assert along > 5
    turned = describe_slices(np.ascontiguousarray(slices.transpose(0, 1, 3, 2)))
    assert turned[at("axial log power along rows over columns 0.09")] == pytest.approx(-along, rel=0.05)


def test_power_is_that_of_white_noise(rng: np.random.Generator) -> None:
    noise = 0.3 * rng.standard_normal((3, 6, SIDE, SIDE), dtype=np.float32)
    power = describe_slices(noise)[at("coronal log power ")][1 : len(RINGS) - 1]
    # mean power of white noise is its variance in every ring; the inner ones have few members
    np.testing.assert_allclose(power, np.log(0.09), atol=0.2)
    np.testing.assert_allclose(power[3:], np.log(0.09), atol=0.08)


def test_blocks_hold_the_mean_brightness() -> None:
    found = describe_slices(np.full((3, 6, SIDE, SIDE), 0.5, dtype=np.float32))
    np.testing.assert_allclose(found[at("block")], np.log(0.52), atol=1e-5)


def test_values_that_are_not_finite_count_as_zero(slices: np.ndarray) -> None:
    holed, zeroed = slices.copy(), slices.copy()
    holed[0, 2, 100, 100], zeroed[0, 2, 100, 100] = np.nan, 0
    np.testing.assert_array_equal(describe_slices(holed), describe_slices(zeroed))
