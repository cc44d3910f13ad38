"""``csiq tune``: lambda by quality."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from csiq.cli.live import Display, JsonDisplay, QuietDisplay, format_grade, number, start_line
from csiq.cli.options import (
    CONFIGURATION,
    DEBUG,
    JSON,
    MODELLING,
    READING,
    RUNNING,
    STOPPING,
    config_of,
    given_keys,
    options,
    without,
)

if TYPE_CHECKING:
    from csiq.config import Config

#: Options of ``recon`` that say nothing here.
_NOT_HERE = ("lamda", "shadow", "min_grade", "save_iterates", "live")


@click.command(
    epilog="""\b
Examples:
  csiq tune scan.h5                            7 weights, from a tenth to ten times that of the configuration
  csiq tune scan.h5 --preset whole-heart-fast --lamda-min 0.01 --lamda-max 0.1 --points 5
  csiq tune scan.h5 --lamda 0.01,0.02,0.05,0.1 -o scan.tune
  csiq tune scan.h5 --resume                   go on with an interrupted sweep, or add weights to it
"""
)
@click.argument("raw", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Folder [./<stem>.tune]."
)
@click.option("--lamda", "lamdas", metavar="A,B,C", help="Weights to try; the configuration's own is added.")
@click.option("--lamda-min", type=float, metavar="X", help="Least weight [a tenth of the configuration's].")
@click.option("--lamda-max", type=float, metavar="X", help="Greatest weight [ten times the configuration's].")
@click.option("--points", type=int, metavar="N", help="Weights, at equal ratios [7].")
@options(CONFIGURATION, *(without(group, *_NOT_HERE) for group in (STOPPING, MODELLING, READING, RUNNING)))
@click.option("--resume", is_flag=True, help="Keep the weights that were finished.")
@click.option("--overwrite", is_flag=True, help="Replace what csiq wrote there before.")
@click.option("--dry-run", is_flag=True, help="Check everything, reconstruct nothing.")
@JSON
@click.option("-q", "--quiet", is_flag=True, help="Print warnings and errors only.")
@DEBUG
@click.pass_context
def tune(
    context: click.Context,
    raw: Path,
    output: Path | None,
    lamdas: str | None,
    lamda_min: float | None,
    lamda_max: float | None,
    points: int | None,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **keys: Any,
) -> None:
    """Find the weight of the penalty by image quality.

    Reconstructs RAW with several weights (lamda) of the total variation along the phases, each stopped when
    its grade no longer changes, and advises one: the best-graded within bounds, the configuration's own
    unless another is better by what a reader would see. Where a truth lies beside a simulated scan, error and
    reference quality are shown, but not chosen by. Research use only.
    """
    from csiq.errors import ConfigError

    if resume and overwrite:
        raise ConfigError("--resume and --overwrite exclude each other", field="--resume")
    config = _stopping_early(context)
    wanted = _lamdas_of(config, lamdas, (lamda_min, lamda_max, points))
    if dry_run:
        _check(raw, config, wanted, as_json=as_json)
        return
    from csiq.tuning.run import tune as run

    folder = output if output is not None else Path(f"{raw.stem}.tune")
    display = JsonDisplay() if as_json else QuietDisplay() if quiet else SweepDisplay()
    choice = run(config, raw, folder, lamdas=wanted, on_event=display, resume=resume, overwrite=overwrite)
    if display.ends_in_words:
        click.echo(f"\nlamda {choice.lamda:g}: {choice.why}")
        click.echo(_line(context, raw, config, choice.lamda))
        click.echo(f"Research use only: the grades come from a network. Look at {folder / 'tune.html'}")


def _stopping_early(context: click.Context) -> Config:
    """Return the merged configuration, which stops at the plateau unless the command line says no."""
    from dataclasses import replace

    config: Config = config_of(context)
    if "stop_on_plateau" in given_keys(context):
        return config
    return replace(config, stop=replace(config.stop, stop_on_plateau=True))


def _lamdas_of(
    config: Config, listed: str | None, grid: tuple[float | None, float | None, int | None]
) -> tuple[float, ...]:
    from csiq.errors import ConfigError
    from csiq.tuning.lamdas import POINTS, home_of, lamda_grid, with_home

    home = home_of(config)
    low, high, points = grid
    if listed is None:
        return lamda_grid(home, low, high, POINTS if points is None else points)
    if any(value is not None for value in grid):
        raise ConfigError("--lamda and a range exclude each other", field="--lamda")
    try:
        return with_home((float(part) for part in listed.split(",")), home)
    except ValueError:
        raise ConfigError(
            f"expected numbers, got '{listed}'", field="--lamda", hint="0.01,0.02,0.05"
        ) from None


def _check(raw: Path, config: Config, lamdas: tuple[float, ...], *, as_json: bool) -> None:
    """Do what comes before the first iteration and say what would be tried."""
    from csiq.cli.check import examine
    from csiq.cli.output import json_line

    examine(raw, config, as_json=as_json)
    if as_json:
        click.echo(json_line({"lamdas": list(lamdas)}))
        return
    click.echo(f"{len(lamdas)} reconstructions, lamda {', '.join(f'{lamda:g}' for lamda in lamdas)}")


def _line(context: click.Context, raw: Path, config: Config, lamda: float) -> str:
    """Return the command that reconstructs with this weight, as it can be pasted here."""
    from csiq.report.command import option_of

    words = ["csiq", "recon", str(raw)]
    for name, option in (("preset", "--preset"), ("config_file", "--config")):
        value = context.params.get(name)
        words += [option, str(value)] if value is not None else []
    given = {key: value for key, value in given_keys(context).items() if key != "stop_on_plateau"}
    for key, value in given.items():
        is_path = key in ("trajectory", "noise", "model", "truth")
        words += [f"--{key}", value] if is_path else option_of(key, value)
    words += ["--lamda", f"{lamda!r}"]
    words += option_of("stop_on_plateau", config.stop.stop_on_plateau)
    return shlex.join(words)


class SweepDisplay(Display):
    """A line a stage and a weight, as a table that grows."""

    def on_start(self, event: Mapping[str, Any]) -> None:
        """Print what is about to be reconstructed."""
        self.say(start_line(event))

    def on_lamda(self, event: Mapping[str, Any]) -> None:
        """Print the head of the table above its first line."""
        if event["number"] == 1:
            self.say(
                f"{'lamda':>8} {'iterations':>10} {'stopped by':>12} {'grade':>6} {'NRMSE':>6}  of each phase"
            )

    def on_point(self, event: Mapping[str, Any]) -> None:
        """Print a finished weight."""
        grades = " ".join(format_grade(number(grade)) for grade in event["grades"])
        error = number(event["nrmse"])
        shown = "-" if math.isnan(error) else f"{error:.3f}"
        mean, reason = format_grade(number(event["grade"])), str(event["stop_reason"]).replace("_", " ")
        self.say(
            f"{event['lamda']:>8g} {event['iterations']:>10} {reason:>12} {mean:>6} {shown:>6}  {grades}"
        )
