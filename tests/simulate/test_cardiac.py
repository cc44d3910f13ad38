"""Heartbeats: when they come, and where they find the heart."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.simulate.breathing import Breathing, BreathingStyle, synthetic_breathing
from csiq.simulate.cardiac import CardiacMotion, heartbeats
from csiq.simulate.protocol import ScanConfig
from csiq.simulate.setting import Setting


def breathing(seed: int = 1) -> Breathing:
    rng = np.random.default_rng(seed)
    return synthetic_breathing(BreathingStyle.drawn(rng), 400.0, rng)


def test_intervals_keep_their_mean_and_jitter() -> None:
    trace = breathing()
    means, spreads = [], []
    for seed in range(40):
        beats = np.diff(heartbeats(377, 0.95, trace, np.random.default_rng(seed)).times)
        means.append(beats.mean())
        spreads.append(beats.std() / 0.95)
        assert beats.min() > 0.5
    assert np.mean(means) == pytest.approx(0.95, rel=0.01)
    assert 0.03 <= np.mean(spreads) < 0.05  # 3 % jitter and up to 5 % of breathing


def test_the_heart_is_faster_in_inspiration() -> None:
    trace = breathing()
    rhythm = heartbeats(2000, 0.95, trace, np.random.default_rng(0))
    inspired = trace.at(rhythm.times[:-1]) / np.ptp(trace.displacement)
    slope = np.polyfit(inspired, np.diff(rhythm.times) / 0.95, 1)[0]
    assert slope == pytest.approx(-0.05, abs=0.01)  # SD of the slope 0.003


def test_an_early_beat_is_followed_by_a_pause() -> None:
    trace = breathing()
    rhythm = heartbeats(610, 1.0, trace, np.random.default_rng(3), arrhythmia=0.1)
    assert rhythm.ectopic.sum() == 61
    assert not rhythm.ectopic[0]
    early = np.flatnonzero(rhythm.ectopic[:-1])
    assert np.all(np.diff(early) > 1)
    lengths = np.diff(rhythm.times)
    assert lengths[early - 1].mean() == pytest.approx(0.65, abs=0.01)
    assert lengths[early].mean() == pytest.approx(1.35, abs=0.02)
    usual = np.setdiff1d(np.arange(609), np.concatenate([early - 1, early]))
    assert lengths[usual].mean() == pytest.approx(1.0, abs=0.01)
    calm = heartbeats(610, 1.0, trace, np.random.default_rng(3))
    assert not calm.ectopic.any()


def test_offsets_have_the_size_that_was_asked_for(rng: np.random.Generator) -> None:
    motion = CardiacMotion(residual=0.8, speed=5.0)
    beat = np.repeat(np.arange(4000), 3)
    since = np.tile([-0.05, 0.0, 0.05], 4000)
    offset = motion.offsets(beat, since, np.zeros(4000, dtype=bool), rng)
    middle = offset[1::3]
    # root mean square of 4000 vectors: 1 % to one standard deviation
    assert np.sqrt((middle**2).sum(axis=1).mean()) == pytest.approx(0.8, rel=0.04)
    assert np.abs(middle.mean(axis=0)).max() < 0.04
    assert np.allclose(np.linalg.norm(offset[2::3] - offset[0::3], axis=1), 0.5)  # 5 mm/s for 0.1 s


def test_people_differ_in_how_still_their_hearts_are() -> None:
    sizes = [CardiacMotion.drawn(np.random.default_rng(seed)) for seed in range(300)]
    residual = np.array([m.residual for m in sizes])
    assert 0.3 <= residual.min() < 0.33
    assert 1.35 < residual.max() <= 1.5
    assert all(abs(m.speed) * 0.112 < 1.5 for m in sizes)  # mm within a burst of 36 readouts
    assert CardiacMotion.drawn(np.random.default_rng(0), residual=0.0).speed == 0


def test_a_scan_sees_one_place_a_beat_and_another_in_ectopic_ones() -> None:
    config = ScanConfig(seed=3, matrix=24, n_coils=1, cardiac=0.4)
    wrong = ScanConfig(seed=3, matrix=24, n_coils=1, cardiac=0.4, imperfections=early(0.1))
    calm, ill = Setting.of(config), Setting.of(wrong)
    assert ill.played.ectopic.sum() == 3  # a tenth of 34 heartbeats
    of_readout = ill.played.ectopic[ill.played.heartbeat]
    assert np.linalg.norm(ill.heart_offset[of_readout], axis=1).min() > 2.5
    assert np.linalg.norm(calm.heart_offset, axis=1).max() < 2.5
    quiet = Setting.of(ScanConfig(seed=3, matrix=24, n_coils=1, trajectory="golden3d"))
    lag = quiet.patient.coupling.lag
    late = quiet.breathing.at(quiet.played.times - lag) - quiet.displacement
    assert np.allclose(quiet.heart_offset[:, 0], -quiet.patient.coupling.heart_si * late)


def early(share: float):
    from csiq.simulate.imperfections import Imperfections

    return Imperfections(arrhythmia=share)
