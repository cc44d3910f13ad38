"""Grade against the weight of the penalty, with what the grade cannot see drawn below it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from csiq.history import THRESHOLD, mean
from csiq.ranking.preference import error_from
from csiq.report.figures import COLOURS, INK, MUTED, blank, plain, style
from csiq.tuning.choice import LEAST_DIFFERENCE, Choice
from csiq.tuning.point import Point
from csiq.tuning.sweeping import Sweep

_SHADE = "#eceff2"
#: Width of a number below the axis, as a part of the axis.
_LABEL = 0.07


def tune_figure(sweep: Sweep, choice: Choice) -> Figure:
    """Draw a sweep: grades, how much the phases differ, and, where a truth is known, the error.

    Grey: what could not be chosen. The dashed line is the configuration's own weight, the solid one that
    which is advised. In the blue band no weight is told apart from the best.

    Parameters
    ----------
    sweep : Sweep
    choice : Choice
    """
    panels = [_grades, _differences, *([_errors] if sweep.knows_truth else [])]
    figure = blank((6.6, 1.6 + 2.1 * len(panels)))
    all_axes = figure.subplots(
        len(panels), sharex=True, squeeze=False, height_ratios=[1.5] + [1.0] * (len(panels) - 1)
    )[:, 0]
    for axes, draw in zip(all_axes, panels, strict=True):
        plain(axes)
        axes.set_xscale("log")
        _mark(axes, sweep, choice)
        draw(axes, sweep, choice)
    _lamda_axis(all_axes[-1], sweep, choice)
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper left", ncols=5, frameon=False, fontsize=7.5, columnspacing=1.2
    )
    return figure


def _mark(axes: Axes, sweep: Sweep, choice: Choice) -> None:
    """Shade what could not be chosen; draw the configuration's weight and the advised one."""
    lamdas = sweep.lamdas
    step = (lamdas[-1] / lamdas[0]) ** (1 / max(len(lamdas) - 1, 1)) if len(lamdas) > 1 else 2.0
    axes.set_xlim(lamdas[0] / step**0.6, lamdas[-1] * step**0.6)
    low, high = axes.get_xlim()
    edge, named = math.sqrt(step), "cannot be chosen"
    for start, end in ((low, choice.bounds[0] / edge), (choice.bounds[1] * edge, high)):
        if choice.excluded and end > start * 1.5 * step**0.1:
            axes.axvspan(start, end, color=_SHADE, lw=0, zorder=0, label=named)
            named = "_"
    named = "bounds"
    for bound in choice.bounds:
        axes.axvline(bound, color=MUTED, ls=":", lw=1.1, zorder=1, label=named)
        named = "_"
    same = choice.lamda == sweep.home
    if not same:
        axes.axvline(sweep.home, color=MUTED, ls=(0, (5, 3)), lw=1.4, zorder=1, label=f"own: {sweep.home:g}")
    label = f"advised{', own' if same else ''}: {choice.lamda:g}"
    axes.axvline(choice.lamda, color=INK, lw=1.4, zorder=1, label=label)


def _grades(axes: Axes, sweep: Sweep, choice: Choice) -> None:
    lamdas, means = sweep.lamdas, [point.grade for point in sweep.points]
    for phase in range(1, len(sweep.points[0].grades) + 1):
        colour, marker = style(phase)
        grades = [point.grades[phase - 1] for point in sweep.points]
        axes.plot(
            lamdas, grades, color=colour, marker=marker, ms=3, lw=0.8, alpha=0.75, label=f"phase {phase}"
        )
    axes.errorbar(
        lamdas, means, yerr=_errors_of(sweep.points), color=INK, marker="o", ms=5, lw=1.8, capsize=3,
        label="mean, SD of its error", zorder=4,
    )  # fmt: skip
    best = sweep.at(choice.best).grade
    axes.axhspan(best - THRESHOLD, best, color=COLOURS[5], alpha=0.18, lw=0, label="not told from the best")
    chosen = sweep.at(choice.lamda)
    axes.plot([chosen.lamda], [chosen.grade], "o", ms=12, mfc="none", mec=INK, mew=1.6, zorder=5)
    left_out = [point for point in sweep.points if point.lamda in choice.excluded]
    where = [point.lamda for point in left_out], [point.grade for point in left_out]
    axes.plot(*where, "x", ms=12, mec=COLOURS[1], mew=2, zorder=6)
    everything = [g for point in sweep.points for g in point.grades if math.isfinite(g)]
    middle = (min(everything) + max(everything)) / 2
    half = max(0.6, 0.6 * (max(everything) - min(everything)))
    axes.set_ylim(middle - half, middle + half)
    axes.set_ylabel("grade (0 to 4)")


def _errors_of(points: Sequence[Point]) -> list[float]:
    """Return the SD of each mean grade's error; from the spread over patches where none is calibrated."""
    found = [error_from(p.grade_sd, p.uncertainty, in_domain=None).sd for p in points]
    return [sd if sd is not None else 0.0 for sd in found]


def _differences(axes: Axes, sweep: Sweep, choice: Choice) -> None:
    values = [point.phase_difference for point in sweep.points]
    axes.plot(sweep.lamdas, values, color=COLOURS[2], marker="s", ms=4, lw=1.6)
    least = LEAST_DIFFERENCE * sweep.at(sweep.home).phase_difference
    axes.axhline(least, color=COLOURS[1], ls=":", lw=1.4)
    axes.annotate(
        "below: one image", (0.01, least), xycoords=("axes fraction", "data"), fontsize=7.5,
        color=COLOURS[1], va="bottom",
    )  # fmt: skip
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("relative difference of\nneighbouring phases")


def _errors(axes: Axes, sweep: Sweep, choice: Choice) -> None:
    errors = [mean(point.nrmse) for point in sweep.points]
    axes.plot(sweep.lamdas, errors, color=COLOURS[1], marker="^", ms=4, lw=1.6)
    axes.set_ylabel("NRMSE (truth)", color=COLOURS[1])
    axes.set_ylim(bottom=0)
    qualities = [mean(point.reference) for point in sweep.points]
    if not any(map(math.isfinite, qualities)):
        return
    right = axes.twinx()
    right.spines[["top", "left"]].set_visible(False)
    right.tick_params(colors=MUTED, labelcolor=INK)
    right.plot(sweep.lamdas, qualities, color=COLOURS[0], marker="D", ms=4, lw=1.6)
    right.set_ylabel("reference quality", color=COLOURS[0])


def _lamda_axis(axes: Axes, sweep: Sweep, choice: Choice) -> None:
    axes.set_xticks(sweep.lamdas)
    named = _named(sweep, choice, axes.get_xlim())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}" if value in named else ""))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel("lamda, relative to max|A^H W y|")


def _named(sweep: Sweep, choice: Choice, limits: tuple[float, float]) -> set[float]:
    """Return the weights whose numbers have room below the axis; those that matter come first."""
    width = math.log(limits[1] / limits[0])
    named: set[float] = set()
    for lamda in (choice.lamda, choice.best, sweep.home, *choice.bounds, *sweep.lamdas):
        if all(abs(math.log(lamda / other)) > _LABEL * width for other in named):
            named.add(lamda)
    return named
