"""``csiq rank``: which breathing phases look best, from the curves of finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from csiq.cli.options import DEBUG, JSON, options

if TYPE_CHECKING:
    from csiq.ranking import Ranking


@click.command(
    epilog="""\b
Examples:
  csiq rank scan.csiq
  csiq rank *.csiq --json
"""
)
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@options(JSON, DEBUG)
def rank(folders: tuple[Path, ...], as_json: bool) -> None:
    """Rank the breathing phases of finished runs.

    Phases closer than 0.25 grade cannot be told apart and share a rank. Rewrites ranking.json and
    ranking.tsv.
    """
    from csiq.cli.output import json_line
    from csiq.report.record import read_record

    for folder in folders:
        record = read_record(folder)
        ranking = record.ranking
        if ranking is None:
            raise _nothing_to_rank(folder, isinstance(record.run.get("returned_iteration"), list))
        write_ranking(folder, ranking)
        if as_json:
            click.echo(json_line({"run": folder.name, **ranking.as_json()}))
        else:
            click.echo(f"{folder.name}, iteration {record.returned[0]}")
            echo_ranking(ranking)


def _nothing_to_rank(folder: Path, per_phase: bool) -> Exception:
    from csiq.errors import RawDataError

    if per_phase:
        return RawDataError("its phases come from different iterations: no ranking", file=folder)
    return RawDataError("its returned iteration has no grades: no ranking", file=folder, field="curves.tsv")


def write_ranking(folder: Path, ranking: Ranking) -> None:
    """Write ``ranking.json`` and ``ranking.tsv``."""
    from csiq.io.tables import write_json, write_table
    from csiq.ranking import COLUMNS

    write_json(folder / "ranking.json", ranking.as_json())
    write_table(folder / "ranking.tsv", ranking.rows(), COLUMNS)


def echo_ranking(ranking: Ranking) -> None:
    """Print the phases in order of their grade."""
    from csiq.cli.output import echo_table
    from csiq.ranking import words_of

    columns = ("rank", "phase", "grade", "sd", "to best", "", "in words")
    rows = [
        (
            p.rank,
            p.phase,
            p.grade,
            p.grade_sd,
            p.delta_to_best,
            "best" if p.phase == ranking.best_phase else "=" if p.indistinguishable_from_best else "",
            words_of(p.grade),
        )
        for p in ranking.by_rank
    ]
    echo_table(columns, rows)
