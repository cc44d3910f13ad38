"""Bland-Altman plots and maps of agreement counts, one panel a pair (Figures E3a-c and 4 of the paper)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from csiq.agreement.columns import paired
from csiq.agreement.differences import bland_altman
from csiq.agreement.kappa import agreement_counts
from csiq.agreement.scale import HALVES
from csiq.report.figures import COLOURS, INK, MUTED, blank, plain

#: Draws the comparison of two readers; names last.
Panel = Callable[[Axes, ArrayLike, ArrayLike, tuple[str, str]], None]
_SIDE = 3.4  # inches of a panel


def draw_bland_altman(axes: Axes, a: ArrayLike, b: ArrayLike, names: tuple[str, str]) -> None:
    """Plot a - b against the mean of both, with bias and limits; the size of a dot tells how often.

    Parameters
    ----------
    axes : Axes
    a, b : float array, (n_patients,)
    names : (str, str)
    """
    plain(axes)
    one, other = paired(a, b)
    there = ~np.isnan(one)
    middle, difference = (one + other)[there] / 2, (one - other)[there]
    points, times = np.unique(np.round(np.stack([middle, difference]), 6), axis=1, return_counts=True)
    axes.scatter(points[0], points[1], s=14 * times, color=COLOURS[0], alpha=0.6, lw=0, zorder=3)
    limits = bland_altman(one, other)
    axes.axhline(0, color=MUTED, lw=0.8)
    for value, style in ((limits.bias, "-"), (limits.lower, "--"), (limits.upper, "--")):
        if not math.isnan(value):
            axes.axhline(value, color=COLOURS[1], lw=1.4, ls=style, zorder=2)
    axes.set_title(f"{limits.bias:z.2f} ± {limits.sd:.2f}, n = {limits.n}", fontsize=9, color=INK)
    axes.set_xlabel(f"mean of {names[0]} and {names[1]}", fontsize=8)
    axes.set_ylabel(f"{names[0]} - {names[1]}", fontsize=8)
    reach = max(2.0, *np.abs(difference).tolist(), abs(_or_zero(limits.lower)), abs(_or_zero(limits.upper)))
    axes.set_xlim(-0.2, 4.2)
    axes.set_ylim(-1.1 * reach, 1.1 * reach)


def draw_counts(axes: Axes, a: ArrayLike, b: ArrayLike, names: tuple[str, str]) -> None:
    """Draw how often two readers gave each pair of grades, in halves.

    Parameters
    ----------
    axes : Axes
    a, b : float array, (n_patients,)
    names : (str, str)
    """
    counts = agreement_counts(a, b)
    most = max(int(counts.max()), 1)
    axes.imshow(counts, origin="lower", cmap="Blues", vmin=0, vmax=1.25 * most)
    for row, column in np.argwhere(counts):
        dark = counts[row, column] > 0.6 * most
        axes.text(
            column,
            row,
            str(counts[row, column]),
            ha="center",
            va="center",
            fontsize=7,
            color="white" if dark else INK,
        )
    labels = [f"{grade:g}" for grade in HALVES]
    axes.set_xticks(range(len(HALVES)), labels, fontsize=7)
    axes.set_yticks(range(len(HALVES)), labels, fontsize=7)
    axes.set_xlabel(names[1], fontsize=8)
    axes.set_ylabel(names[0], fontsize=8)
    same, n = int(np.trace(counts)), int(counts.sum())
    axes.set_title(f"{same} of {n} equal", fontsize=9, color=INK)


def pairs_figure(columns: Mapping[str, ArrayLike], panel: Panel, note: str = "") -> Figure:
    """Draw one panel a pair of readers, in the order of their columns.

    Parameters
    ----------
    columns : mapping of str to float array, (n_patients,)
    panel : callable
        :func:`draw_bland_altman` or :func:`draw_counts`.
    note : str
        Said below the panels.
    """
    pairs: Sequence[tuple[str, str]] = list(combinations(columns, 2))
    wide = min(len(pairs), 3)
    high = math.ceil(len(pairs) / wide)
    figure = blank((_SIDE * wide, _SIDE * high))
    for number, (a, b) in enumerate(pairs, start=1):
        panel(figure.add_subplot(high, wide, number), columns[a], columns[b], (a, b))
    if note:
        figure.supxlabel(note, fontsize=8, color=MUTED)
    return figure


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
