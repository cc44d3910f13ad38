"""What makes images worse, against what is known of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from csiq.quality.features import measure
from csiq.simulate.imperfections import Imperfections
from csiq.trust.mechanisms import HELD_OUT, IMPERFECT, MECHANISMS, drift_turns
from csiq.trust.radial_scan import RadialScan
from tests.trust.scanned_tubes import tubes


@pytest.fixture(scope="module")
def scan() -> RadialScan:
    return tubes(sampling=0.5).base


def at(scan: RadialScan, name: str, level: float) -> np.ndarray:
    image = MECHANISMS[name].image
    assert image is not None
    return image(scan, level)


def test_levels_rise_from_the_best_scan() -> None:
    for one in MECHANISMS.values():
        assert len(one.levels) >= 6
        assert np.all(np.diff(one.levels) > 0)
        assert (one.image is None) != (one.scan is None)
    assert not set(HELD_OUT) & set(IMPERFECT)


def test_the_image_is_that_of_the_object(scan: RadialScan) -> None:
    image = np.abs(scan.clean)
    assert np.corrcoef(image.ravel(), scan.truth.volume.ravel())[0, 1] > 0.97


def test_noise_is_scaled_and_not_drawn_again(scan: RadialScan) -> None:
    once, twice = at(scan, "noise", 1.0), at(scan, "noise", 2.0)
    np.testing.assert_allclose(twice - scan.clean, 2 * (once - scan.clean), atol=1e-5)
    np.testing.assert_allclose(once, scan.grid(scan.received()), atol=2e-3)


def test_drift_moves_the_whole_body(scan: RadialScan) -> None:
    """The first spokes find the body half of the way before its place, the last ones half behind."""
    moved = scan.signal * drift_turns(scan, 4.0)
    n = len(scan.coord)
    for spokes, way in ((np.arange(n // 50), -2), (np.arange(n - n // 50, n), 2)):
        expected = np.roll(scan.grid(scan.signal, spokes), way, axis=1)
        inner = (slice(None), slice(4, -4))  # nothing comes in from the other side
        error = scan.grid(moved, spokes)[inner] - expected[inner]
        assert np.linalg.norm(error) < 0.08 * np.linalg.norm(expected)
    np.testing.assert_allclose(drift_turns(scan, 4.0)[n // 2], 1, atol=0.01)


def test_spokes_that_are_kept_are_nested_and_as_many_as_said(scan: RadialScan) -> None:
    beats = np.arange(int(scan.heartbeat.max()) + 1)
    kept = [set(beats[(beats * (np.sqrt(2) - 1)) % 1 < 1 / f]) for f in MECHANISMS["undersampling"].levels]
    assert all(b <= a for a, b in pairwise(kept))
    shares = [len(k) / len(beats) for k in kept]
    np.testing.assert_allclose(shares, 1 / np.array(MECHANISMS["undersampling"].levels), atol=0.05)
    # early and late heartbeats alike: no less motion
    assert np.mean(sorted(kept[-1])) / len(beats) == pytest.approx(0.5, abs=0.12)


def test_a_level_of_nothing_changes_nothing(scan: RadialScan) -> None:
    image = scan.grid(scan.received())
    for name in ("blur", "table-drift", "uneven-signal", "phase-jitter"):
        np.testing.assert_allclose(at(scan, name, 0.0), image, atol=2e-3)


@pytest.mark.slow
def test_held_out_mechanisms_lower_the_formula() -> None:
    case = tubes()
    for name in (*HELD_OUT, *IMPERFECT):
        levels = MECHANISMS[name].levels
        ends = replace(MECHANISMS[name], levels=(levels[0], levels[-1]))
        best, worst = (measure(volume, truth) for _, volume, truth in ends.images(case))
        less = worst.visible_share < 0.9 * best.visible_share
        assert less or worst.noise > 1.3 * best.noise or worst.streaks > 2 * best.streaks, name


def test_other_scans_of_a_case_are_heard_with_the_same_noise() -> None:
    case = tubes()
    moved = case.scan(residual=2.0)
    late = case.scan(imperfections=Imperfections(gradient_delay=(3.0, 0.0, 0.0)))
    for other in (moved, late):
        np.testing.assert_array_equal(other.noise, case.base.noise)
        assert np.abs(other.signal - case.base.signal).max() > 1e-3
