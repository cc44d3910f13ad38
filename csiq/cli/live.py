"""What a running reconstruction shows: a live table on a terminal, plain lines elsewhere, or JSON lines."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import click

from csiq.cli.output import json_line
from csiq.history import THRESHOLD
from csiq.report.verdict import duration

Event = Mapping[str, Any]
_BLOCKS = "▁▂▃▄▅▆▇█"


class Display:
    """Takes the events of a run one by one; the base class shows warnings only.

    Attributes
    ----------
    ends_in_words : bool
        Whether the verdict is to follow once the run has ended.
    """

    ends_in_words = True

    def __call__(self, event: Event) -> None:
        """Show an event, by the method of its name if there is one."""
        method = getattr(self, f"on_{event['event']}", None)
        if method is not None:
            method(event)

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        return None

    def say(self, line: str, *, err: bool = False) -> None:
        """Print a line; a reader that has gone does not end the reconstruction."""
        try:
            click.echo(line, err=err)
            (sys.stderr if err else sys.stdout).flush()
        except BrokenPipeError:
            stream = sys.stderr if err else sys.stdout
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

    def on_warning(self, event: Event) -> None:
        """Warnings are shown whatever the display."""
        self.say(f"csiq: warning: {event['message']}", err=True)


class QuietDisplay(Display):
    """Shows warnings only."""

    ends_in_words = False


class JsonDisplay(Display):
    """One strict JSON object a line; stages are internal and left out."""

    ends_in_words = False

    def __call__(self, event: Event) -> None:
        """Print an event."""
        if event["event"] != "stage":
            self.say(json_line(event))


class LineDisplay(Display):
    """Plain lines without escape codes, for pipes, logs and simple terminals."""

    def __init__(self) -> None:
        self._cost: float | None = None

    def on_start(self, event: Event) -> None:
        """Print what is about to be reconstructed."""
        self.say(start_line(event))

    def on_stage(self, event: Event) -> None:
        """Print a finished stage and its seconds."""
        self.say(f"  {event['stage']:<10} {duration(event['seconds'])}")

    def on_iteration(self, event: Event) -> None:
        """Print cost, its change, and the grades."""
        cost, before = number(event["cost"]), self._cost
        change = f" ({100 * (cost / before - 1):+.2f} %)" if before and math.isfinite(cost) else ""
        self._cost = cost
        grades = [number(g) for g in event.get("grades") or []]
        graded = (
            f"  grade {' '.join(format_grade(g) for g in grades)}" if any(map(math.isfinite, grades)) else ""
        )
        seconds = event.get("seconds")
        took = f"  {duration(seconds)}" if seconds is not None else ""
        self.say(f"iteration {event['iteration']:>3}  cost {cost:.5g}{change}{graded}{took}")


class TableDisplay(Display):
    """A live table: one row a phase with a sparkline, the cost, and the time that is left at most."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._begun = time.monotonic()
        self._first_iteration_at = self._begun
        self._start: Event = {}
        self._stage = "reading"
        self._steps: list[Event] = []
        self._live = Live(get_renderable=self.render, console=Console(), refresh_per_second=4)

    def __enter__(self) -> TableDisplay:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stage = ""
        self._live.__exit__(kind, error, where)

    def on_start(self, event: Event) -> None:
        """Keep what the header says."""
        self._start = event

    def on_stage(self, event: Event) -> None:
        """Keep the last finished stage."""
        self._stage = f"{event['stage']} done in {duration(event['seconds'])}"

    def on_iteration(self, event: Event) -> None:
        """Keep an iteration."""
        if not self._steps:
            self._first_iteration_at = time.monotonic()
        self._steps.append(event)
        self._stage = ""

    def on_warning(self, event: Event) -> None:
        """Print a warning above the table."""
        from rich.markup import escape

        self._live.console.print(f"[yellow]warning:[/] {escape(event['message'])}", highlight=False)

    def on_done(self, event: Event) -> None:
        """Nothing is left to wait for."""
        self._stage = ""

    def render(self) -> Any:
        """Return the picture of this moment."""
        from rich.console import Group
        from rich.text import Text

        parts: list[Any] = [Text(start_line(self._start), style="bold")] if self._start else []
        if self._steps:
            parts += [Text(self._title()), self._table()]
        if self._stage:
            parts.append(Text(f"{self._stage}  {duration(time.monotonic() - self._begun)}", style="dim"))
        return Group(*parts)

    def _table(self) -> Any:
        from rich import box
        from rich.table import Table

        last = self._steps[-1]
        table = Table(box=box.SIMPLE_HEAD)
        for name, justify in (("", "left"), ("now", "right"), ("sd", "right"), ("from iteration 0", "left")):
            table.add_column(name, justify=justify)  # type: ignore[arg-type]
        costs = [number(step["cost"]) for step in self._steps]
        table.add_row("cost", f"{costs[-1]:.4g}", "", sparkline(costs, costs))
        curves = _transposed(self._steps)
        everything = [g for curve in curves for g in curve]
        sds = [number(sd) for sd in last.get("grade_sd") or []] or [math.nan] * len(curves)
        best = max((c[-1] for c in curves if math.isfinite(c[-1])), default=math.nan)
        for phase, (curve, sd) in enumerate(zip(curves, sds, strict=False), start=1):
            style = "bold green" if best - curve[-1] < THRESHOLD else ""
            row = (f"phase {phase}", format_grade(curve[-1]), format_grade(sd), sparkline(curve, everything))
            table.add_row(*row, style=style)
        return table

    def _title(self) -> str:
        done, at_most = self._steps[-1]["iteration"], self._start.get("max_iter")
        of = f" of at most {at_most}" if at_most else ""
        title = f"iteration {done}{of}, {duration(time.monotonic() - self._begun)}"
        if not done or not at_most or at_most <= done:
            return title
        each = (time.monotonic() - self._first_iteration_at) / done
        return f"{title}, at most {duration(each * (at_most - done))} left"


