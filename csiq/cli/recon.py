"""``csiq recon``: the main job."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from csiq.cli.options import (
    CONFIGURATION,
    DEBUG,
    JSON,
    MODELLING,
    READING,
    RUNNING,
    STOPPING,
    config_of,
    options,
)

if TYPE_CHECKING:
    from csiq.cli.live import Display
    from csiq.config import Config


@click.command(
    epilog="""\b
Examples:
  csiq recon scan.h5 --stop-on-plateau
  csiq recon scan.h5 --preset whole-heart-fast -o out --overwrite
  csiq recon meas.dat --trajectory phyllotaxis --phases 4 --json
  csiq recon scan.h5 --resume                      go on with an interrupted run
  csiq recon scan.h5 --min-grade 2 --fractions 25,50,75
"""
)
@click.argument("raw", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Run folder [./<stem>.csiq]."
)
@options(CONFIGURATION, STOPPING, MODELLING, READING, RUNNING)
@click.option("--resume", is_flag=True, help="Go on with an interrupted run.")
@click.option("--overwrite", is_flag=True, help="Replace what csiq wrote there before.")
@click.option(
    "--fractions",
    metavar="PERCENT,...",
    help="Grade the first 25,50,75 % of the heartbeats, too, each by itself: fractions.tsv, .png.",
)
@click.option("--dry-run", is_flag=True, help="Check everything, reconstruct nothing.")
@JSON
@click.option("-q", "--quiet", is_flag=True, help="Print warnings and errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Show the log as well.")
@DEBUG
@click.pass_context
def recon(
    context: click.Context,
    raw: Path,
    output: Path | None,
    resume: bool,
    overwrite: bool,
    fractions: str | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **keys: Any,
) -> None:
    """Reconstruct a radial scan; stop when its grade no longer changes.

    RAW is ISMRMRD (.h5), Siemens TWIX (.dat), BART (.cfl) or plain arrays (.h5, .npy); see docs/formats.md.
    Options that say how to read, reconstruct, stop and grade are also keys of the TOML configuration and win
    over it. Research use only.
    """
    from csiq.cli.fractions import fractions_of, write_fractions
    from csiq.cli.live import display_for
    from csiq.errors import ConfigError

    shares = fractions_of(fractions) if fractions is not None else None
    if resume and overwrite:
        raise ConfigError("--resume and --overwrite exclude each other", field="--resume")
    if verbose:
        handler = logging.StreamHandler()
        handler.setLevel(logging.INFO)
        logging.basicConfig(handlers=[handler], format="%(name)s: %(message)s")
    config = config_of(context)
    if dry_run:
        from csiq.cli.check import examine

        examine(raw, config, as_json=as_json)
        return
    folder = output if output is not None else default_folder(raw)
    display = display_for(as_json=as_json, quiet=quiet)
    reconstruct_into(folder, raw, config, display, resume=resume, overwrite=overwrite)
    if shares is not None:
        write_fractions(folder, raw, config, shares, quiet=quiet or as_json)


def default_folder(raw: Path) -> Path:
    """Return the run folder of a raw file: ``./<stem>.csiq``."""
    return Path(f"{raw.stem}.csiq")


def reconstruct_into(folder: Path, raw: Path, config: Config, display: Display, **how: bool) -> None:
    """Run a reconstruction under a display, then say what it found if the display is for people.

    Parameters
    ----------
    folder : Path
        Run folder.
    raw : Path
    config : Config
    display : Display
    how
        ``resume`` or ``overwrite``.
    """
    from csiq.io.sniff import RAW, check_readable
    from csiq.run_scan import run

    check_readable(raw, RAW)
    with display:
        result = run(config, raw, folder, on_event=display, **how)
        if result is None:
            tell_of_complete_run(folder, display)
    if display.ends_in_words:
        echo_verdict(folder)


def tell_of_complete_run(folder: Path, display: Display) -> None:
    """Tell that ``--resume`` found nothing left to do."""
    from csiq.report.record import read_record

    display({"event": "warning", "message": f"{folder.name} is complete: nothing was left to do"})
    display({"event": "done", **read_record(folder).run})


def echo_verdict(folder: Path) -> None:
    """Print what a finished run found, and where its report is."""
    from csiq.report.record import read_record
    from csiq.report.verdict import research_use, verdict_of

    record = read_record(folder)
    verdict = verdict_of(record.run, record.history, record.ranking)
    click.echo()
    use = research_use(record.run, record.history)
    for line in (verdict.headline, *verdict.alarms, *verdict.sentences, use):
        click.echo(line)
    click.echo(f"report: {folder / 'report.html'}")
