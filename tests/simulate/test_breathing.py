"""Traces: where they dwell, how far they go, and what a file may hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from csiq.errors import ConfigError, RawDataError
from csiq.simulate.breathing import (
    Breathing,
    BreathingStyle,
    read_breathing,
    synthetic_breathing,
)


def drawn(seed: int, dwell: str = "end-expiration", drift: float | None = None) -> Breathing:
    rng = np.random.default_rng(seed)
    style = BreathingStyle.drawn(rng, dwell)
    if drift is not None:
        style = BreathingStyle(style.amplitude, style.period, dwell, style.sharpness, style.irregular, drift)
    return synthetic_breathing(style, 150.0, rng)


@pytest.mark.parametrize("seed", range(5))
def test_most_time_is_spent_where_the_style_says(seed: int) -> None:
    for dwell, near_zero in (("end-expiration", True), ("end-inspiration", False)):
        moved = drawn(seed, dwell, drift=0.0).displacement
        middle = (np.percentile(moved, 2) + np.percentile(moved, 98)) / 2
        assert (np.median(moved) < middle) == near_zero


def test_traces_start_at_zero_are_irregular_and_of_human_size() -> None:
    for seed in range(20):
        trace = drawn(seed)
        assert trace.displacement.min() == 0
        assert 5 < np.ptp(trace.displacement) < 45  # amplitude, sighs and drift
        assert np.all(np.abs(np.diff(trace.displacement)) < 3)  # mm in 20 ms
        peaks = trace.displacement[1:-1][
            (np.diff(trace.displacement[:-1]) > 0) & (np.diff(trace.displacement[1:]) <= 0)
        ]
        assert np.std(peaks) > 0.3


def test_drift_moves_the_resting_position() -> None:
    style = BreathingStyle(drift=6.0)
    ends = []
    for seed in range(10):
        moved = synthetic_breathing(style, 150.0, np.random.default_rng(seed)).displacement
        third = len(moved) // 3
        ends.append(np.percentile(moved[-third:], 10) - np.percentile(moved[:third], 10))
    assert 2.5 < np.mean(ends) < 6


def styles(n: int = 300) -> list[BreathingStyle]:
    return [BreathingStyle.drawn(np.random.default_rng(seed)) for seed in range(n)]


def test_people_breathe_5_to_20_mm_and_dwell_differently() -> None:
    drawn = styles()
    for name, low, high in (("amplitude", 5, 20), ("sharpness", 1, 4), ("period", 3.2, 5.5)):
        values = np.array([getattr(style, name) for style in drawn])
        assert low <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.06 * (high - low))  # SD 0.017 of it
    assert 0.1 < np.mean([style.pauses > 0 for style in drawn]) < 0.3
    asked = BreathingStyle.drawn(np.random.default_rng(0), amplitude=9.0, drift=1.0)
    assert (asked.amplitude, asked.drift) == (9.0, 1.0)
    assert asked.sharpness == drawn[0].sharpness


def peaks_of(trace: Breathing) -> tuple[np.ndarray, np.ndarray]:
    """Return times and heights of end-inspiration."""
    moved = trace.displacement
    at = np.flatnonzero((moved[1:-1] > moved[:-2]) & (moved[1:-1] >= moved[2:])) + 1
    return trace.times[at], moved[at]


def test_breaths_have_the_mean_and_the_spread_of_their_style() -> None:
    style = BreathingStyle(amplitude=12, period=4.0, irregular=0.15, drift=0.0, sighs=0.0)
    heights, lengths = [], []
    for seed in range(30):
        times, peaks = peaks_of(synthetic_breathing(style, 300.0, np.random.default_rng(seed)))
        heights.append(peaks)
        lengths.append(np.diff(times))
    height, length = np.concatenate(heights), np.concatenate(lengths)
    # a log-normal factor of 15 %: mean 1.011, SD 15 % (clipped at 2.5 SD); 2200 breaths: 0.4 % of the mean
    assert height.mean() == pytest.approx(12 * 1.011, rel=0.02)
    assert height.std() / height.mean() == pytest.approx(0.15, abs=0.015)
    assert length.mean() == pytest.approx(4.0 * 1.011, rel=0.02)
    # from peak to peak lie halves of two breaths
    assert length.std() / length.mean() == pytest.approx(0.15 / np.sqrt(2), abs=0.015)


@pytest.mark.parametrize("sharpness", [1.0, 2.5, 4.0])
def test_one_breath_is_a_power_of_a_sine(sharpness: float) -> None:
    style = BreathingStyle(10, 4.0, sharpness=sharpness, irregular=0.0, drift=0.0, sighs=0.0)
    trace = synthetic_breathing(style, 60.0, np.random.default_rng(0))
    first = peaks_of(trace)[0][1]
    at = first + np.linspace(-1.9, 1.9, 39)
    law = 10 * np.cos(np.pi * (at - first) / 4.0) ** (2 * sharpness)
    assert np.allclose(trace.at(at), law, atol=0.15)  # the peak is known to 10 ms
    # mean of sin^2n: how long is dwelt at end-expiration, (2n)! / (4^n n!^2) for whole n
    assert sharpness != 1.0 or trace.displacement[:3000].mean() == pytest.approx(5.0, abs=0.1)


def test_sighs_are_as_many_and_as_deep_as_asked() -> None:
    style = BreathingStyle(10, 4.0, irregular=0.0, drift=0.0, sighs=0.05)
    peaks = np.concatenate(
        [peaks_of(synthetic_breathing(style, 400.0, np.random.default_rng(s)))[1] for s in range(20)]
    )
    deep = peaks > 13
    assert deep.mean() == pytest.approx(0.05, abs=0.015)  # SD 0.005 of 2000 breaths
    assert peaks[deep].mean() == pytest.approx(16, abs=0.1)
    assert peaks[~deep].mean() == pytest.approx(10, abs=0.1)


def test_a_pause_lasts_seconds_at_end_expiration() -> None:
    style = BreathingStyle(10, 4.0, irregular=0.0, drift=0.0, sighs=0.0, pauses=0.1)
    gaps = np.concatenate(
        [np.diff(peaks_of(synthetic_breathing(style, 400.0, np.random.default_rng(s)))[0]) for s in range(10)]
    )
    held = gaps > 5
    assert held.mean() == pytest.approx(0.1, abs=0.04)
    assert 7 - 0.1 < gaps[held].min() < gaps[held].max() < 12 + 0.1
    assert np.allclose(gaps[~held], 4.0, atol=0.05)


def test_a_short_trace_runs_back_and_forth() -> None:
    trace = Breathing(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 4.0]))
    assert np.allclose(trace.at(np.array([0.5, 1.5, 2.5, 3.5, 4.5])), [0.5, 2.5, 2.5, 0.5, 0.5])


def test_a_style_nobody_has() -> None:
    with pytest.raises(ConfigError, match="did you mean 'end-expiration'"):
        BreathingStyle(dwell="expiration")
    with pytest.raises(ConfigError, match="no amplitude"):
        BreathingStyle(amplitude=400)


def test_belt_triggers_are_left_out(tmp_path: Path) -> None:
    seconds = np.arange(0, 30, 2.5e-3)
    belt = (2000 + 1500 * np.sin(2 * np.pi * 0.25 * seconds)).astype(int)
    words = [str(v) for v in belt]
    for place in (100, 5000, 9000):
        words.insert(place, "5000")
    (tmp_path / "belt.txt").write_text(" ".join(words))
    trace = read_breathing(tmp_path / "belt.txt", amplitude=10)
    assert trace.times.size == belt.size
    assert trace.source == "belt.txt"
    assert 9.8 < np.ptp(trace.displacement) < 10.6
    # larger values are inspiration: the trace follows the sine, not its negative
    assert np.corrcoef(trace.displacement, belt)[0, 1] > 0.99


def test_a_table_of_seconds_and_mm_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "trace.tsv").write_text("0 1.5\n0.5 3.5\n1.5 11.5\n")
    trace = read_breathing(tmp_path / "trace.tsv")
    assert np.allclose(trace.at(np.array([0.0, 0.5, 1.0])), [0.0, 2.0, 6.0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 2 three", "no breathing trace"),
        ("", "finite numbers"),
        ("1 2 3 4", "shorter than 10 s"),
        ("0 1\n1 nan\n2 3", "finite numbers"),
        ("0 1\n2 3\n1 3", "do not rise"),
        (" ".join(["7"] * 8000), "does not move"),
    ],
)
def test_what_is_no_trace(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "bad.txt").write_text(content)
    with pytest.raises(RawDataError, match=message) as caught:
        read_breathing(tmp_path / "bad.txt")
    assert caught.value.file == "bad.txt"


def test_no_trace_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_breathing(tmp_path / "missing.txt")


def test_measured_belts_dwell_at_end_expiration(shared_data: Path) -> None:
    for name, seconds in (("resp3_full.txt", 167.1), ("resp4_full.txt", 347.3)):
        trace = read_breathing(shared_data / "raw" / "resp-belt-NO-LICENCE" / name)
        assert trace.times[-1] == pytest.approx(seconds, abs=0.1)
        moved = trace.displacement
        assert np.median(moved) < (np.percentile(moved, 2) + np.percentile(moved, 98)) / 2