def _transposed(steps: Sequence[Event]) -> list[list[float]]:
    rows = [[number(g) for g in step.get("grades") or []] for step in steps]
    return [list(curve) for curve in zip(*rows, strict=False)]


def sparkline(values: Sequence[float], scale: Sequence[float], width: int = 24) -> str:
    """Return the last ``width`` values as blocks, scaled to the span of ``scale``; a gap for none."""
    known = [v for v in scale if math.isfinite(v)]
    if not known:
        return ""
    low, high = min(known), max(known)
    step = (high - low) or 1.0
    return "".join(
        _BLOCKS[min(int((v - low) / step * len(_BLOCKS)), len(_BLOCKS) - 1)] if math.isfinite(v) else " "
        for v in values[-width:]
    )


def number(value: object) -> float:
    """Return a number of an event; nan for None."""
    return float(value) if isinstance(value, int | float) else math.nan


def format_grade(value: float) -> str:
    """Return a grade with two decimals, a dash where there is none."""
    return f"{value:.2f}" if math.isfinite(value) else "-"


def start_line(event: Event) -> str:
    """Return what is reconstructed, in one line."""
    fraction = event.get("nyquist_fraction")
    parts = [
        f"{event['n_phases']} phase{'s' if event['n_phases'] != 1 else ''}",
        f"{event['n_spokes']} spokes"
        + (f" ({100 * fraction:.0f} % of Nyquist)" if fraction is not None else ""),
        str(event.get("device", "cpu")),
        f"at most {event['max_iter']} iterations" if event.get("max_iter") else "",
        f"going on after iteration {event['resumed_from']}" if event.get("resumed_from") is not None else "",
    ]
    return f"{event.get('name', 'scan')}: {', '.join(filter(None, parts))}"


def plain_terminal() -> bool:
    """Whether output must stay free of escape codes and block characters."""
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "")
    return (
        not sys.stdout.isatty()
        or os.environ.get("TERM") == "dumb"
        or bool(os.environ.get("NO_COLOR"))
        or encoding != "utf8"
    )


def display_for(*, as_json: bool, quiet: bool) -> Display:
    """Return the display that suits where the output goes."""
    if as_json:
        return JsonDisplay()
    if quiet:
        return QuietDisplay()
    return LineDisplay() if plain_terminal() else TableDisplay()
