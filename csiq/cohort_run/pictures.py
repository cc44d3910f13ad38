"""Figures of a cohort: which phases are best, and when grades come to a plateau."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from csiq.evaluation.drawing import BLUE, COLUMN, SKY, blank, plain, styled


@styled
def phases_figure(counted: Sequence[Mapping[str, int]]) -> Figure:
    """Draw how many scans have each phase as their best.

    Parameters
    ----------
    counted : sequence of dict
        ``phase``, ``best`` and ``alone``.
    """
    figure = blank(COLUMN, 2.2)
    axes = figure.subplots()
    phases = [str(one["phase"]) for one in counted]
    alone = [one["alone"] for one in counted]
    tied = [one["best"] - one["alone"] for one in counted]
    axes.bar(phases, alone, color=BLUE, label="clearly", width=0.7)
    axes.bar(phases, tied, bottom=alone, color=SKY, label="others look alike", width=0.7)
    axes.set(xlabel="best phase", ylabel="scans")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    plain(axes)
    figure.legend(loc="outside upper center", ncols=2)
    return figure


@styled
def plateaus_figure(counted: Sequence[Mapping[str, int]]) -> Figure:
    """Draw at which iteration grades came to a plateau.

    Parameters
    ----------
    counted : sequence of dict
        ``iteration``, ``stopped`` and ``would_have``.
    """
    figure = blank(COLUMN, 2.2)
    axes = figure.subplots()
    at = [one["iteration"] for one in counted]
    stopped = [one["stopped"] for one in counted]
    axes.bar(at, stopped, color=BLUE, label="stopped there", width=0.8)
    would = [one["would_have"] for one in counted]
    axes.bar(at, would, bottom=stopped, color=SKY, label="would have", width=0.8)
    axes.set(xlabel="iteration of the plateau", ylabel="scans", xlim=(min(at) - 1.5, max(at) + 1.5))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    plain(axes)
    figure.legend(loc="outside upper center", ncols=2)
    return figure
