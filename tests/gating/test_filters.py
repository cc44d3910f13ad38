from __future__ import annotations

import numpy as np
import pytest

from csiq.gating.filters import band_pass, dominant_frequency, running_median

TIMES = np.arange(2000) * 0.02
#: A filter of this narrowness rings for seconds at the ends.
INNER = slice(250, -250)


def test_the_band_keeps_its_tone_and_nothing_else():
    slow, tone, fast = (np.sin(2 * np.pi * f * TIMES) for f in (0.1, 1.2, 5.0))
    kept = band_pass(slow + tone + fast + 0.05 * TIMES, TIMES, (0.7, 2.0))
    assert np.abs(kept - tone)[INNER].max() < 0.05


def test_a_low_edge_of_zero_keeps_drift_and_mean():
    drift = 3 + 0.1 * TIMES
    kept = band_pass(drift + np.sin(2 * np.pi * 5 * TIMES), TIMES, (0.0, 1.0))
    assert np.abs(kept - drift)[INNER].max() < 0.01


def test_gaps_do_not_shift_the_signal():
    tone = np.sin(2 * np.pi * 0.3 * TIMES)
    kept_times = np.delete(TIMES, np.arange(700, 720))
    kept = band_pass(np.delete(tone, np.arange(700, 720)), kept_times, (0.1, 1.0))
    assert np.abs(kept - np.delete(tone, np.arange(700, 720)))[INNER].max() < 0.1


def test_columns_are_filtered_alike(rng):
    values = rng.normal(size=(2000, 3))
    together = band_pass(values, TIMES, (0.5, 2.0))
    np.testing.assert_allclose(together[:, 1], band_pass(values[:, 1], TIMES, (0.5, 2.0)), atol=1e-12)


def test_dominant_frequency():
    assert dominant_frequency(5 + np.sin(2 * np.pi * 1.18 * TIMES), TIMES) == pytest.approx(1.18, abs=0.01)


def test_running_median_ignores_spikes():
    values = np.ones_like(TIMES)
    values[::50] = 100
    assert np.all(running_median(values, TIMES, 1.0) == 1)


def test_a_band_wider_than_the_samples_show_changes_nothing(rng):
    values, times = rng.normal(size=100), np.cumsum(rng.uniform(0.8, 1.0, 100))
    assert np.array_equal(band_pass(values, times, (0.0, 0.7)), values)
