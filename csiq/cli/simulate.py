"""``csiq simulate``: a breathing whole-heart scan as ISMRMRD, and its truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from csiq.cli.choices import trajectories
from csiq.cli.options import DEBUG, JSON, options

if TYPE_CHECKING:
    from csiq.simulate.protocol import ScanConfig

_PERCENT = ("missing", "zeroed", "arrhythmia")
_WRONG = ("gradient_delay", "off_resonance", *_PERCENT)
_NAMES = {"spokes": "n_spokes", "coils": "n_coils", "heartbeats": "n_interleaves"}


@click.command(
    epilog="""\b
Examples:
  csiq simulate -o scan.h5
  csiq simulate -o scan.h5 --matrix 128 --seed 7 --breathing belt.txt
  csiq simulate -o scan.h5 --matrix 208 --coils 30 --device auto
  csiq simulate -o hard.h5 --amplitude 18 --heartbeats 377 --arrhythmia 10 --gradient-delay 4 -3 2
"""
)
@click.option(
    "-o",
    "--output",
    "output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="RAW",
    help="File to write (.h5); RAW.truth.h5 goes beside it.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Patient, breathing, coils and noise.")
@click.option("--matrix", type=int, default=96, show_default=True, metavar="N", help="Voxels over 208 mm.")
@click.option("--spokes", type=int, metavar="N", help="Imaging spokes [20 % of Nyquist, as in the paper].")
@click.option("--heartbeats", type=int, metavar="N", help="Interleaves [a Fibonacci number; 377 at 208^3].")
@click.option("--coils", type=int, default=8, show_default=True, metavar="N", help="Receive coils.")
@click.option("--snr", type=float, help="Blood over the noise of a k-space sample [30].")
@click.option(
    "--trajectory",
    default="phyllotaxis",
    show_default=True,
    metavar="NAME",
    shell_complete=trajectories,
    help="phyllotaxis, golden3d, golden2d or stack-of-stars.",
)
@click.option(
    "--breathing",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Trace: a belt's values every 2.5 ms, or seconds and mm [synthetic].",
)
@click.option("--amplitude", type=float, metavar="MM", help="Breathing at the diaphragm [drawn, 5 to 20].")
@click.option("--drift", type=float, metavar="MM", help="How far the resting position wanders [drawn].")
@click.option("--dwell", metavar="END", help="end-expiration or end-inspiration [end-expiration].")
@click.option("--cardiac", type=float, metavar="MM", help="Heart's own motion, RMS [drawn, 0.3 to 1.5].")
@click.option(
    "--gradient-delay",
    type=(float, float, float),
    metavar="Z Y X",
    help="By how many us gradients are late; the file tells the nominal trajectory [0 0 0].",
)
@click.option("--off-resonance", type=float, metavar="HZ", help="Field at the heart; slopes as much [0].")
@click.option("--missing", type=float, metavar="%", help="Readouts that are not in the file [0].")
@click.option("--zeroed", type=float, metavar="%", help="Readouts without signal [0].")
@click.option("--arrhythmia", type=float, metavar="%", help="Heartbeats that come early [0].")
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    metavar="auto|cpu|cuda:0",
    help="Where to compute k-space; a GPU's should differ by less than 1e-4 (not run on one yet).",
)
@click.option("--overwrite", is_flag=True, help="Replace a file of that name.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing.")
@options(JSON, DEBUG)
def simulate(output: Path, device: str, overwrite: bool, quiet: bool, as_json: bool, **keys: Any) -> None:
    """Simulate a breathing whole-heart scan, with its truth."""
    from csiq.arrays import choose_device
    from csiq.simulate.scan import simulate_scan, truth_path, write_simulated

    refuse_existing(output, truth_path(output), overwrite=overwrite)
    config = scan_config({name: v for name, v in keys.items() if v is not None})
    scan, truth = simulate_scan(config, device=choose_device(device))
    beside = write_simulated(output, scan, truth)
    if as_json:
        from csiq.cli.output import json_line
        from csiq.io.health import describe

        click.echo(json_line({"raw": output.name, "truth": beside.name, **describe(scan)}))
    elif not quiet:
        coils = f"{scan.n_coils} coil{'s' * (scan.n_coils != 1)}"
        click.echo(
            f"{output}: {scan.n_spokes} spokes of {scan.n_samples} samples, {coils}, "
            f"matrix {config.matrix}, {100 * scan.nyquist_fraction:.0f} % of Nyquist; truth in {beside.name}"
        )


def scan_config(given: Mapping[str, Any]) -> ScanConfig:
    """Return the scan that options ask for; what is not among them has its default."""
    from csiq.simulate.imperfections import Imperfections
    from csiq.simulate.protocol import ScanConfig

    wrong = {name: given[name] for name in ("gradient_delay", "off_resonance") if name in given}
    wrong |= {name: given[name] / 100 for name in _PERCENT if name in given}
    known = {_NAMES.get(name, name): value for name, value in given.items() if name not in _WRONG}
    return ScanConfig(**known, imperfections=Imperfections(**wrong))


def refuse_existing(*paths: Path, overwrite: bool) -> None:
    """Refuse to replace a file that nobody said may be, and to write where there is no folder."""
    from csiq.errors import ConfigError, OutputError

    for path in paths:
        if path.exists() and not overwrite:
            raise OutputError("exists already", file=path, hint="--overwrite replaces it")
        if not path.parent.is_dir():
            raise ConfigError("its folder does not exist", file=path, field="--output", hint="make it first")
