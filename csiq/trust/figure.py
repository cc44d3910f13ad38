"""Grade against level, a line a case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from csiq.evaluation.drawing import BLUE, ORANGE, PAGE, blank, grade_axis, plain, styled
from csiq.io.atomic import atomic_write
from csiq.trust.mechanisms import MECHANISMS
from csiq.trust.record import Rows

_COLUMNS, _HEIGHT = 4, 1.9


@styled
def draw_levels(rows: Rows) -> Figure:
    """Return a panel a mechanism: the grade of each case (blue), the formula's behind it (orange).

    Parameters
    ----------
    rows : list of dict
        As :func:`csiq.trust.ordering.grade_levels` returns them.
    """
    names = list(dict.fromkeys(str(row["mechanism"]) for row in rows))
    columns = min(len(names), _COLUMNS)
    lines = -(-len(names) // columns)
    figure = blank(PAGE, _HEIGHT * lines + 0.2)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(panels, names, strict=False):
        _panel(axes, name, [row for row in rows if row["mechanism"] == name])
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure, atomically."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=200)


def _panel(axes: Any, name: str, rows: Rows) -> None:
    for case in dict.fromkeys(row["case"] for row in rows):
        mine = sorted((r for r in rows if r["case"] == case), key=lambda r: float(r["level"] or 0))
        level = [float(r["level"] or 0) for r in mine]
        for column, colour, weight in (("reference", ORANGE, 0.7), ("grade", BLUE, 1.0)):
            if column in mine[0]:
                values = np.array([np.nan if r[column] is None else float(r[column] or 0) for r in mine])
                axes.plot(level, values, color=colour, linewidth=weight, alpha=0.7)
    plain(axes)
    grade_axis(axes, "grade", along="y")
    axes.set_title(name)
    axes.set_xlabel(MECHANISMS[name].unit if name in MECHANISMS else "level")
