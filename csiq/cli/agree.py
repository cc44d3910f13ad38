"""``csiq agree``: how readers agree, every pair of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from csiq.cli.options import DEBUG, JSON, options
from csiq.cli.output import echo_table, json_line

if TYPE_CHECKING:
    from csiq.agreement import PairAgreement
    from csiq.agreement.table import ReaderTable

_PATH = click.Path(path_type=Path)
_COLUMNS = ("a", "b", "n", "kappa", "", "alpha", "", "spearman", "bias", "sd", "mae", "rmse")
_SIMULATED = "simulated readers, research use only"


@click.command(
    epilog="""\b
Examples:
  csiq agree readers.tsv
  csiq agree readers.tsv --json
  csiq agree graded.tsv --reader reader1a --reader reader2 -o agreement
  csiq agree readers.tsv --kappa irr --level ordinal
"""
)
@click.argument("table", metavar="READERS.tsv", type=_PATH)
@click.option(
    "--kappa",
    type=click.Choice(["eq2", "irr"]),
    default="eq2",
    show_default=True,
    help="eq2: distances over all nine grades, as the paper; irr: over grades in use, as R's irr::kappa2.",
)
@click.option(
    "--level",
    type=click.Choice(["nominal", "ordinal", "interval", "ratio"]),
    default="interval",
    show_default=True,
    help="Level of measurement of Krippendorff's alpha.",
)
@click.option(
    "--reader", "only", multiple=True, metavar="NAME", help="Compare this column; repeatable [all]."
)
@click.option("-o", "--output", "folder", type=_PATH, metavar="DIR", help="Write tables and figures, too.")
@click.option("--overwrite", is_flag=True, help="Remove what csiq wrote to DIR first.")
@click.option("-q", "--quiet", is_flag=True, help="No warnings.")
@options(JSON, DEBUG)
def agree(
    table: Path,
    kappa: str,
    level: Any,
    only: tuple[str, ...],
    folder: Path | None,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Say how readers agree, every pair of them.

    READERS.tsv has a column id, one column a reader (empty: missing) and one row a case; a graded manifest
    does as well. Grades are on the scale 0 to 4. For kappa they are rounded to halves, half to even, and
    clipped; everything else takes them as they are. Bias is the mean of a - b, sd has n - 1.
    """
    from csiq.agreement import compare_readers
    from csiq.agreement.results import open_results, write_results
    from csiq.agreement.table import read_readers

    found = read_readers(table, only)
    note = _SIMULATED if _is_simulated(table) else None
    pairs = compare_readers(found.readers, level=level, labels="used" if kappa == "irr" else "all")
    if folder is not None:
        facts = {"input": table, "kappa": kappa, "alpha_level": level, "note": note}
        with open_results(folder, overwrite=overwrite):
            write_results(folder, found.readers, pairs, facts)
    if not quiet:
        _warn(found, drawn=folder is not None)
        for pair in pairs:
            if pair.undefined and pair.n > 1:  # a count of 0 or 1 says it by itself
                click.echo(f"csiq: warning: {pair.a} and {pair.b}: {pair.undefined}", err=True)
    if as_json:
        further = {"kappa_labels": "used"} if kappa == "irr" else {}
        click.echo(json_line({"pairs": [pair.as_dict() for pair in pairs], **further}))
    else:
        _show(pairs, kappa, note)


def _is_simulated(table: Path) -> bool:
    """Return whether a table lies in the folder of a cohort."""
    from csiq.cohort.cohort_folder import RECORD

    return (table.parent / RECORD).is_file()


def _warn(found: ReaderTable, *, drawn: bool) -> None:
    from csiq.agreement.results import MOST_PAIRS

    if found.left_out:
        click.echo(f"csiq: warning: no numbers in: {', '.join(found.left_out)}; left out", err=True)
    if found.off_scale:
        click.echo(f"csiq: warning: grades off the scale 0 to 4: {found.off_scale}", err=True)
    n_pairs = len(found.readers) * (len(found.readers) - 1) // 2
    if drawn and n_pairs > MOST_PAIRS:
        click.echo(f"csiq: warning: {n_pairs} pairs are too many for a figure", err=True)


def _show(pairs: list[PairAgreement], kappa: str, note: str | None) -> None:
    from csiq.agreement import RELIABLE, kappa_words

    rows = []
    for pair in pairs:
        mark = "*" if pair.is_reliable else ""
        shared = (pair.a, pair.b, pair.n, pair.kappa, kappa_words(pair.kappa), pair.alpha, mark)
        bias = round(pair.bias, 2) + 0.0  # no negative zero
        rows.append((*shared, pair.spearman, bias, pair.sd, pair.mae, pair.rmse))
    echo_table(_COLUMNS, rows)
    labels = "all nine grades (Eq. 2)" if kappa == "eq2" else "grades in use (irr)"
    click.echo(f"\nkappa: linear weights, {labels}, of grades rounded to halves")
    click.echo(f"alpha: Krippendorff's, {pairs[0].alpha_level} level; *: {RELIABLE} or more")
    click.echo("bias: mean of a - b; sd: of a - b, with n - 1")
    if note:
        click.echo(note)
