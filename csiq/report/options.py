"""What is shown on request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from csiq.report.slices import Slice


@dataclass(frozen=True)
class ReportOptions:
    """What a report shows beside what every report shows.

    Attributes
    ----------
    heatmap : bool
        Where the grade of the best phase comes from: the central slices, some seconds.
    centrelines : path, optional
        Coronary arteries along these lines; see :func:`csiq.report.centrelines.read_centrelines`.
    model : str or path, optional
        Network of patch grades and heat map, where ``run.json`` names a file that is not at hand.
    latest : slices of each phase, optional
        Of a run that goes on and saves no iterates: what it has now.
    """

    heatmap: bool = False
    centrelines: str | Path | None = None
    model: str | Path | None = None
    latest: tuple[tuple[Slice, ...], ...] | None = None
