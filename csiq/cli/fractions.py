"""``csiq recon --fractions``: what the first heartbeats alone would have given."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from csiq.acquisition import Acquisition
    from csiq.config import Config
    from csiq.rescan import Part


def fractions_of(text: str) -> tuple[float, ...]:
    """Return what ``25,50,75`` asks for, as shares that rise; the whole scan is left out: the run is of it.

    Raises
    ------
    ConfigError
        If it is no list of percentages.
    """
    from csiq.errors import ConfigError

    try:
        percent = sorted({float(part) for part in text.split(",")})
    except ValueError:
        percent = []
    if not percent or not all(0 < p <= 100 for p in percent):
        raise ConfigError(
            f"expected percentages above 0, at most 100, got '{text}'", field="--fractions", hint="25,50,75"
        )
    if percent[-1] <= 1:
        raise ConfigError(
            f"at most 1 % of a scan: '{text}'", field="--fractions", hint="in percent: 25,50,75"
        )
    return tuple(p / 100 for p in percent if p < 100)


def write_fractions(
    folder: Path, raw: Path, config: Config, fractions: tuple[float, ...], *, quiet: bool
) -> None:
    """Reconstruct and grade the first heartbeats; write ``fractions.tsv`` and ``fractions.png``.

    Parameters
    ----------
    folder : Path
        Of the run of the whole scan, whose grades are the last rows.
    raw : Path
    config : Config
    fractions : tuple of float
    quiet : bool
        Print warnings only.
    """
    from csiq.io.tables import write_table
    from csiq.report import write_report
    from csiq.rescan.fractions import COLUMNS, grades_by_fraction
    from csiq.scan_file import read_scan

    scan = read_scan(config, raw)
    parts = []
    for part in grades_by_fraction(scan, config, fractions):
        parts.append(part)
        if part.problem is not None:
            click.echo(f"csiq: warning: first {100 * part.fraction:g} %: {part.problem}", err=True)
    parts.append(_whole(folder, scan, config))
    write_table(folder / "fractions.tsv", [row for part in parts for row in part.rows()], COLUMNS)
    _draw(folder / "fractions.png", parts, config)
    write_report(folder)  # the page shows them, too
    if not quiet:
        _echo(parts)


def _draw(path: Path, parts: list[Part], config: Config) -> None:
    from csiq.ranking.matrix import save_figure
    from csiq.rescan.figure import fractions_figure

    save_figure(fractions_figure(parts, config.stop.min_grade), path)


def _whole(folder: Path, scan: Acquisition, config: Config) -> Part:
    """Return the part that is the whole scan, from the run's tables."""
    import numpy as np

    from csiq.report.record import read_record
    from csiq.rescan import Part

    record = read_record(folder)
    steps = [record.history.steps[k] for k in record.returned]
    gating = record.section("gating")
    return Part(
        fraction=1.0,
        heartbeats=int(np.unique(scan.heartbeat).size),
        spokes=scan.n_spokes,
        iterations=record.returned,
        grades=tuple(step.grades[p] for p, step in enumerate(steps)),
        grade_sds=tuple(step.grade_sds[p] for p, step in enumerate(steps)),
        max_iter=config.solver.max_iter,
        gating_snr=gating.get("snr", math.nan),
        gating_confidence=gating.get("confidence", math.nan),
    )


def _echo(parts: list[Part]) -> None:
    from csiq.cli.output import echo_table

    phases = [f"phase {p}" for p in range(1, len(parts[-1].grades) + 1)]
    rows = [
        (f"{100 * part.fraction:g} %", part.heartbeats, part.spokes, *part.grades, part.best)
        for part in parts
    ]
    click.echo()
    click.echo("Grades of the first heartbeats alone:")
    echo_table(["part", "heartbeats", "spokes", *phases, "best"], rows)
