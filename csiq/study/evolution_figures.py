"""Figure 6 drawn: two scans, and mean and SD over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from csiq.evaluation.drawing import COLUMN, blank, grade_axis, plain, styled
from csiq.evaluation.section import Picture
from csiq.report.figures import MUTED, Marks, curves_figure, style
from csiq.stopping import GradePlateau, stop_iteration
from csiq.study.curves import Curves
from csiq.study.material import Material

_WHICH = ("the scan of median improvement", "the scan whose phases differ most at the end")


def picture_of_scan(study: Material, solver: str, which: int) -> Picture:
    """Return Figure 6 of one scan: 0 is that of median improvement, 1 that of most different phases."""
    from csiq.study.evolution import shown_scans

    # the same two scans for all solvers
    name = study.main.scans[shown_scans(study.main)[which]]
    curves = study.test[solver]
    chosen = f", with {study.label(study.main.solver)}" if curves is not study.main else ""
    title = f"Figure 6{'ab'[which]}. {study.label(solver)}: {name}, {_WHICH[which]}{chosen}."
    file = f"figure-6{'ab'[which]}-{solver}"
    if name not in curves.scans:
        return Picture(file, _empty(), f"{name} is not finished", f"{title} It is not finished.", [], share=2)
    history = curves.histories[curves.scans.index(name)]
    caption = (
        f"{title} Grade of each phase (colour, left) and cost (black, right, scaled to fit); dashed: where "
        "csiq's default rule would have stopped. Simulated scan."
    )
    alt = f"Grade of four phases and cost against iteration, {name}, {study.label(solver)}"
    return Picture(file, _of_scan(history), alt, caption, history.rows(), share=2)


@styled
def _of_scan(history: Any) -> Figure:
    marks = Marks(plateau=stop_iteration(history, GradePlateau()))
    return curves_figure(history, marks, (COLUMN, 3.1))


@styled
def _empty() -> Figure:
    return blank(COLUMN, 1.0)


def picture_of_mean(study: Material, solver: str) -> Picture:
    """Return mean and SD of the grade of each phase over all scans, with the mean scaled cost."""
    curves = study.test[solver]
    caption = (
        f"Mean ± SD over {len(curves)} scans, {study.label(solver)}: grades by the network (lines with "
        "bands), reference quality (dotted), cost over that of iteration 0 (black, right)."
    )
    alt = f"Mean grade of four phases against iteration over all scans, {study.label(solver)}"
    return Picture(f"figure-6-mean-{solver}", _mean_figure(curves), alt, caption, _rows(curves), share=2)


def _rows(curves: Curves) -> list[dict[str, float]]:
    rows = []
    for k in range(curves.last + 1):
        for p in range(curves.n_phases):
            row: dict[str, float] = {"iteration": k, "phase": p + 1}
            for name in ("grade", "reference", "nrmse"):
                mean, sd = _mean_sd(curves.images[name][:, k, p])
                row |= {f"{name}_mean": mean, f"{name}_sd": sd}
            row["cost_mean"], row["cost_sd"] = _mean_sd(_scaled_cost(curves)[:, k])
            rows.append(row)
    return rows


def _mean_sd(values: np.ndarray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    sd = float(known.std(ddof=1)) if known.size > 1 else float("nan")
    return (float(known.mean()) if known.size else float("nan")), sd


def _scaled_cost(curves: Curves) -> np.ndarray:
    cost = curves.joint["cost"]
    return np.asarray(cost / cost[:, :1])


@styled
def _mean_figure(curves: Curves) -> Figure:
    figure = blank(COLUMN, 3.1)
    axes = figure.add_subplot()
    plain(axes)
    right = axes.twinx()
    right.spines[["top", "left"]].set_visible(False)
    right.tick_params(colors=MUTED)
    iterations = np.arange(curves.last + 1)
    costs = [_mean_sd(column)[0] for column in _scaled_cost(curves).T]
    right.plot(iterations, costs, color="black", lw=1.3, label="cost")
    right.set_ylabel("cost over that of iteration 0")
    axes.set_zorder(right.get_zorder() + 1)
    axes.patch.set_visible(False)
    axes.grid(visible=False)  # it would cross the cost, which lies behind
    for p in range(curves.n_phases):
        colour, marker = style(p + 1)
        mean, sd = _columns(curves.grade[:, :, p])
        axes.plot(iterations, mean, color=colour, marker=marker, ms=2.8, label=f"phase {p + 1}", zorder=3)
        axes.fill_between(iterations, mean - sd, mean + sd, color=colour, alpha=0.10, lw=0)
        axes.plot(iterations, _columns(curves.reference[:, :, p])[0], color=colour, ls=":", lw=1.1, zorder=2)
    grade_axis(axes, "grade (0 nondiagnostic, 4 excellent)", along="y")
    axes.set_xlabel("iteration (0: gridded image)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(-0.6, curves.last + 0.6)
    figure.legend(loc="outside upper left", ncols=3, fontsize=7)
    return figure


def _columns(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pairs: Sequence[tuple[float, float]] = [_mean_sd(column) for column in values.T]
    means, sds = (np.array(column) for column in zip(*pairs, strict=True))
    return means, np.nan_to_num(sds)
