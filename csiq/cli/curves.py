"""``csiq curves``: grade and cost against iteration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from csiq.cli.options import DEBUG, JSON, options
from csiq.quality.origin import signature

if TYPE_CHECKING:
    from csiq.report.record import Record


@click.command(
    epilog="""\b
Examples:
  csiq curves scan.csiq
  csiq curves scan.csiq --json | head -1
"""
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@options(JSON, DEBUG)
def curves(folder: Path, as_json: bool) -> None:
    """Show and plot grade and cost against iteration.

    Prints the curves and rewrites curves.png: grades in colour, one curve a phase, the scaled cost in black.
    """
    from csiq.cli.output import echo_table, json_line
    from csiq.report import write_curves
    from csiq.report.record import read_record

    target = write_curves(folder)
    record = read_record(folder)
    if as_json:
        for row in record.history.rows():
            click.echo(json_line(row))
        return
    phases = range(1, record.history.n_phases + 1)
    rows = [
        (step.iteration, f"{step.cost:.5g}", *step.grades, step.mean_grade, _mark(record, step.iteration))
        for step in record.history.steps
    ]
    echo_table(("iteration", "cost", *(f"phase {p}" for p in phases), "mean", ""), rows)
    click.echo(f"plot: {target}")
    if record.history.is_graded:
        click.echo(signature(record.section("model")))


def _mark(record: Record, iteration: int) -> str:
    """Return why an iteration is special, if it is."""
    stop = record.section("stop")
    words = [str(stop.get("reason"))] if stop.get("iteration") == iteration else []
    if iteration in record.returned:
        words.append("returned")
    return ", ".join(words)
