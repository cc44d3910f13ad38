"""Parts of the page that ask the grading network or a file from outside: patches, heat map, coronaries."""

from __future__ import annotations

from typing import Any

from csiq.report.command import base_name
from csiq.report.options import ReportOptions
from csiq.report.patches import grader_of, patch_grades, patches_of
from csiq.report.record import Record


def requested(record: Record, options: ReportOptions) -> dict[str, Any]:
    """Return ``patches``, ``heat`` and ``vessels`` of the page, None where there is nothing to show.

    Patches are graded again, a tenth of a second a phase, where the network that graded the run is at hand.

    Raises
    ------
    CsiqError
        If what was asked for cannot be shown.
    """
    grader = grader_of(record, options.model, must=options.heatmap)
    patches = patches_of(record, patch_grades(record, grader)) if grader is not None else None
    heat = vessels = None
    if options.heatmap and grader is not None:
        from csiq.report.heat import heat_of

        heat = heat_of(record, grader)
    if options.centrelines is not None:
        from csiq.report.centrelines import read_centrelines
        from csiq.report.vessels import vessels_of

        vessels = vessels_of(
            record, read_centrelines(options.centrelines), base_name(str(options.centrelines))
        )
    return {"patches": patches, "heat": heat, "vessels": vessels}
