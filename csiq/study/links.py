"""How the final grade goes with that of the gridded and of the self-navigated image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from csiq.agreement import bootstrap_interval, linear_fit, pearson_r2
from csiq.evaluation.drawing import BLUE, COLUMN, ORANGE, blank, grade_axis, plain, styled
from csiq.evaluation.section import Picture, Section, Table, shown, span
from csiq.study.compared import Compared, differences
from csiq.study.curves import Curves
from csiq.study.material import Material
from csiq.study.published import R2_GRIDDED, R2_SELFNAV, PaperSpread
from csiq.study.spread import LEVEL, Spread, spread


@dataclass(frozen=True)
class Link:
    """The squared correlation of two grades over scans, with a 90 % interval; nan of fewer than three."""

    n: int
    r2: float
    low: float
    high: float


def link(x: np.ndarray, y: np.ndarray) -> Link:
    """Return how two columns (n_scans,) go together, scans with a missing value left out."""
    both = np.isfinite(x) & np.isfinite(y)
    n = int(both.sum())
    if n < 3:
        return Link(n, *[float("nan")] * 3)
    low, high = bootstrap_interval(pearson_r2, x[both], y[both], level=LEVEL)
    return Link(n, float(pearson_r2(x[both], y[both])), low, high)


def links(curves: Curves) -> dict[str, Link]:
    """Return the correlations of the best final grade.

    Returns
    -------
    dict of str to Link
        ``gridded``: with the best gridded phase. ``gridded_same``: with the gridded image of the phase that
        is best in the end. ``selfnav``: with the self-navigated image.
    """
    final, first = curves.grade[:, -1], curves.grade[:, 0]
    best = _row_max(final)
    pairs = zip(first, final, strict=True)
    same = np.array([row[int(np.argmax(end))] if np.isfinite(end).all() else np.nan for row, end in pairs])
    return {
        "gridded": link(_row_max(first), best),
        "gridded_same": link(same, best),
        "selfnav": link(curves.selfnav, best),
    }


def _row_max(values: np.ndarray) -> np.ndarray:
    return np.array([row.max() if np.isfinite(row).all() else np.nan for row in values])


def section(study: Material) -> Section:
    """Return the part on gridded and self-navigated images."""
    found = {solver: links(curves) for solver, curves in study.test.items()}
    compared = [row for solver in study.solvers for row in _compared(study, solver, found[solver])]
    items: list[Table | Picture] = [_table(study, found)]
    items += [_picture(study, solver) for solver in study.solvers]
    sentence = (
        "R² is the squared Pearson correlation over scans of the best grade of the last iteration with "
        "that of the gridded phases (iteration 0) and of the self-navigated image of the same scan: all "
        "spokes gridded, the heart's head-foot motion taken out."
    )
    return Section(
        "Final, gridded and self-navigated", (sentence,), items, differences(compared), found, "links"
    )


_ROWS: tuple[tuple[str, str, PaperSpread | None], ...] = (
    ("gridded", "best gridded phase", R2_GRIDDED),
    ("gridded_same", "gridded image of the phase that ends best", None),
    ("selfnav", "self-navigated image", R2_SELFNAV),
)


def _compared(study: Material, solver: str, found: dict[str, Link]) -> list[Compared]:
    rows = []
    spread_of = spread_words(study.test[solver])
    for key, what, paper in _ROWS:
        one = found[key]
        as_spread = Spread(one.n, one.r2, float("nan"), float("nan"), float("nan"), one.low, one.high)
        rows.append(
            Compared(
                f"R² of the final grade with the {what}, {study.label(solver)}",
                as_spread,
                None,
                paper,
                spread_of,
                2,
            )
        )
    return rows


def spread_words(curves: Curves) -> str:
    """Say how far grades spread, which a squared correlation hangs on."""
    first, last = _row_max(curves.grade[:, 0]), _row_max(curves.grade[:, -1])
    sds = [shown(spread(values, interval=False).sd) for values in (first, last)]
    return (
        f"R² hangs on how far the scans spread: SD {sds[0]} of the best gridded and {sds[1]} of the best "
        "final grade here."
    )


def _table(study: Material, found: dict[str, dict[str, Link]]) -> Table:
    body, data = [], []
    for key, what, paper in _ROWS:
        cells, row = [what], {"with": key}
        for solver in study.solvers:
            one = found[solver][key]
            cells.append(f"{shown(one.r2)}\n{span(one.low, one.high)}, n = {one.n}")
            row |= {f"{solver}_{name}": value for name, value in vars(one).items()}
        body.append((*cells, shown(paper.mean) if paper else "–"))
        data.append({**row, "paper": paper.mean if paper else float("nan")})
    head = ("R² of the best final grade with", *(study.label(s) for s in study.solvers), "paper")
    return Table("links", "Squared correlations over scans, 90 % intervals below", head, body, data)


def _picture(study: Material, solver: str) -> Picture:
    curves = study.test[solver]
    best, gridded = _row_max(curves.grade[:, -1]), _row_max(curves.grade[:, 0])
    data: list[dict[str, Any]] = [
        {"scan": name, "final": float(f), "gridded": float(g), "selfnav": float(s)}
        for name, f, g, s in zip(curves.scans, best, gridded, curves.selfnav, strict=True)
    ]
    caption = (
        "Best final grade against the best gridded (blue) and the self-navigated one (orange): "
        f"{study.label(solver)}."
    )
    alt = "Scatter plot of final against gridded and self-navigated grade"
    return Picture(f"links-{solver}", _figure(best, gridded, curves.selfnav), alt, caption, data, share=2)


@styled
def _figure(best: np.ndarray, gridded: np.ndarray, selfnav: np.ndarray) -> Figure:
    figure = blank(COLUMN, 3.0)
    axes = figure.add_subplot()
    plain(axes)
    grade_axis(axes, "grade of the gridded or self-navigated image")
    grade_axis(axes, "best grade of the last iteration", along="y")
    for x, colour, label in ((gridded, BLUE, "gridded"), (selfnav, ORANGE, "self-navigated")):
        both = np.isfinite(x) & np.isfinite(best)
        axes.scatter(x[both], best[both], s=13, color=colour, alpha=0.75, lw=0.3, ec="white", label=label)
        if both.sum() > 2 and np.ptp(x[both]) > 0:
            line = linear_fit(x[both], best[both])
            ends = np.array([x[both].min(), x[both].max()])
            axes.plot(ends, line.slope * ends + line.intercept, color=colour, lw=1.3)
    axes.legend(loc="lower right")
    return figure
