"""``csiq read``: an offline page for blinded reading, and the tables its results become."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from csiq.cli.options import DEBUG, JSON, options

if TYPE_CHECKING:
    from csiq.reading.session import Written

_PATH = click.Path(path_type=Path)


@click.command(
    epilog="""\b
Examples:
  csiq read volumes -o session                      grades 0-4, a tenth of the cases comes twice
  csiq read cohort/graded.tsv --split test --reader reader2
  csiq read scans --pairs                           A, B or equal, within each patient or folder
  csiq read --collect result.tsv --key session/key.tsv -o readers.tsv
  csiq agree readers.tsv
"""
)
@click.argument("source", metavar="FOLDER|TABLE|RESULT...", nargs=-1, required=True, type=_PATH)
@click.option(
    "-o",
    "--output",
    type=_PATH,
    metavar="DIR",
    help="Folder [./<name>.reading]; or the table, with --collect.",
)
@click.option("--pairs", is_flag=True, help="Two volumes of a patient or folder side by side.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of order, sides, repeats and names.")
@click.option(
    "--repeats",
    type=float,
    default=0.1,
    show_default=True,
    metavar="X",
    help="Part of the cases that comes again, hidden.",
)
@click.option("--reader", default="reader1", show_default=True, metavar="NAME", help="Name to suggest.")
@click.option("--max-cases", type=int, metavar="N", help="At most so many, drawn by seed [all].")
@click.option("--split", metavar="NAME", help="Only this split of a table, e.g. test.")
@click.option("--overwrite", is_flag=True, help="Remove what csiq wrote there first.")
@click.option("--collect", is_flag=True, help="Turn exported RESULT files into one table.")
@click.option("--key", "keys", multiple=True, type=_PATH, metavar="FILE", help="Of the session; repeatable.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@options(JSON, DEBUG)
def read(
    source: tuple[Path, ...],
    output: Path | None,
    collect: bool,
    keys: tuple[Path, ...],
    quiet: bool,
    as_json: bool,
    **making: Any,
) -> None:
    """Make an offline page for blinded reading of volumes, or collect its results.

    DIR/page is for the reader: index.html opens in any browser, without network or installation. DIR/key.tsv
    says which case is which volume and stays with you. Research use only.
    """
    from csiq.errors import ConfigError

    if collect:
        _collect(source, keys, output, overwrite=making["overwrite"], quiet=quiet, as_json=as_json)
        return
    if keys:
        raise ConfigError("only goes with --collect", field="--key")
    if len(source) != 1:
        raise ConfigError("expected one folder or table", field="SOURCE", hint="results need --collect")
    _make(source[0], output, making, quiet=quiet, as_json=as_json)


def _make(source: Path, output: Path | None, making: dict[str, Any], *, quiet: bool, as_json: bool) -> None:
    from csiq.cli.output import json_line
    from csiq.reading import ReadingConfig, write_session
    from csiq.reading.sources import find_sources

    split, overwrite = making.pop("split"), making.pop("overwrite")
    config = ReadingConfig(**making)
    sources = find_sources(source, split)
    folder = output or Path(f"{source.resolve().stem}.reading")
    silent = quiet or as_json
    written = write_session(
        sources, folder, config, overwrite=overwrite, on_image=None if silent else _progress
    )
    if as_json:
        click.echo(json_line(_facts(written, config.pairs)))
    elif not quiet:
        _say(written, config.pairs)


def _facts(written: Written, pairs: bool) -> dict[str, Any]:
    return {
        "session": written.session,
        "mode": "pairs" if pairs else "grades",
        "cases": written.n_cases,
        "repeats": written.n_repeats,
        "images": written.n_images,
        "bytes": written.n_bytes,
    }


def _say(written: Written, pairs: bool) -> None:
    from csiq.io.sniff import in_bytes

    what = "pairs" if pairs else "cases"
    size = f"{in_bytes(written.n_bytes)}, {in_bytes(written.n_bytes / written.n_images)} an image"
    click.echo(f"{written.n_cases} {what}, {written.n_repeats} come twice; {size}")
    click.echo(f"for the reader  {written.folder / 'page' / 'index.html'}  (the whole folder page/)")
    click.echo(f"for you         {written.folder / 'key.tsv'}")


def _progress(done: int, of: int) -> None:
    click.echo(f"image {done} of {of}", err=True)


def _collect(
    results: tuple[Path, ...],
    keys: tuple[Path, ...],
    output: Path | None,
    *,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    from csiq.cli.output import echo_table, json_line
    from csiq.errors import ConfigError, OutputError
    from csiq.reading import collect

    if output is None:
        raise ConfigError("where to? give -o readers.tsv", field="--collect")
    if output.exists() and not overwrite:
        raise OutputError("is there already", file=output, hint="choose another name, or --overwrite")
    summary = collect(results, keys, output)
    if as_json:
        click.echo(json_line(summary))
    elif not quiet:
        shown = ("reader", "cases", "answered", "repeats", "median_s")
        echo_table(shown, [[reading[name] for name in shown] for reading in summary["readings"]])
        follow = "" if summary["mode"] == "pairs" else f"; csiq agree {output}"
        click.echo(f"written to {output}{follow}")
