"""Readouts that are far too large: held against those of the same distance from the centre of k-space."""

import numpy as np
import pytest

from csiq.io.finish import nearest_of, outliers_of

N_PARTITIONS, N_SPOKES = 17, 24


@pytest.fixture
def stack(rng):
    """A stack of stars whose middle partition is 400 times as loud as the outer ones, and its trajectory."""
    kz = np.tile(np.arange(N_PARTITIONS) - N_PARTITIONS // 2, N_SPOKES)
    decay = np.where(kz == 0, 400.0, 1.0 + 4.0 / np.maximum(np.abs(kz), 1))
    peaks = decay * rng.uniform(0.8, 1.2, (2, len(kz)))
    coord = np.zeros((len(kz), 9, 3), np.float32)
    coord[..., 0] = kz[:, None]
    coord[..., 2] = np.linspace(-8, 8, 9)
    return peaks, coord, kz


def test_the_distance_of_a_partition_is_its_own(stack):
    _, coord, kz = stack
    np.testing.assert_array_equal(nearest_of(coord), np.abs(kz))


def test_the_middle_of_a_stack_is_no_outlier(stack):
    peaks, coord, kz = stack
    assert outliers_of(peaks)[:, kz == 0].all()  # the median of all readouts would call it one
    assert not outliers_of(peaks, nearest_of(coord)).any()


@pytest.mark.parametrize("partition", [0, -8])
def test_a_flipped_exponent_in_a_stack_is_found(stack, partition):
    peaks, coord, kz = stack
    spoiled = int(np.flatnonzero(kz == partition)[5])
    peaks[1, spoiled] *= 256
    found = outliers_of(peaks, nearest_of(coord))
    assert found[1, spoiled]
    assert found.sum() == 1


def test_few_readouts_of_a_distance_are_held_against_the_loudest(stack):
    peaks, coord, kz = stack
    coord[np.flatnonzero(np.abs(kz) == 8)[:3], :, 0] = 30  # three readouts at a distance of their own
    odd = np.flatnonzero(coord[:, 0, 0] == 30)
    peaks[0, odd[0]] = 300
    peaks[0, odd[1]] = 400 * 60
    found = outliers_of(peaks, nearest_of(coord))
    assert found[0, odd[1]]
    assert found.sum() == 1


def test_spokes_through_the_centre_are_held_against_all(rng):
    peaks = rng.uniform(1, 2, (3, 40))
    peaks[2, 7] = 1000
    nearest = rng.uniform(0, 0.3, 40)
    np.testing.assert_array_equal(outliers_of(peaks, nearest), outliers_of(peaks))
    assert np.argwhere(outliers_of(peaks, nearest)).tolist() == [[2, 7]]
