"""``csiq report``: the page of a run, written anew."""

from __future__ import annotations

from pathlib import Path

import click

from csiq.cli.options import DEBUG, JSON, options

_FILE = click.Path(path_type=Path)


@click.command(
    epilog="""\b
Examples:
  csiq report scan.csiq
  csiq report scan.csiq --heatmap                       half a minute: where the grade comes from
  csiq report scan.csiq --centrelines coronaries.tsv    the arteries straightened, and all on one surface
  csiq report csiq-demo --centrelines csiq-demo/demo-scan.truth.h5
"""
)
@click.argument("folder", metavar="DIR", type=_FILE)
@click.option("--heatmap", is_flag=True, help="Show where the grade of the best phase comes from.")
@click.option(
    "--centrelines",
    type=_FILE,
    metavar="FILE",
    help="Show the coronary arteries along these lines: a table with the columns vessel, x_mm, y_mm, z_mm "
    "(RAS), or the truth of a simulated scan.",
)
@click.option(
    "--model",
    metavar="NAME|FILE",
    help="Where the network lies that graded the run, if it is a file of your own [as run.json says].",
)
@options(JSON, DEBUG)
def report(folder: Path, heatmap: bool, centrelines: Path | None, model: str | None, as_json: bool) -> None:
    """Write the report page of a run again.

    Everything on report.html comes from the other files of the folder, so this can be done at any time, also
    while a run is going on. What was asked for by an option is shown until the page is written again without
    it. See docs/report.md. Research use only.
    """
    from csiq.cli.output import json_line
    from csiq.report import ReportOptions, write_report

    target = write_report(folder, options=ReportOptions(heatmap, centrelines, model))
    click.echo(json_line({"report": target.name, "bytes": target.stat().st_size}) if as_json else str(target))
