"""The first heartbeats of a scan: what is kept of it, and what reconstructing it gives."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from csiq.cli.fractions import fractions_of
from csiq.config import load_config
from csiq.errors import ConfigError
from csiq.pipeline import reconstruct
from csiq.rescan import COLUMNS, Part, first_heartbeats, grades_by_fraction
from csiq.rescan.figure import fractions_figure


@pytest.fixture(scope="module")
def scan(simulated):
    """The small breathing scan, with two of its coils."""
    whole = simulated[0]
    navigators = replace(whole.navigators, kspace=whole.navigators.kspace[:2])
    noise = None if whole.noise is None else whole.noise[:2]
    return replace(whole, kspace=whole.kspace[:2], navigators=navigators, noise=noise)


def sharpness(volume, voxel_size) -> float:
    """Grade by the variation of the image: any number that depends on it will do."""
    return float(np.std(volume) / np.mean(volume))


def config(**keys):
    return load_config(overrides={"threads": 1, "max_iter": 2, "device": "cpu", **keys})


def test_a_part_is_what_was_acquired_until_then(scan):
    beats = np.unique(scan.heartbeat)
    part = first_heartbeats(scan, 0.5)
    used = beats[: round(0.5 * beats.size)]
    n = part.n_spokes
    assert n == np.isin(scan.heartbeat, used).sum()
    assert np.array_equal(part.kspace, scan.kspace[:, :n])
    assert np.array_equal(part.coord, scan.coord[:n])
    assert np.array_equal(part.heartbeat, scan.heartbeat[:n])
    assert part.times.max() < scan.times[n:].min()
    assert set(part.navigators.heartbeat) == set(used)
    assert part.navigators.kspace.shape[1] == used.size
    assert part.geometry is scan.geometry


def test_the_whole_is_the_scan(scan):
    part = first_heartbeats(scan, 1.0)
    assert np.array_equal(part.kspace, scan.kspace)
    assert np.array_equal(part.navigators.times, scan.navigators.times)


def test_heartbeats_count_as_they_come_not_by_their_numbers(scan):
    # numbers that fall: the first heartbeats of the scan stay the first
    turned = replace(
        scan,
        heartbeat=scan.heartbeat.max() - scan.heartbeat,
        navigators=replace(scan.navigators, heartbeat=scan.heartbeat.max() - scan.navigators.heartbeat),
    )
    assert np.array_equal(first_heartbeats(turned, 0.25).times, first_heartbeats(scan, 0.25).times)


def test_at_least_one_heartbeat_is_kept(scan):
    part = first_heartbeats(scan, 1e-6)
    assert np.unique(part.heartbeat).size == 1


def test_a_scan_without_heartbeats_is_cut_by_its_spokes(scan):
    flat = replace(scan, heartbeat=np.zeros_like(scan.heartbeat))
    part = first_heartbeats(flat, 0.5)
    assert part.n_spokes == round(0.5 * scan.n_spokes)
    assert part.navigators.times.max() <= part.times.max()
    assert 0 < part.navigators.times.size < scan.navigators.times.size
    assert first_heartbeats(replace(flat, navigators=None), 0.5).navigators is None


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.01, math.nan])
def test_what_is_no_fraction_is_refused(scan, fraction):
    with pytest.raises(ConfigError, match="fraction"):
        first_heartbeats(scan, fraction)


def test_each_part_is_reconstructed_as_a_scan_of_its_own(scan):
    how = config(phases=1, min_grade=3.0)
    told = []
    parts = list(grades_by_fraction(scan, how, (0.5, 1.0), on_event=told.append, grader=sharpness))
    assert [part.fraction for part in parts] == [0.5, 1.0]
    for part in parts:
        alone = reconstruct(first_heartbeats(scan, part.fraction), config(phases=1), grader=sharpness)
        assert part.grades == tuple(g.grade for g in alone.grades)
        assert part.iterations == alone.iterations
        assert part.spokes == first_heartbeats(scan, part.fraction).n_spokes
        assert part.max_iter == 2
    assert parts[0].heartbeats == round(parts[1].heartbeats / 2)
    assert parts[0].grades != parts[1].grades
    # a rescan is a matter of the whole scan
    assert not [event for event in told if "rescan" in str(event.get("message"))]


def test_a_part_that_shows_no_breathing_says_so_and_the_next_goes_on(scan):
    parts = list(grades_by_fraction(scan, config(phases=2), (0.03, 1.0), grader=sharpness))
    assert parts[0].problem is not None
    assert all(math.isnan(g) for g in parts[0].grades)
    assert math.isnan(parts[0].best)
    assert len(parts[0].rows()) == 2
    assert parts[1].problem is None
    assert parts[1].gating_snr > 1
    assert parts[1].best == max(parts[1].grades)


def test_rows_are_those_of_the_table():
    part = Part(0.5, 17, 160, (2, 2), (1.0, 2.0), (0.1, math.nan), 20, 6.0, 0.9)
    rows = part.rows()
    assert [tuple(row) for row in rows] == [COLUMNS] * 2
    assert [(row["phase"], row["grade"], row["iteration"]) for row in rows] == [(1, 1.0, 2), (2, 2.0, 2)]


def test_the_picture_has_a_curve_a_phase_and_the_grade_asked_for():
    nan = math.nan
    parts = [
        Part(0.25, 8, 80, (), (nan, nan), (nan, nan), 20, problem="no breathing"),
        Part(0.5, 17, 160, (2, 2), (1.0, 2.0), (0.1, 0.1), 20),
        Part(1.0, 34, 320, (3, 3), (1.5, 2.2), (0.1, 0.1), 20),
    ]
    axes = fractions_figure(parts, 2.0).axes[0]
    first, second, least = axes.lines
    assert list(first.get_xdata()) == [0.25, 0.5, 1.0]
    assert np.array_equal(second.get_ydata(), [nan, 2.0, 2.2], equal_nan=True)
    assert first.get_color() != second.get_color()
    assert first.get_marker() != second.get_marker()
    assert set(least.get_ydata()) == {2.0}
    assert axes.get_xlabel() == "of 34 heartbeats"
    assert len(fractions_figure(parts).axes[0].lines) == 2


# ---------------------------------------------------------------- what is typed


def test_percentages_rise_and_the_whole_is_the_run_itself():
    assert fractions_of("75,25,100,25") == (0.25, 0.75)
    assert fractions_of("100") == ()


@pytest.mark.parametrize("text", ["", "half", "0,50", "120", "-5", "25;50", "nan"])
def test_what_is_no_list_of_percentages(text):
    with pytest.raises(ConfigError, match="percentages"):
        fractions_of(text)
