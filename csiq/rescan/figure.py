"""Grade against the acquired part, as a picture that says whether the rest of the scan is worth its time."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from csiq.rescan.fractions import Part

#: Okabe and Ito, told apart with every common colour blindness; every phase has its own marker, too.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_INK, _MUTED, _GRID = "#1b1f24", "#5b6570", "#e3e6ea"


def fractions_figure(parts: Sequence[Part], min_grade: float | None = None, title: str = "") -> Figure:
    """Draw the grade of each phase against the share of the heartbeats.

    Parameters
    ----------
    parts : sequence of Part
        A part without an image leaves a gap.
    min_grade : float, optional
        Least grade that was asked for, a dashed line.
    title : str
    """
    figure = Figure(figsize=(5.2, 3.6), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    shares = [part.fraction for part in parts]
    for phase in range(max((len(part.grades) for part in parts), default=0)):
        grades = [part.grades[phase] for part in parts]
        colour, marker = _COLOURS[phase % len(_COLOURS)], _MARKERS[phase % len(_MARKERS)]
        axes.plot(shares, grades, color=colour, marker=marker, ms=6, lw=1.8, label=f"phase {phase + 1}")
    if min_grade is not None:
        label = f"asked for: {min_grade:g}"
        axes.axhline(min_grade, color=_MUTED, ls=(0, (5, 3)), lw=1.4, zorder=1, label=label)
    _dress(axes, parts)
    axes.set_title(title, fontsize=10, color=_INK, loc="left")
    figure.legend(loc="outside lower center", ncols=5, frameon=False, fontsize=8.5)
    return figure


def _dress(axes: Axes, parts: Sequence[Part]) -> None:
    axes.set_xlim(0, 1.04)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xticks([part.fraction for part in parts])
    axes.set_xlabel(f"of {parts[-1].heartbeats} heartbeats" if parts else "heartbeats")
    axes.set_ylim(-0.08, 4.08)
    axes.set_yticks(range(5))
    axes.set_ylabel("grade (0 nondiagnostic, 4 excellent)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_MUTED)
    axes.tick_params(colors=_MUTED, labelcolor=_INK)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
