"""``curves.png`` of a run, and what other figures share: matplotlib without global state.

Colours are those of Okabe and Ito, told apart with every common colour blindness; every curve also has its
own marker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from csiq.history import History

#: One colour and marker a phase, in turn.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
#: More phases than this are not named one by one.
_MANY = 8
INK, MUTED, GRID = "#1b1f24", "#5b6570", "#e3e6ea"


@dataclass(frozen=True)
class Marks:
    """What is marked on the curves.

    Attributes
    ----------
    plateau : int, optional
        Iteration at which the plateau rule fired.
    returned : tuple of int
        Iteration handed out, one a phase; empty while it is not known.
    stopped : bool
        Whether the run stopped at the plateau; False in shadow mode, where it would have.
    """

    plateau: int | None = None
    returned: tuple[int, ...] = ()
    stopped: bool = True


def style(phase: int) -> tuple[str, str]:
    """Return colour and marker of a phase, counted from 1."""
    return COLOURS[(phase - 1) % len(COLOURS)], MARKERS[(phase - 1) % len(MARKERS)]


def blank(size: tuple[float, float]) -> Figure:
    """Return an empty figure of a size in inches."""
    return Figure(figsize=size, layout="constrained", facecolor="white")


def plain(axes: Axes) -> None:
    """Draw two spines and a light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelcolor=INK)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def curves_figure(history: History, marks: Marks, size: tuple[float, float] = (8.4, 4.4)) -> Figure:
    """Plot grade and cost against iteration, as Figure 6 of Piccini et al. 2020.

    Grades in colour, one curve a phase, on the 0-4 scale; the cost in black, scaled to fit, with its own
    axis; the plateau as a vertical line, the returned iteration as rings.

    Parameters
    ----------
    history : History
    marks : Marks
    size : (float, float)
        Inches.
    """
    figure = blank(size)
    axes = figure.add_subplot()
    plain(axes)
    _cost_curve(axes, history)
    iterations = [step.iteration for step in history.steps]
    for phase in range(1, history.n_phases + 1):
        colour, marker = style(phase)
        grades = [step.grades[phase - 1] for step in history.steps]
        label = _label(phase, history) if history.is_graded else None
        axes.plot(iterations, grades, color=colour, marker=marker, ms=4, lw=1.8, label=label, zorder=3)
        if marks.returned:
            at = marks.returned[phase - 1]
            axes.plot([at], [grades[at]], "o", ms=11, mfc="none", mec=colour, mew=1.6, zorder=4)
    _grade_axis(axes, history)
    _mark_plateau(axes, marks)
    axes.set_xlabel("iteration (0: gridded image)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(-0.4, max(len(history) - 1, 1) + 0.4)
    columns = 7 if size[0] > 6 else 3
    figure.legend(loc="outside upper left", ncols=columns, frameon=False, fontsize=8.5, columnspacing=1.4)
    return figure


def _label(phase: int, history: History) -> str | None:
    """Return the entry of a phase in the legend; many phases share one, or no room is left for the curves."""
    if history.n_phases <= _MANY:
        return f"phase {phase}"
    return f"phases 1 to {history.n_phases}" if phase == 1 else None


def _grade_axis(axes: Axes, history: History) -> None:
    grades = [g for step in history.steps for g in step.grades if math.isfinite(g)]
    axes.set_ylim(min(0.0, *grades, 0.0) - 0.08, max(4.0, *grades, 4.0) + 0.08)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("grade (0 nondiagnostic, 4 excellent)" if grades else "not graded")
    if not grades:
        axes.set_yticks([])


def _cost_curve(axes: Axes, history: History) -> None:
    right = axes.twinx()
    right.spines[["top", "left"]].set_visible(False)
    right.spines["right"].set_color(MUTED)
    right.tick_params(colors=MUTED, labelcolor=INK)
    costs = [step.cost for step in history.steps]
    line = right.plot([s.iteration for s in history.steps], costs, color="black", lw=1.6, zorder=2)[0]
    right.set_ylabel("cost")
    right.ticklabel_format(axis="y", scilimits=(-2, 3), useMathText=True)
    line.set_label("cost, scaled to fit")
    # the coloured curves lie above the black one
    axes.set_zorder(right.get_zorder() + 1)
    axes.patch.set_visible(False)


def _mark_plateau(axes: Axes, marks: Marks) -> None:
    if marks.plateau is not None:
        what = "plateau" if marks.stopped else "plateau (run went on)"
        axes.axvline(
            marks.plateau, color=MUTED, ls=(0, (5, 3)), lw=1.4, zorder=1, label=f"{what}: {marks.plateau}"
        )
    if marks.returned:
        at = sorted(set(marks.returned))
        label = f"returned: {', '.join(map(str, at))}"
        axes.plot([], [], "o", ms=9, mfc="none", mec=INK, mew=1.4, label=label)


def save(figure: Figure, target: Any, kind: str) -> None:
    """Write a figure as ``png`` or ``svg`` to a path or open file, undated: equal runs give equal bytes."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "csiq", "svg.fonttype": "path"}):
        metadata: dict[str, Any] = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
        figure.savefig(target, format=kind, dpi=150, metadata=metadata)
