"""Grade against the acquired part of the scan: would less data have done, or more helped."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from csiq.errors import RawDataError
from csiq.report import svg
from csiq.report.facts import number
from csiq.report.record import Record


def acquired_of(record: Record) -> dict[str, Any] | None:
    """Return what the page shows of ``fractions.tsv``; None without one.

    Raises
    ------
    RawDataError
        If it is damaged.
    """
    from csiq.io.tables import read_table

    path = record.folder / "fractions.tsv"
    if not path.is_file():
        return None
    try:
        parts = _parts(read_table(path))
    except (KeyError, TypeError, ValueError) as error:
        raise RawDataError(f"no table of fractions: {error}", file=path) from None
    if not parts:
        return None
    phases = sorted({phase for part in parts.values() for phase in part["grades"]})
    return {
        "wide": _chart(parts, phases, svg.WIDE),
        "narrow": _chart(parts, phases, svg.NARROW),
        "phases": phases,
        "rows": [
            [
                f"{100 * fraction:g}\u00a0%",
                str(part["heartbeats"]),
                str(part["spokes"]),
                *(number(part["grades"].get(phase)) for phase in phases),
            ]
            for fraction, part in parts.items()
        ],
    }


def _parts(rows: list[dict[str, Any]]) -> dict[float, dict[str, Any]]:
    parts: dict[float, dict[str, Any]] = {}
    for row in rows:
        fraction = float(row["fraction"])
        new = {"heartbeats": int(row["heartbeats"]), "spokes": int(row["spokes"]), "grades": {}}
        part = parts.setdefault(fraction, new)
        part["grades"][int(row["phase"])] = float(row["grade"])
    return dict(sorted(parts.items()))


def _chart(parts: Mapping[float, Mapping[str, Any]], phases: list[int], width: int) -> Markup:
    known = [g for part in parts.values() for g in part["grades"].values() if math.isfinite(g)]
    axes = svg.Axes(34, 10, width - 34 - 20, 190, (0.0, 1.03), (min(0.0, *known, 0.0), max(4.0, *known, 4.0)))
    parts_of_it = [*_frame(axes, parts)]
    for phase in phases:
        points = [(axes.at_x(f), axes.at_y(p["grades"].get(phase, math.nan))) for f, p in parts.items()]
        marks = [svg.marker(x, y, phase, class_="mark") for x, y in points if math.isfinite(y)]
        group = [svg.curve(points, class_="grade"), *marks]
        parts_of_it.append(svg.element("g", *group, class_=f"curve {svg.colour(phase)}"))
    kind = "chart wide" if width == svg.WIDE else "chart narrow"
    label = "Grade of each phase against the acquired part of the scan; numbers in the table below"
    return svg.drawing((width, axes.bottom + 40), label, *parts_of_it, class_=kind)


def _frame(axes: svg.Axes, parts: Mapping[float, Any]) -> Iterator[Markup]:
    for tick in svg.ticks(*axes.y, 5):
        y = axes.at_y(tick)
        yield svg.line((axes.left, y), (axes.right, y), class_="grid")
        yield svg.text(axes.left - 6, y + 4, f"{tick:g}", text_anchor="end")
    for fraction in parts:
        yield svg.text(axes.at_x(fraction), axes.bottom + 18, f"{100 * fraction:g} %", text_anchor="middle")
    yield svg.line((axes.left, axes.bottom), (axes.right, axes.bottom), class_="axis")
    middle = (axes.left + axes.right) / 2
    words = "acquired part of the heartbeats"
    yield svg.text(middle, axes.bottom + 36, words, text_anchor="middle", class_="title")
    place = f"translate(10 {(axes.top + axes.bottom) / 2:g}) rotate(-90)"
    yield svg.text(0, 0, "grade", text_anchor="middle", class_="title", transform=place)
