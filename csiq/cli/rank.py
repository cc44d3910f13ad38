"""``csiq rank``: which breathing phases look best, or which of any labelled volumes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from csiq.cli.options import DEBUG, JSON, options
from csiq.quality.origin import signature

if TYPE_CHECKING:
    from csiq.ranking import Preferences, Ranked, RankedPhase, Ranking
    from csiq.report.record import Record


@click.command(
    epilog="""\b
Examples:
  csiq rank scan.csiq
  csiq rank *.csiq --json
  csiq rank weak.csiq strong.csiq           each, and if they are of one scan, against each other
  csiq rank scan.csiq --figure
  csiq rank --across lamda-*.csiq -o comparison
  csiq rank ours=scan.csiq/phase-2.nii.gz theirs=bart.cfl --voxel-size 1 1 1
"""
)
@click.argument("folders", metavar="DIR|[LABEL=]PATH...", nargs=-1, required=True)
@click.option("--across", is_flag=True, help="Compare all runs and volumes with each other.")
@click.option(
    "--phase",
    "phase",
    default="all",
    metavar="all|best|N",
    help="With --across: phases of a run that take part [all].",
)
@click.option(
    "--model",
    metavar="NAME|FILE",
    help="With --across: grade everything with this network; a run's grades are kept if they are of it.",
)
@click.option(
    "--voxel-size",
    type=(click.FloatRange(0, min_open=True),) * 3,
    metavar="Z Y X",
    help="With --across: voxels in mm of files that do not say it (BART).",
)
@click.option("--device", default="cpu", metavar="auto|cpu|cuda:0", help="Where to grade [cpu].")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --across: write .json, .tsv, .png or .svg; without a suffix the first three.",
)
@click.option("--overwrite", is_flag=True, help="Replace files named with -o.")
@click.option("--figure", is_flag=True, help="Draw the pairs of each run into its ranking.png.")
@click.option("--svg", is_flag=True, help="The same as ranking.svg.")
@options(JSON, DEBUG)
@click.pass_context
def rank(
    context: click.Context, folders: tuple[str, ...], across: bool, as_json: bool, **keys: object
) -> None:
    """Rank the breathing phases of finished runs.

    Phases closer than 0.25 grade cannot be told apart and share a rank. Rewrites ranking.json and
    ranking.tsv of each run. Several runs of one scan are compared with each other as well, phase by phase.
    With --across, or with a LABEL= before a path, all phases and volumes (NIfTI, HDF5, DICOM, BART; graded as
    csiq grade does) are compared with each other instead, and no run is touched: images of one scan
    reconstructed in several ways, above all. Research use only.
    """
    from csiq.cli.across import compare_across, compare_runs, is_labelled

    if across or any(is_labelled(folder) for folder in folders):
        compare_across(context, folders, as_json=as_json)
        return
    _refuse(
        context,
        ("phase", "model", "voxel_size", "device", "outputs"),
        "is for comparing across runs",
        "--across",
    )
    kinds = [kind for kind, asked in (("png", keys["figure"]), ("svg", keys["svg"])) if asked]
    for folder in folders:
        _rank_phases(Path(folder), kinds, as_json=as_json)
    compare_runs(folders, as_json=as_json)


def _refuse(context: click.Context, names: tuple[str, ...], what: str, hint: str) -> None:
    """Refuse options that would do nothing.

    Raises
    ------
    ConfigError
        If one of them was given.
    """
    from click.core import ParameterSource

    from csiq.errors import ConfigError

    for parameter in context.command.params:
        name = parameter.name or ""
        if name in names and context.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            raise ConfigError(what, field=parameter.opts[-1], hint=hint)


def _rank_phases(folder: Path, kinds: list[str], *, as_json: bool) -> None:
    from csiq.cli.output import json_line
    from csiq.errors import ConfigError
    from csiq.report.record import read_record
    from csiq.report.verdict import out_of_domain

    if folder.is_file():
        hint = "--across compares images with runs"
        raise ConfigError("is a file, expected the folder of a run", file=folder, hint=hint)
    record = read_record(folder)
    ranking = ranking_of(record)
    if ranking is None:
        raise _nothing_to_rank(folder, isinstance(record.run.get("returned_iteration"), list))
    write_ranking(folder, ranking)
    for kind in kinds:
        write_figure(folder / f"ranking.{kind}", ranking, folder.name)
    if as_json:
        click.echo(json_line({"run": folder.name, **ranking.as_json()}))
    else:
        click.echo(f"{folder.name}, iteration {record.returned[0]}")
        echo_ranking(ranking, out_of_domain(record.run))
        click.echo(signature(record.section("model")))


def ranking_of(record: Record) -> Ranking | None:
    """Return the ranking that the tables of a run give, whatever its ``ranking.json`` says."""
    from csiq.ranking import rank_numbers

    if len(set(record.returned)) != 1 or isinstance(record.run.get("returned_iteration"), list):
        return None
    step, known = record.history.steps[record.returned[0]], record.section("grading")
    ranking = rank_numbers(step.grades, step.grade_sds, known.get("uncertainty"), known.get("in_domain"))
    return ranking if ranking.best_phase is not None else None


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


def write_figure(path: Path, ranking: Ranking, title: str) -> None:
    """Draw the pairs of a ranking into a PNG or SVG file."""
    from csiq.ranking.matrix import pair_matrix, save_figure

    save_figure(pair_matrix(ranking, title=title), path)


def echo_ranking(ranking: Ranking, outside: Sequence[int] = ()) -> None:
    """Print the phases by falling grade, and how likely a reader prefers the best to each other one.

    Parameters
    ----------
    ranking : Ranking
    outside : sequence of int
        Phases that are outside the training domain.
    """
    labelled = [(phase.phase, phase) for phase in ranking.by_rank]
    echo_ranked("phase", labelled, ranking.best_phase, ranking.preferences, outside)


def echo_ranked(
    what: str,
    labelled: Sequence[tuple[object, RankedPhase | Ranked[str]]],
    best: object,
    preferences: Preferences[Any] | None,
    outside: Collection[object] = (),
) -> None:
    """Print labelled images in the order given, and how likely a reader prefers the best to each other one.

    Parameters
    ----------
    what : str
        What the labels name: the head of their column.
    labelled : sequence of (label, ranked image)
    best : object
        Label of the best one.
    preferences : Preferences, optional
    outside : collection of object
        Labels of images outside the training domain.
    """
    from csiq.cli.output import echo_table
    from csiq.ranking import words_of

    chance = _chance_of_best(preferences, best)
    columns = ("rank", what, "grade", "sd", "to best", "best preferred", "", "in words")
    rows = [
        (
            one.rank,
            label,
            one.grade,
            one.grade_sd,
            one.delta_to_best,
            chance.get(label, "-"),
            "best" if label == best else "=" if one.indistinguishable_from_best else "",
            words_of(one.grade, label not in outside),
        )
        for label, one in labelled
    ]
    echo_table(columns, rows)
    _echo_how_sure(preferences)


def _echo_how_sure(preferences: Preferences | None) -> None:
    """Print what the probabilities of the table rest on, if there are any."""
    if preferences is None or all(pair.p_a is None for pair in preferences.pairs):
        return
    click.echo("best preferred: how likely a reader who sees both prefers the best", nl=False)
    some = any(error.source == "patches" for error in preferences.errors)
    click.echo("; too sure, as the grades' errors are known from their patches only" if some else "")


def _chance_of_best(preferences: Preferences | None, best: object) -> dict[object, str]:
    """Return the probability that a reader prefers the best image to each other one, in words, by label."""
    found = {}
    for pair in preferences.pairs if preferences is not None else ():
        if best in (pair.a, pair.b) and pair.p_a is not None and pair.p_b is not None:
            other, chance = (pair.b, pair.p_a) if pair.a == best else (pair.a, pair.p_b)
            found[other] = f"{100 * chance:.0f} %"
    return found
