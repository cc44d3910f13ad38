"""The displays of a running reconstruction."""

from __future__ import annotations

import io
import math
import re
import subprocess
import sys

import pytest
from rich.console import Console

from csiq.cli import live
from csiq.cli.live import LineDisplay, TableDisplay, display_for, plain_terminal, sparkline

START = {"event": "start", "name": "scan.h5", "n_phases": 2, "n_spokes": 900, "device": "cpu", "max_iter": 20}


def iteration(k: int, *grades: float) -> dict:
    return {
        "event": "iteration",
        "iteration": k,
        "cost": 1000.0 / (k + 1),
        "grades": list(grades),
        "grade_sd": [0.3] * len(grades),
        "seconds": 2.0 * k,
    }


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_sparkline_spans_its_scale_and_shows_gaps():
    assert sparkline([0, 1, 2, 3], [0, 3]) == "▁▃▆█"
    assert sparkline([1.0, math.nan, 1.0], [1.0]) == "▁ ▁"
    assert sparkline([math.nan], [math.nan]) == ""
    assert len(sparkline(list(range(100)), [0, 99])) == 24


def picture(display: TableDisplay) -> str:
    console = Console(file=io.StringIO(), width=90, force_terminal=False)
    console.print(display.render())
    return console.file.getvalue()


def test_the_table_shows_each_phase_and_the_time_left():
    display = TableDisplay()
    assert "reading" in picture(display)
    display(START)
    display({"event": "stage", "stage": "gating", "seconds": 2.0})
    assert "gating done in 2.0 s" in picture(display)
    for k, grades in enumerate([(0.3, 0.2), (1.1, 0.8), (1.52, 1.2)]):
        display(iteration(k, *grades))
    shown = picture(display)
    assert "scan.h5: 2 phases, 900 spokes, cpu, at most 20 iterations" in shown
    assert "iteration 2 of at most 20" in shown
    assert "left" in shown
    assert "phase 1" in shown
    assert "1.52" in shown
    assert "█" in shown
    assert "333.3" in shown


def test_the_table_works_without_grades():
    display = TableDisplay()
    display(START)
    display({**iteration(0), "grades": [None, None], "grade_sd": [None, None]})
    assert re.search(r"phase 2 +- +-", picture(display))


def test_a_warning_in_the_table_is_not_markup(monkeypatch):
    terminal = Terminal()
    display = TableDisplay()
    display._live.console.file = terminal
    with display:
        display({"event": "warning", "message": "coil [red]3[/] is dead"})
        display({"event": "done"})
    assert "coil [red]3[/] is dead" in terminal.getvalue()


@pytest.mark.parametrize(("name", "value"), [("TERM", "dumb"), ("NO_COLOR", "1")])
def test_simple_terminals_get_plain_lines(monkeypatch, name, value):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert not plain_terminal()
    assert isinstance(display_for(as_json=False, quiet=False), TableDisplay)
    monkeypatch.setenv(name, value)
    assert plain_terminal()
    assert isinstance(display_for(as_json=False, quiet=False), LineDisplay)


def test_a_terminal_without_utf8_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    terminal.encoding = "ascii"
    monkeypatch.setattr(sys, "stdout", terminal)
    assert plain_terminal()


def test_lines_say_how_the_cost_changed(capsys):
    display = LineDisplay()
    display(iteration(0, 0.3, math.nan))
    display(iteration(1, 1.0, 0.5))
    out = capsys.readouterr().out
    assert "iteration   1  cost 500 (-50.00 %)  grade 1.00 0.50  2.0 s" in out
    assert "grade 0.30 -" in out


def test_a_reader_that_goes_away_does_not_stop_the_reconstruction():
    code = (
        "from csiq.cli.live import LineDisplay\nimport sys\n"
        "display = LineDisplay()\n"
        "for k in range(3000):\n"
        "    display({'event': 'iteration', 'iteration': k, 'cost': 1.0, 'seconds': 1.0})\n"
        "print('went on', file=sys.stderr)"
    )
    script = f'{sys.executable} -c "$0" | head -1 > /dev/null; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", script, code], capture_output=True, text=True, timeout=60)
    assert done.stderr == "went on\n"
    assert done.stdout.strip() == "0"


def test_module_needs_nothing_heavy():
    code = "import csiq.cli.live, sys; print([m for m in ('numpy', 'rich', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"
    assert live.number(None) != live.number(None)
