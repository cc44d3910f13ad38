"""Charts of the page: every number where it belongs, every word escaped."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from csiq.history import History
from csiq.ranking import rank_numbers
from csiq.report import svg
from csiq.report.breathing import Breathing
from csiq.report.charts import breathing_chart, patch_chart, ranking_chart
from csiq.report.curves import RuleRow, curves_chart
from csiq.report.figures import Marks
from tests.report.drawn import Drawn, number, points
from tests.report.fake_run import breathing_rows, history

WIDTHS = (svg.WIDE, svg.NARROW)


def chart(
    made: History, marks: Marks | None = None, rules: tuple[RuleRow, ...] = (), width=svg.WIDE
) -> Drawn:
    return Drawn.of(curves_chart(made, marks or Marks(), rules, width))


# ---------------------------------------------------------------- parts


def test_whatever_is_written_into_a_chart_is_escaped():
    evil = '"><script>alert(1)</script>'
    drawn = svg.drawing((10, 10), evil, svg.text(0, 0, evil, class_=evil))
    assert "<script" not in drawn
    tree = Drawn.of(drawn)
    assert tree.root.get("aria-label") == evil
    assert tree.words == [evil]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 4, [0, 1, 2, 3, 4]),
        (-0.3, 0.7, [-0.2, 0, 0.2, 0.4, 0.6]),
        (1.2e9, 1.45e9, [1.2e9, 1.25e9, 1.3e9, 1.35e9, 1.4e9, 1.45e9]),
        (3.0, 3.0, [3.0]),
        (0, math.inf, [0]),
    ],
)
def test_ticks_are_round_and_inside(low, high, expected):
    assert svg.ticks(low, high, 5) == pytest.approx(expected)


def test_whole_ticks_do_not_crowd():
    assert svg.whole_ticks(12, 20) == list(range(13))
    assert svg.whole_ticks(20, 8) == [0, 5, 10, 15, 20]
    assert svg.whole_ticks(1, 8) == [0, 1]


def test_a_curve_is_broken_where_there_is_no_number():
    path = svg.curve([(0, 0), (1, 1), (2, math.nan), (3, 3)])
    assert 'd="M0 0L1 1M3 3"' in path


# ---------------------------------------------------------------- curves


@pytest.mark.parametrize("width", WIDTHS)
def test_grades_and_cost_lie_where_their_axes_say(width):
    made = history(4)
    drawn = chart(made, Marks(plateau=8, returned=(7,) * 4), width=width)
    step, left = number(drawn.root, "data-step"), number(drawn.root, "data-left")
    ticks = {t.text: number(t, "y") - 4 for t in drawn.all("text") if t.get("text-anchor") == "end"}
    zero, four = ticks["0"], ticks["4"]
    for phase in range(4):
        group = next(g for g in drawn.all("g", "curve") if g.get("data-phase") == str(phase + 1))
        path = next(e for e in group if e.get("class") == "grade")
        for k, (x, y) in enumerate(points(path)):
            assert x == pytest.approx(left + k * step, abs=0.08)  # both are rounded to 0.01 px
            grade = made.steps[k].grades[phase]
            assert y == pytest.approx(zero + (four - zero) * grade / 4, abs=0.02)
        ring = next(e for e in group if e.get("class") == "ring")
        assert number(ring, "cx") == pytest.approx(left + 7 * step, abs=0.08)
    cost = [y for _, y in points(drawn.one("path", "cost"))]
    assert cost == sorted(cost)  # falls: further down each time
    assert number(drawn.one("line", "plateau"), "x1") == pytest.approx(left + 8 * step, abs=0.08)


def test_every_rule_has_its_letter_where_it_stops():
    rules = (
        RuleRow("rule_a", "a", "first", 5, 2.0, True),
        RuleRow("rule_b", "b", "second", 5, 2.0, False),
        RuleRow("rule_c", "c", "third", 3, 1.5, False),
        RuleRow("rule_d", "d", "never", None, math.nan, False),
        RuleRow("rule_e", "e", "later than was computed", 40, math.nan, False),
    )
    drawn = chart(history(2), rules=rules)
    left, step = number(drawn.root, "data-left"), number(drawn.root, "data-step")
    flags = {
        g.findtext("text"): (number(g.find("text"), "x"), number(g.find("text"), "y"))
        for g in drawn.all("g", "flag")
    }
    assert set(flags) == {"a", "b", "c"}
    assert flags["a"][0] == flags["b"][0] == pytest.approx(left + 5 * step, abs=0.08)
    assert flags["a"][1] - flags["b"][1] >= 16  # stacked, not one over the other
    assert [g.findtext("text") for g in drawn.all("g", "own")] == ["a"]
    assert min(y for _, y in flags.values()) > 12  # inside the drawing


@pytest.mark.parametrize("n_iterations", [0, 1])
def test_short_and_ungraded_histories_are_drawn(n_iterations):
    made = history(2, n_iterations=n_iterations)
    assert len(chart(made).all("path", "cost")) == 1
    blank = History([type(s)(**{**vars(s), "grades": (math.nan,) * 2}) for s in made.steps])
    drawn = chart(blank, Marks(returned=(0, 0)))
    assert "not graded" in drawn.words
    assert not drawn.all("path", "mark")
    assert not drawn.all("circle")


def test_grades_outside_the_scale_are_inside_the_plot():
    drawn = chart(history(1, final=(5.0,)))
    ys = [y for _, y in points(drawn.one("path", "grade"))]
    assert min(ys) >= 12


def test_a_cost_that_does_not_change_or_is_none_is_drawn():
    made = history(1, n_iterations=3)
    flat = History([type(s)(**{**vars(s), "cost": 7.0}) for s in made.steps])
    assert len({y for _, y in points(chart(flat).one("path", "cost"))}) == 1
    none = History([type(s)(**{**vars(s), "cost": math.nan}) for s in made.steps])
    assert not chart(none).all("path", "cost")


# ---------------------------------------------------------------- ranking


def test_ranking_shades_what_cannot_be_told_from_the_best():
    drawn = Drawn.of(ranking_chart(rank_numbers([1.0, 2.0, 1.9], [0.1] * 3), [0.05] * 3, svg.WIDE))
    grid = [number(e, "x1") for e in drawn.all("line", "grid")]
    per_grade = grid[1] - grid[0]
    span = drawn.one("rect", "alike")
    assert number(span, "x") == pytest.approx(grid[0] + 1.75 * per_grade, abs=0.05)
    assert number(span, "width") == pytest.approx(0.25 * per_grade, abs=0.05)
    bars = drawn.all("line", "error")
    assert number(bars[0], "x2") - number(bars[0], "x1") == pytest.approx(0.1 * per_grade, abs=0.05)


def test_a_phase_without_a_grade_has_its_name_only():
    drawn = Drawn.of(ranking_chart(rank_numbers([math.nan, 2.0], [math.nan, 0.1]), [0.0, 0.1], svg.NARROW))
    assert [w for w in drawn.words if w.startswith("phase")] == ["phase 1", "phase 2"]
    assert len(drawn.all("path", "mark")) == 1


# ---------------------------------------------------------------- breathing


def made_breathing(n_phases: int = 4) -> Breathing:
    rows = breathing_rows(n_phases)
    return Breathing(*(np.array([row[k] for row in rows]) for k in ("time_s", "signal", "phase")))


def test_bin_edges_lie_between_the_phases():
    breathing = made_breathing()
    assert sum(breathing.counts) == breathing.signal.size
    low, middle, high = breathing.edges
    assert (breathing.signal[breathing.phase == 1] > high).all()
    assert (breathing.signal[breathing.phase == 4] < low).all()
    assert ((breathing.signal > middle) == (breathing.phase <= 2)).all()
    drawn = Drawn.of(breathing_chart(breathing, "displacement", svg.WIDE))
    edges = sorted(number(e, "y1") for e in drawn.all("line", "edge"))
    first, last = (_dots(drawn, p) for p in (0, 3))
    assert max(y for _, y in first) < edges[0]  # phase 1, expiration, is above the highest edge
    assert min(y for _, y in last) > edges[2]


def _dots(drawn: Drawn, colour: int) -> list[tuple[float, float]]:
    return points(next(e for e in drawn.all("path", "dots") if f"p{colour}" in (e.get("class") or "")))


def test_a_heartbeat_is_drawn_once_and_long_scans_are_thinned():
    breathing = made_breathing()
    assert breathing.thinned().signal.size == 234
    wave = np.sin(np.arange(20000) / 30)
    free = Breathing(np.arange(20000) / 100, wave, np.where(wave > 0, 1, 2))
    assert 700 < free.thinned().signal.size <= 1500
    assert len(breathing_chart(free, "signal", svg.WIDE)) < 60_000


def test_the_histogram_counts_every_spoke():
    breathing = made_breathing()
    drawn = Drawn.of(breathing_chart(breathing, "signal", svg.WIDE))
    bars = [e.get("d") or "" for e in drawn.all("path", "bars")]
    wide = sum(float(w) for d in bars for w in re.findall(r"h([\d.]+)v", d))
    edges = np.linspace(breathing.signal.min(), breathing.signal.max(), 41)
    most = np.histogram(breathing.signal, edges)[0].max()
    assert wide * most / round(0.2 * svg.WIDE) == pytest.approx(
        breathing.signal.size, rel=0.01
    )  # 0.05 px a bar


def test_spokes_that_are_not_used_are_grey_and_counted():
    breathing = Breathing(np.arange(4.0), np.array([0.0, 1.0, 2.0, 3.0]), np.array([0, 2, 1, 1]))
    assert breathing.counts == [2, 1]
    assert breathing.edges == [1.5]
    drawn = Drawn.of(breathing_chart(breathing, "signal", svg.NARROW))
    assert len(points(next(e for e in drawn.all("path", "dots") if "none" in (e.get("class") or "")))) == 1


# ---------------------------------------------------------------- patches


def test_patches_are_counted_in_quarters_of_a_grade():
    grades = np.array([1.0, 1.1, 1.24, 1.26, 2.0, np.nan])
    drawn = Drawn.of(patch_chart(grades, 2, 1.32, (0.0, 4.0)))
    tips = [e.findtext("title") for e in drawn.all("rect", "bars")]
    assert tips == [
        "1.00 to 1.25: 3 patches (60 %)",
        "1.25 to 1.50: 1 patches (20 %)",
        "2.00 to 2.25: 1 patches (20 %)",
    ]
    heights = [number(e, "height") for e in drawn.all("rect", "bars")]
    assert heights[0] == pytest.approx(3 * heights[1], abs=0.02)
    mean = number(drawn.one("line", "mean"), "x1")
    assert mean == pytest.approx(8 + 384 * 1.32 / 4, abs=0.02)
    assert "grade 1.32" in drawn.words
