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


def test_a_short_trace_runs_back_and_forth() -> None:
    trace = Breathing(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 4.0]))
    assert np.allclose(trace.at(np.array([0.5, 1.5, 2.5, 3.5, 4.5])), [0.5, 2.5, 2.5, 0.5, 0.5])


def test_a_style_nobody_has() -> None:
    with pytest.raises(ConfigError, match="did you mean 'end-expiration'"):
        BreathingStyle(dwell="expiration")


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
    with pytest.raises(RawDataError, match="no such file"):
        read_breathing(tmp_path / "missing.txt")


def test_measured_belts_dwell_at_end_expiration(shared_data: Path) -> None:
    for name, seconds in (("resp3_full.txt", 167.1), ("resp4_full.txt", 347.3)):
        trace = read_breathing(shared_data / "raw" / "resp-belt-NO-LICENCE" / name)
        assert trace.times[-1] == pytest.approx(seconds, abs=0.1)
        moved = trace.displacement
        assert np.median(moved) < (np.percentile(moved, 2) + np.percentile(moved, 98)) / 2
