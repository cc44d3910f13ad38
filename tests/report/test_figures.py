"""curves.png: what is drawn where, and that nothing global is touched."""

from __future__ import annotations

import io
import math
import subprocess
import sys

import pytest

from csiq.history import History
from csiq.report.figures import COLOURS, Marks, curves_figure, save
from tests.report.fake_run import history


def bytes_of(figure, kind: str = "png") -> bytes:
    buffer = io.BytesIO()
    save(figure, buffer, kind)
    return buffer.getvalue()


def lines_of(axes) -> dict[str, object]:
    return {line.get_label(): line for line in axes.get_lines()}


# ---------------------------------------------------------------- curves


def test_curves_show_each_phase_on_the_readers_scale():
    made = history(4)
    figure = curves_figure(made, Marks(plateau=8, returned=(7, 7, 7, 7)))
    grades, cost = figure.axes
    assert grades.get_ylim() == (-0.08, 4.08)
    for phase in (1, 2, 3, 4):
        line = lines_of(grades)[f"phase {phase}"]
        assert list(line.get_ydata()) == [step.grades[phase - 1] for step in made.steps]
        assert line.get_color() == COLOURS[phase - 1]
    black = cost.get_lines()[0]
    assert black.get_color() == "black"
    assert list(black.get_ydata()) == [step.cost for step in made.steps]
    assert list(lines_of(grades)["plateau: 8"].get_xdata()) == [8, 8]
    rings = [line for line in grades.get_lines() if line.get_markersize() == 11]
    assert [(r.get_xdata()[0], r.get_ydata()[0]) for r in rings] == [(7, g) for g in made.steps[7].grades]


def test_curves_of_a_shadow_run_say_that_it_went_on():
    figure = curves_figure(history(2, n_iterations=12), Marks(plateau=8, returned=(12, 12), stopped=False))
    assert "plateau (run went on): 8" in lines_of(figure.axes[0])


def test_grades_outside_the_scale_are_seen():
    figure = curves_figure(history(1, final=(5.0,)), Marks())
    assert figure.axes[0].get_ylim()[1] > 4.9


@pytest.mark.parametrize("n_iterations", [0, 1])
def test_short_and_ungraded_histories_are_drawn(n_iterations):
    made = history(2, n_iterations=n_iterations)
    assert bytes_of(curves_figure(made, Marks())).startswith(b"\x89PNG")
    blank = History([type(s)(**{**vars(s), "grades": (math.nan,) * 2}) for s in made.steps])
    figure = curves_figure(blank, Marks())
    assert figure.axes[0].get_ylabel() == "not graded"
    assert bytes_of(figure)


def test_figures_leave_pyplot_alone_and_are_equal_each_time():
    code = (
        "import sys, io\n"
        "from csiq.report.figures import curves_figure, Marks, save\n"
        "from tests.report.fake_run import history\n"
        "save(curves_figure(history(2), Marks()), io.BytesIO(), 'png')\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr
    twice = [bytes_of(curves_figure(history(2), Marks()), kind) for kind in ("svg", "svg")]
    assert twice[0] == twice[1]
