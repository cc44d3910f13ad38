"""Figures on adaptivity: the trade of time against loss, and stops against needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from csiq.evaluation.drawing import BLUE, COLUMN, GREEN, RED, blank, counted, plain, styled
from csiq.report.figures import MUTED

_LOOK = {"fixed number": (BLUE, "o", 14), "cost rule": (GREEN, "^", 9), "default rule": (RED, "*", 110)}


@styled
def trade_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the 95th percentile of the loss against mean seconds.

    Parameters
    ----------
    rows : sequence of dict
        ``kind``, ``seconds`` and ``loss_95`` of each rule.
    """
    figure = blank(COLUMN, 3.0)
    axes = figure.add_subplot()
    plain(axes)
    for kind, (colour, marker, size) in _LOOK.items():
        points = [(row["seconds"], row["loss_95"]) for row in rows if row["kind"] == kind]
        x, y = (np.array(column) for column in zip(*points, strict=True))
        zorder = 4 if kind == "default rule" else 3
        axes.scatter(x, y, s=size, color=colour, marker=marker, label=kind, zorder=zorder, lw=0)
        if kind == "fixed number":
            axes.plot(x, y, color=colour, lw=0.8, zorder=2)
    axes.axhline(0, color=MUTED, lw=0.7)
    axes.set_xlabel("mean seconds a scan")
    axes.set_ylabel("95th percentile of the loss")
    axes.legend()
    return figure


@styled
def needed_figure(needed: np.ndarray, stops: np.ndarray) -> Figure:
    """Draw where the rule stops against the first iteration that is good enough, one dot for equal scans."""
    figure = blank(COLUMN, 3.0)
    axes = figure.add_subplot()
    plain(axes)
    x, y, n = counted(needed, stops)
    axes.scatter(x, y, s=14 * n, color=BLUE, alpha=0.7, lw=0.4, ec="white", zorder=3)
    most = float(max(x.max(initial=1.0), y.max(initial=1.0)))
    axes.plot([0, most], [0, most], color=MUTED, ls=(0, (4, 3)), lw=0.9)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("first iteration that is good enough")
    axes.set_ylabel("iteration where the default rule stops")
    return figure
