"""What the study is asked to show, and whether it does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from csiq.evaluation.section import Table, shown, span


@dataclass(frozen=True)
class Bar:
    """Something asked; ``met`` is None where it cannot be said.

    Attributes
    ----------
    what : str
    solver : str
    value : float
    asked : str
    met : bool or None
    low, high : float
        90 % bootstrap interval over scans.
    percent : bool
        Whether the value is a share, shown in per cent.
    seconds : bool
        Whether it is in seconds: no more than tenths of them mean anything.
    """

    what: str
    solver: str
    value: float
    asked: str
    met: bool | None
    low: float = math.nan
    high: float = math.nan
    percent: bool = False
    seconds: bool = False


def bar(
    what: str,
    solver: str,
    value: float,
    asked: str,
    *,
    met: bool,
    interval: tuple[float, float] = (math.nan, math.nan),
    percent: bool = False,
    seconds: bool = False,
) -> Bar:
    """Return a bar; one whose value is not known can be neither met nor missed."""
    said = bool(met) if math.isfinite(value) else None
    return Bar(what, solver, value, asked, said, *interval, percent, seconds)


def bars_table(name: str, caption: str, bars: Sequence[Bar], note: str = "") -> Table:
    """Return the table of some bars, a column a solver."""
    solvers = list(dict.fromkeys(one.solver for one in bars))
    by_what: dict[str, dict[str, Bar]] = {}
    for one in bars:
        by_what.setdefault(one.what, {})[one.solver] = one
    body = []
    for what, of in by_what.items():
        asked = next(iter(of.values())).asked
        body.append((what, asked, *(_cell(of.get(s)) for s in solvers)))
    head = ("", "asked", *solvers)
    data = [{**vars(one), "met": None if one.met is None else int(one.met)} for one in bars]
    return Table(name, caption, head, body, data, note, (1,))


def _cell(one: Bar | None) -> str:
    """Return the verdict, and below it the value and its interval: all of a solver in one column."""
    if one is None:
        return "–"
    word = {None: "cannot be said", True: "met", False: "not met"}[one.met].replace(" ", "\u00a0")
    if not math.isfinite(one.value):
        return word
    scale, digits, unit = 1, 3, ""
    if one.percent:
        scale, digits, unit = 100, 1, "\u00a0%"
    elif one.seconds:
        digits, unit = 1, "\u00a0s"
    interval = span(scale * one.low, scale * one.high, digits)
    said = f"{shown(scale * one.value, digits)}{unit}: {word}"
    return said if interval == "–" else f"{said}\n{interval}"
