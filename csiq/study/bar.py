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
    """

    what: str
    solver: str
    value: float
    asked: str
    met: bool | None
    low: float = math.nan
    high: float = math.nan
    percent: bool = False


def bar(
    what: str,
    solver: str,
    value: float,
    asked: str,
    *,
    met: bool,
    interval: tuple[float, float] = (math.nan, math.nan),
    percent: bool = False,
) -> Bar:
    """Return a bar; one whose value is not known can be neither met nor missed."""
    return Bar(what, solver, value, asked, bool(met) if math.isfinite(value) else None, *interval, percent)


def bars_table(name: str, caption: str, bars: Sequence[Bar], note: str = "") -> Table:
    """Return the table of some bars, a column a solver."""
    solvers = list(dict.fromkeys(one.solver for one in bars))
    by_what: dict[str, dict[str, Bar]] = {}
    for one in bars:
        by_what.setdefault(one.what, {})[one.solver] = one
    body = []
    for what, of in by_what.items():
        asked = next(iter(of.values())).asked
        cells = [cell for s in solvers for cell in (_value(of.get(s)), _word(of.get(s)))]
        body.append((what, asked, *cells))
    head = ("", "asked", *(title for s in solvers for title in (s, "")))
    data = [{**vars(one), "met": None if one.met is None else int(one.met)} for one in bars]
    words = (1, *range(3, 3 + 2 * len(solvers), 2))
    return Table(name, caption, head, body, data, note, words)


def _word(one: Bar | None) -> str:
    if one is None:
        return ""
    return {None: "cannot be\u00a0said", True: "met", False: "not\u00a0met"}[one.met]


def _value(one: Bar | None) -> str:
    if one is None or not math.isfinite(one.value):
        return "–"
    scale, digits, unit = (100, 1, " %") if one.percent else (1, 3, "")
    interval = span(scale * one.low, scale * one.high, digits)
    said = f"{shown(scale * one.value, digits)}{unit}"
    return said if interval == "–" else f"{said}\n{interval}"
