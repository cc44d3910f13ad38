"""Mask positions, how often each pixel counts, and maps against loops written as the paper says it."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.errors import ConfigError
from csiq.heatmap.masks import Mask, maps_of, normalised, times_hidden


def test_positions_are_valid_and_reach_the_edge():
    assert Mask(8, 4).starts(16) == [0, 4, 8]
    # 4 does not divide the way: one more, flush with the end
    assert Mask(4, 4).starts(10) == [0, 4, 6]
    assert len(Mask(8, 4).positions((208, 208))) == 51 * 51
    rows, columns = Mask(8, 4).positions((208, 208))[-1]
    assert (rows, columns) == (slice(200, 208), slice(200, 208))


def test_hidden_counts_by_hand():
    along = [1, 1, 2, 3, 2, 2, 1]  # masks 0-3, 2-5 and, flush with the end, 3-6
    counts = times_hidden(Mask(4, 2), (7, 4 + 1))
    assert counts[:, 0].tolist() == along
    # five columns: masks 0-3 and 1-4
    assert counts[0].tolist() == [1, 2, 2, 2, 1]
    assert counts[3].tolist() == [3, 6, 6, 6, 3]


def test_maps_equal_the_loop_of_the_paper(rng):
    mask, shape = Mask(4, 3), (12, 9)
    positions = mask.positions(shape)
    grades = rng.random((len(positions), 2))
    baseline = np.array([2.0, 3.0])
    average, relevance = maps_of(mask, shape, baseline, grades)
    for i in range(2):
        total, included = np.zeros(shape), np.zeros(shape)
        lost, hidden = np.zeros(shape), np.zeros(shape)
        for (rows, columns), grade in zip(positions, grades[:, i], strict=True):
            outside = np.ones(shape, bool)
            outside[rows, columns] = False
            total[outside] += grade
            included[outside] += 1
            lost[~outside] += baseline[i] - grade
            hidden[~outside] += 1
        np.testing.assert_allclose(average[i], total / included, rtol=1e-12)
        np.testing.assert_allclose(relevance[i], lost / hidden, rtol=1e-9, atol=1e-12)


def test_away_from_the_rim_the_paper_s_map_is_relevance_scaled(rng):
    mask, shape = Mask(4, 2), (14, 14)
    grades = rng.random((len(mask.positions(shape)), 1))
    average, relevance = maps_of(mask, shape, np.array([0.7]), grades)
    inner = (0, slice(4, -4), slice(4, -4))
    hidden, n = 4, len(grades)
    expected = relevance[inner] * hidden / (n - hidden) + (grades.sum() - hidden * 0.7) / (n - hidden)
    np.testing.assert_allclose(average[inner], expected, rtol=1e-12)


def test_normalised_by_slice_and_by_volume(rng):
    strong, weak, flat = rng.random((5, 5)), 0.1 * rng.random((5, 5)), np.full((5, 5), 2.0)
    maps = np.stack([strong + 3, weak + 1, flat])
    each = normalised(maps)
    assert each[:2].min((1, 2)).tolist() == [0, 0]
    assert each[:2].max((1, 2)).tolist() == [1, 1]
    assert not each[2].any()
    common = normalised(maps, "volume")
    assert np.ptp(common[0]) == pytest.approx(1)
    # the slices' own grades, 3 and 1, do not count; what is left keeps its size
    assert np.ptp(common[1]) == pytest.approx(np.ptp(weak) / np.ptp(strong), rel=1e-5)
    assert np.ptp(common[2]) == 0


@pytest.mark.parametrize(("side", "stride"), [(0, 1), (8, 0), (8, 9)])
def test_masks_that_make_no_sense(side, stride):
    with pytest.raises(ConfigError):
        Mask(side, stride)


def test_a_mask_must_leave_something():
    with pytest.raises(ConfigError, match="hide a slice"):
        Mask(12, 6).positions((12, 40))
