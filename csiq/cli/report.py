"""``csiq report``: the page of a run, written anew."""

from __future__ import annotations

from pathlib import Path

import click

from csiq.cli.options import DEBUG, JSON, options


@click.command(
    epilog="""\b
Examples:
  csiq report scan.csiq
"""
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@options(JSON, DEBUG)
def report(folder: Path, as_json: bool) -> None:
    """Write the report page of a run again.

    Everything on report.html comes from the other files of the folder, so this can be done at any time, also
    while a run is going on.
    """
    from csiq.cli.output import json_line
    from csiq.report import write_report

    target = write_report(folder)
    click.echo(json_line({"report": target.name, "bytes": target.stat().st_size}) if as_json else str(target))
