"""Figures of raters among themselves: agreement counts (4a-c), Bland-Altman and variability (E3a-d)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from csiq.agreement import HALVES, bland_altman
from csiq.evaluation.comparison import Comparison
from csiq.evaluation.drawing import (
    BLUE,
    COLUMN,
    GREEN,
    ORANGE,
    PURPLE,
    RED,
    blank,
    counted,
    grade_axis,
    plain,
    styled,
)
from csiq.evaluation.estimating import Estimate, Rater
from csiq.evaluation.paper import AGAIN, MAIN, NETWORK, PAIRS, SECOND, WORDS
from csiq.evaluation.section import Picture, plus_minus, shown, span
from csiq.report.figures import GRID, INK, MUTED

_MARKS = {AGAIN: (GREEN, "s", "--"), SECOND: (PURPLE, "^", "-."), NETWORK: (BLUE, "o", "-")}


def map_picture(
    study: Comparison, letter: str, row: str, column: str, counts: list[Estimate], near: Estimate
) -> Picture:
    """Return a panel of Figure 4: how often two raters, by their roles, gave each pair of grades.

    Parameters
    ----------
    study : Comparison
    letter, row, column : str
    counts : list of Estimate
        81, row by row.
    near : Estimate
        Share within half a grade.
    """
    one, other = study.raters[row], study.raters[column]
    rounded = ", rounded to halves" if column == NETWORK else ""
    data = []
    for (i, j), found in zip(np.ndindex(len(HALVES), len(HALVES)), counts, strict=True):
        cell = {"row": float(HALVES[i]), "column": float(HALVES[j]), "count": int(found.single)}
        data.append({**cell, **_as_cells(found)})
    caption = (
        f"Figure 4{letter}. Counts of {one.label} and {other.label}{rounded}; framed: agreement. "
        f"{_near_sentence(near)} In the paper: {WORDS['4']}"
    )
    alt = f"Map of agreement counts of {one.label} and {other.label}"
    table = np.array([round(found.single) for found in counts]).reshape(len(HALVES), len(HALVES))
    figure = counts_figure(table, one.label, other.label)
    return Picture(f"figure-4{letter}", figure, alt, caption, data, share=3)


def _near_sentence(near: Estimate) -> str:
    interval = f"90 % interval {span(100 * near.low, 100 * near.high, 0)} %"
    if math.isfinite(near.mean):
        interval += f"; over redraws {shown(100 * near.mean, 0)} %"
    if math.isfinite(near.ceiling):
        interval += f", ceiling {shown(100 * near.ceiling, 0)} %"
    return f"{shown(100 * near.single, 0)} % lie within half a grade ({interval})."


def _as_cells(found: Estimate) -> dict[str, float | None]:
    """Return what an estimate adds to a single draw, for a row of a table."""
    drawn = math.isfinite(found.mean)
    return {
        "low": found.low,
        "high": found.high,
        "mean_over_redraws": found.mean if drawn else None,
        "mean_low": found.mean_low if drawn else None,
        "mean_high": found.mean_high if drawn else None,
        "ceiling": found.ceiling if math.isfinite(found.ceiling) else None,
    }


@styled
def counts_figure(counts: np.ndarray, row: str, column: str) -> Figure:
    """Draw how often two raters gave each pair of grades: rows upward, columns to the right."""
    figure = blank(COLUMN, 3.2)
    axes = figure.add_subplot()
    most = max(int(counts.max()), 1)
    axes.imshow(counts, cmap="Blues", vmin=0, vmax=most, origin="lower")
    for i, j in np.argwhere(counts > 0):
        dark = counts[i, j] > 0.55 * most
        axes.text(j, i, str(counts[i, j]), ha="center", va="center", color="white" if dark else INK)
    for i in range(len(HALVES)):
        axes.add_patch(Rectangle((i - 0.5, i - 0.5), 1, 1, fill=False, ec=ORANGE, lw=1.0, zorder=3))
    axes.set_xticks(np.arange(-0.5, 9), minor=True)
    axes.set_yticks(np.arange(-0.5, 9), minor=True)
    axes.grid(which="minor", color=GRID, lw=0.5)
    axes.tick_params(which="minor", length=0)
    names = [f"{grade:g}" for grade in HALVES]
    axes.set_xticks(range(9), names)
    axes.set_yticks(range(9), names)
    axes.set_xlabel(f"grade of {column}")
    axes.set_ylabel(f"grade of {row}")
    return figure


def difference_picture(study: Comparison, letter: str, row: str, column: str, what: str) -> Picture:
    """Return a panel of Figure E3: differences of two raters, by their roles."""
    one, other = study.raters[row], study.raters[column]
    found, paper = bland_altman(one.grades, other.grades), PAIRS["bias"].get((row, column))
    published = plus_minus(paper.value, PAIRS["sd"][row, column].value) if paper else "not given"
    caption = (
        f"Figure E3{letter}. Bland-Altman, {what}: {one.label} minus {other.label}. Line: mean, dashed: "
        f"limits of agreement (± 1.96 SD); the area of a dot grows with the images at that place. "
        f"{plus_minus(found.bias, found.sd)} here, {published} in the paper's Table 2."
    )
    data = [
        {"image": name, "mean": float((a + b) / 2), "difference": float(a - b)}
        for name, a, b in zip(study.cases.volumes, one.grades, other.grades, strict=True)
    ]
    figure = bland_altman_figure(one, other)
    alt = f"Differences of {one.label} and {other.label} against their mean"
    return Picture(f"figure-E3{letter}", figure, alt, caption, data, share=2)


@styled
def bland_altman_figure(row: Rater, column: Rater) -> Figure:
    """Draw differences of two raters against their mean, with bias and limits of agreement."""
    figure = blank(COLUMN, 2.7)
    axes = figure.add_subplot()
    plain(axes)
    found = bland_altman(row.grades, column.grades)
    x, y, n = counted((row.grades + column.grades) / 2, row.grades - column.grades)
    axes.axhline(0, color=GRID, lw=1.0, zorder=1)
    axes.scatter(x, y, s=12 * n, color=BLUE, alpha=0.65, lw=0.4, ec="white", zorder=3)
    grade_axis(axes, f"mean of {row.label} and {column.label}", low=float(x.min()), high=float(x.max()))
    reach = max(float(np.abs(y).max()), abs(found.lower), abs(found.upper), 1.0) * 1.15
    axes.set_ylim(-reach, reach)
    for value, style, name in (
        (found.bias, "-", "mean"),
        (found.upper, "--", "+1.96 SD"),
        (found.lower, "--", "−1.96 SD"),
    ):
        axes.axhline(value, color=RED, lw=1.1, ls=style, zorder=2)
        text = f"{name}  {shown(value)}"
        axes.annotate(
            text,
            (1, value),
            (0, 2),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            va="bottom",
            color=RED,
            fontsize=7,
            zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8},
        )
    axes.set_ylabel(f"{row.label} − {column.label}")
    return figure


def variability_picture(study: Comparison) -> Picture:
    """Return Figure E3d."""
    data: list[dict[str, Any]] = []
    for role, found in study.variability.items():
        estimates = study.variability_estimates[role]
        for i, grade in enumerate(HALVES):
            row = {"rater": study.raters[role].label, "grade": float(grade), "n": int(found.n[i])}
            row |= {"mean_absolute_difference": float(found.mean[i]), "sd": float(found.sd[i])}
            data.append({**row, **_as_cells(estimates[i]), "mean_difference": float(found.bias[i])})
    label = study.raters[MAIN].label
    caption = (
        f"Figure E3d. Mean absolute difference from {label} for each grade of {label}: of the second "
        "reading, of the other observer, and of the network, as far as there are such. Upright lines: 90 % "
        "interval of the network's. Above: images of each grade."
    )
    alt = f"Mean absolute difference from {label} for each grade"
    return Picture("figure-E3d", variability_figure(study), alt, caption, data, share=2)


@styled
def variability_figure(study: Comparison) -> Figure:
    """Draw mean absolute differences from the main reader for each of that reader's grades."""
    figure = blank(COLUMN, 2.7)
    axes = figure.add_subplot()
    plain(axes)
    grade_axis(axes, f"grade of {study.raters[MAIN].label}")
    top = 0.0
    for role, found in study.variability.items():
        colour, mark, line = _MARKS[role]
        here = np.isfinite(found.mean)
        label = study.raters[role].label
        axes.plot(found.grade[here], found.mean[here], line, color=colour, marker=mark, ms=4, label=label)
        top = max(top, float(found.mean[here].max(initial=0)))
    top = max(top, _intervals(axes, study))
    _counts_above(axes, study, top)
    axes.set_ylabel("mean absolute difference (grades)")
    figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2, handlelength=2.2)
    return figure


def _intervals(axes: Axes, study: Comparison) -> float:
    """Draw the intervals of the network's differences; return where the highest ends."""
    found = [
        (grade, one.low, one.high)
        for grade, one in zip(HALVES, study.variability_estimates[NETWORK], strict=True)
        if math.isfinite(one.high)
    ]
    for grade, low, high in found:
        axes.vlines(grade, low, high, color=_MARKS[NETWORK][0], alpha=0.35, lw=2.0, zorder=1.5)
    return max((high for _, _, high in found), default=0.0)


def _counts_above(axes: Axes, study: Comparison, top: float) -> None:
    axes.set_ylim(0, 1.22 * top if top > 0 else 1)
    found = study.variability[NETWORK]
    for grade, n in zip(found.grade, found.n, strict=True):
        if n:
            axes.text(grade, 1.19 * top, f"{n}", ha="center", va="top", fontsize=6.5, color=MUTED)
