"""``csiq study``: the paper's study on simulated raw scans, every iterate graded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from csiq.cli.options import DEBUG, JSON, options
from csiq.cli.output import echo_pairs, json_line
from csiq.cli.progress import line_a_scan, only_failures

if TYPE_CHECKING:
    from csiq.study.estimate import TimeNeeded

_PATH = click.Path(path_type=Path)


@click.command(
    epilog="""\b
Examples:
  csiq study cohort -o study                        69 scans, 30 to tune on, two solvers: hours
  csiq study cohort -o study --resume               go on after an interruption
  csiq study cohort -o short --scans 8 --tuning 4 --matrix 96
  csiq study cohort -o full --matrix 208 --device cuda:0 --workers 1
  csiq study --report-only -o study                 tables, figures and page anew
"""
)
@click.argument("cohort", metavar="COHORT", type=_PATH, required=False)
@click.option("-o", "--output", "folder", required=True, type=_PATH, metavar="DIR", help="Where to write.")
@click.option(
    "--scans",
    type=click.IntRange(1),
    default=69,
    show_default=True,
    metavar="N",
    help="Test patients; fewer are those that differ most.",
)
@click.option(
    "--tuning",
    type=click.IntRange(0),
    default=30,
    show_default=True,
    metavar="N",
    help="Patients who train, on whose scans rival rules are chosen.",
)
@click.option(
    "--solvers", default="nlcg,pnlcg", show_default=True, metavar="A,B", help="Solvers, one after another."
)
@click.option(
    "--matrix",
    type=click.IntRange(16),
    metavar="N",
    help="Of the scans [the cohort's raw data]; of another matrix they are simulated anew.",
)
@click.option(
    "--max-iter",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    metavar="N",
    help="Iterations, all done.",
)
@click.option(
    "--model", default="default", metavar="NAME|FILE", help="Grading network; see csiq model list [default]."
)
@click.option("--device", default="cpu", metavar="auto|cpu|cuda:0", help="Where to compute [cpu].")
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="Processes, of one thread each [all cores]."
)
@click.option("--report-only", is_flag=True, help="Compute nothing: write the page of what is there.")
@click.option("--resume", is_flag=True, help="Keep what is finished, and go on.")
@click.option("--overwrite", is_flag=True, help="Remove what csiq wrote there first.")
@click.option("-q", "--quiet", is_flag=True, help="No line a scan.")
@options(JSON, DEBUG)
def study(
    cohort: Path | None,
    folder: Path,
    scans: int,
    tuning: int,
    solvers: str,
    matrix: int | None,
    max_iter: int,
    model: str,
    device: str,
    workers: int | None,
    report_only: bool,
    resume: bool,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Repeat the paper's study on simulated raw scans.

    Reconstructs scans of a cohort with two solvers, grades every phase of every iterate, holds it against the
    truth, and writes study.html beside the paper's numbers: curves, plateaus, phases, pairs, what each rule
    saves and costs. Each finished scan is kept; fewer scans give the same page. Research use only.
    """
    from csiq.study.study import report_study

    if report_only:
        record = report_study(folder)
    elif cohort is None:
        raise click.UsageError("Missing argument 'COHORT'.")
    else:
        words = tuple(word.strip() for word in solvers.split(",") if word.strip())
        given = {"matrix": matrix, "max_iter": max_iter, "model": model, "device": device}
        request: dict[str, Any] = {"n_scans": scans, "n_tuning": tuning, "solvers": words, **given}
        record = _run(cohort, request, folder, (workers, overwrite, resume), quiet=quiet)
    if as_json:
        click.echo(json_line(record))
        return
    _show(record, folder)


def _run(
    cohort: Path,
    given: dict[str, Any],
    folder: Path,
    how: tuple[int | None, bool, bool],
    *,
    quiet: bool,
) -> dict[str, Any]:
    from csiq.arrays import default_threads
    from csiq.cohort.following import Running
    from csiq.study.request import StudyRequest
    from csiq.study.study import run_study

    workers, overwrite, resume = how
    running = Running(workers or default_threads(), overwrite, resume)
    request = StudyRequest(cohort, **given)
    listen = only_failures if quiet else line_a_scan
    return run_study(request, folder, running, listen, _silent if quiet else _foretell)


def _show(record: dict[str, Any], folder: Path) -> None:
    bars = record["bars"]
    said = [bar for bar in bars if bar["met"] is not None]
    echo_pairs(
        {
            "status": record["status"],
            **{f"scans, {solver}": n for solver, n in record["n"].items()},
            **{f"scans to tune on, {solver}": n for solver, n in record["n_tuning"].items()},
            "network": record["config"]["model"]["name"],
            "matrix": record["config"]["matrix"],
            "bars met": f"{sum(bar['met'] for bar in said)} of {len(said)}",
        }
    )
    for bar in bars:
        word = {True: "met", False: "not met", None: "cannot be said"}[bar["met"]]
        click.echo(f"  {word:<14}  {bar['what']} ({bar['solver']})")
    click.echo(f"\n{record['use']}")
    click.echo(f"{folder / 'study.html'}")


def _foretell(needed: TimeNeeded, scans: int) -> None:
    from csiq.report.verdict import duration

    parts = sorted(needed.parts.items(), key=lambda part: -part[1])
    of = ", ".join(f"{name} {duration(seconds)}" for name, seconds in parts)
    click.echo(f"{scans} scans: about {duration(needed.seconds)} (core time: {of})", err=True)


def _silent(needed: TimeNeeded, scans: int) -> None:
    """Say nothing beforehand."""
