"""What is shown on request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
    """

    heatmap: bool = False
    centrelines: str | Path | None = None
    model: str | Path | None = None
