from __future__ import annotations

import numpy as np
import pytest

from csiq.errors import ConfigError, RawDataError, ShapeError
from csiq.gating import respiratory_bins


@pytest.mark.parametrize(("n_spokes", "n_phases"), [(4, 4), (17, 4), (1000, 7), (15, 1)])
def test_equal_counts_and_no_spoke_lost(rng, n_spokes, n_phases):
    bins = respiratory_bins(rng.normal(size=n_spokes), n_phases)
    assert max(bins.counts) - min(bins.counts) <= 1
    assert np.array_equal(np.sort(np.concatenate(bins.indices)), np.arange(n_spokes))


def test_phase_1_is_the_highest_signal(rng):
    signal = rng.normal(size=100)
    bins = respiratory_bins(signal, 4)
    lowest = [signal[index].min() for index in bins.indices]
    highest = [signal[index].max() for index in bins.indices]
    assert all(low > high for low, high in zip(lowest[:-1], highest[1:], strict=True))
    assert np.all(np.diff(bins.edges) < 0)
    assert bins.edges[0] == signal.max()
    assert bins.edges[-1] == signal.min()
    assert all(edge < low for edge, low in zip(bins.edges[1:-1], lowest[:-1], strict=True))
    for phase, index in enumerate(bins.indices, start=1):
        assert np.all(bins.phase_of_spoke[index] == phase)


def test_low_first_turns_the_order_around(rng):
    signal = rng.normal(size=40)
    bins = respiratory_bins(signal, 4, low_first=True)
    assert signal[bins.indices[0]].max() < signal[bins.indices[3]].min()
    assert np.all(np.diff(bins.edges) > 0)


@pytest.mark.parametrize("n_heartbeats", [4, 9, 377])
def test_whole_heartbeats_are_binned(rng, n_heartbeats):
    heartbeat = np.repeat(np.arange(n_heartbeats) * 3 + 5, 36)
    bins = respiratory_bins(np.repeat(rng.normal(size=n_heartbeats), 36), 4, heartbeat)
    assert max(bins.counts) - min(bins.counts) <= 36
    assert sum(bins.counts) == heartbeat.size
    for beat in np.unique(heartbeat):
        assert len(np.unique(bins.phase_of_spoke[heartbeat == beat])) == 1


def test_heartbeats_of_unequal_length_are_balanced_by_spokes(rng):
    size = rng.integers(20, 40, 200)
    heartbeat = np.repeat(np.arange(200), size)
    bins = respiratory_bins(np.repeat(rng.normal(size=200), size), 4, heartbeat)
    assert sum(bins.counts) == size.sum()
    assert max(bins.counts) - min(bins.counts) <= 40


def test_a_spoke_without_signal_is_not_used():
    bins = respiratory_bins(np.array([1.0, np.nan, 3.0, 2.0]), 3)
    assert bins.phase_of_spoke.tolist() == [3, 0, 1, 2]


def test_an_empty_phase_is_named():
    with pytest.raises(RawDataError, match=r"phase 2 of 4 would be empty: 3 heartbeats.*--phases 3"):
        respiratory_bins(np.repeat([3.0, 2.0, 1.0], 10), 4, np.repeat([0, 1, 2], 10))


def test_impossible_requests():
    with pytest.raises(ConfigError, match="one phase or more"):
        respiratory_bins(np.zeros(5), 0)
    with pytest.raises(ShapeError, match="heartbeats"):
        respiratory_bins(np.zeros(5), 2, np.zeros(4, dtype=int))
