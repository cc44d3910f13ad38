"""How the grades of an image's patches are distributed: six cases, Figure E2."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from csiq.agreement import HALVES
from csiq.evaluation.comparison import Comparison
from csiq.evaluation.drawing import GREEN, PAGE, RED, blank, plain, styled
from csiq.evaluation.paper import AGAIN, MAIN, SECOND, WORDS
from csiq.evaluation.section import Picture, Section

_BIN = 0.1  # grades
_LINES = {MAIN: "-", AGAIN: (0, (5, 2)), SECOND: (0, (1, 1.4))}
_LINE_WORDS = {MAIN: "solid", AGAIN: "dashed", SECOND: "dotted"}


@dataclass(frozen=True)
class Choice:
    """One case of Figure E2: its row, and why it was chosen."""

    row: int
    why: str


def section(study: Comparison) -> Section:
    """Return the part on grades within an image."""
    chosen = choose(study)
    rule = (
        "Cases by rule, each the first of its order that no case before has taken: lowest, highest and "
        "median grade of the network; largest disagreement of the readers; largest error against their "
        "consensus; widest spread of patches."
    )
    caption = (
        "Figure E2. Grades of the patches of six images. Red: their mean, the network's grade. Green: grades "
        f"of the readers ({_names(study)}). In the paper: {WORDS['E2']}"
    )
    alt = "Six histograms of patch grades with the network's and the readers' grades as vertical lines"
    picture = Picture("figure-E2", histograms(study, chosen), alt, caption, _data(study, chosen))
    numbers = {"cases": [{"volume": study.cases.volumes[c.row], "why": c.why} for c in chosen]}
    return Section("Grades within an image", (rule,), [picture], (), numbers, "patch_histograms")


def choose(study: Comparison) -> list[Choice]:
    """Return up to six cases by the rule of the part's first sentence."""
    grades, readers = study.predicted, _readings(study)
    spread = np.ptp(np.nan_to_num(readers, nan=np.nanmean(readers, axis=0)), axis=0)
    error = np.abs(grades - np.nanmean(readers, axis=0))
    within = study.predictions.spread()
    wishes: list[tuple[str, np.ndarray]] = [
        ("lowest grade", grades),
        ("highest grade", -grades),
        ("median grade", np.abs(grades - np.nanmedian(grades))),
        ("readers disagree most", -spread),
        ("largest error", -error),
        ("widest spread", -within),
    ]
    taken: list[Choice] = []
    for why, order in wishes:
        left = [int(i) for i in np.argsort(order, kind="stable") if math.isfinite(order[i])]
        free = next((i for i in left if i not in [c.row for c in taken]), None)
        if free is not None:
            taken.append(Choice(free, why))
    return taken


def _readings(study: Comparison) -> np.ndarray:
    return np.stack([study.raters[role].grades for role in _there(study)])


def _there(study: Comparison) -> list[str]:
    """Return the roles that somebody has: the manifest need not have a second reading."""
    return [role for role in _LINES if role in study.raters]


def _names(study: Comparison) -> str:
    """Return how the line of each reader is drawn, and whose it is."""
    return ", ".join(f"{_LINE_WORDS[role]}: {study.raters[role].label}" for role in _there(study))


def _data(study: Comparison, chosen: list[Choice]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    edges = _edges(study, chosen)
    for case in chosen:
        counts, _ = np.histogram(study.predictions.flat()[case.row], edges)
        readers = {r: float(study.raters[r].grades[case.row]) for r in _there(study)}
        for low, count in zip(edges[:-1], counts, strict=True):
            name, network = study.cases.volumes[case.row], float(study.predicted[case.row])
            about = {"volume": name, "why": case.why, "network": network, **readers}
            rows.append({**about, "from": float(low), "to": float(low + _BIN), "patches": int(count)})
    return rows


def _edges(study: Comparison, chosen: list[Choice]) -> np.ndarray:
    flat = study.predictions.flat()[[case.row for case in chosen]]
    low, high = min(float(np.nanmin(flat)), HALVES[0]), max(float(np.nanmax(flat)), HALVES[-1])
    first, last = math.floor(low / _BIN) - 1, math.ceil(high / _BIN) + 1
    return np.round(np.arange(first, last + 1) * _BIN, 6)


@styled
def histograms(study: Comparison, chosen: list[Choice]) -> Figure:
    """Draw the histograms of patch grades of chosen cases."""
    figure = blank(PAGE, 4.1)
    grid = figure.subplots(2, 3, sharex=True, squeeze=False)
    edges = _edges(study, chosen)
    for number, axes in enumerate(grid.flat):
        if number >= len(chosen):
            axes.set_visible(False)
            continue
        _panel(axes, study, chosen[number], edges)
        if number % 3 == 0:
            axes.set_ylabel("patches")
    for axes in grid[1]:
        axes.set_xlabel("grade")
    _legend(figure, study)
    return figure


def _panel(axes: Axes, study: Comparison, case: Choice, edges: np.ndarray) -> None:
    plain(axes)
    values = study.predictions.flat()[case.row]
    axes.hist(values[np.isfinite(values)], edges.tolist(), color="#b9c6d3", ec="white", lw=0.3)
    drawn: list[float] = []
    for role in _there(study):
        grade = float(study.raters[role].grades[case.row])
        # equal grades would hide each other
        axes.axvline(grade + 0.045 * drawn.count(grade), color=GREEN, lw=1.6, ls=_LINES[role])
        drawn.append(grade)
    axes.axvline(study.predicted[case.row], color=RED, lw=1.8)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xticks(range(5))
    axes.set_title(f"{case.why} ({study.cases.patients[case.row]})", loc="left")


def _legend(figure: Figure, study: Comparison) -> None:
    lines = [Line2D([], [], color=RED, lw=1.8, label="IQ-DCNN, mean of the patches")]
    for role in _there(study):
        lines.append(Line2D([], [], color=GREEN, lw=1.6, ls=_LINES[role], label=study.raters[role].label))
    figure.legend(handles=lines, loc="outside lower center", ncols=4, handlelength=2.6)
