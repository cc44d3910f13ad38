"""``csiq demo``: the whole line on a simulated scan, without any data of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from csiq.cli.options import DEBUG, JSON, options

_SCAN = "demo-scan.h5"
_TRUTH = "demo-scan.truth.h5"
_COILS, _VIRTUAL = 8, 6


@click.command(
    epilog="""\b
Examples:
  csiq demo
  csiq demo --matrix 64 -o quick
"""
)
@click.option(
    "-o",
    "--output",
    default="csiq-demo",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Run folder [./csiq-demo]; replaced only if csiq made it.",
)
@click.option(
    "--matrix", type=click.IntRange(min=16), default=128, metavar="N", help="Voxels along each axis [128]."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Another patient [0].")
@click.option("-q", "--quiet", is_flag=True, help="Print warnings and errors only.")
@options(JSON, DEBUG)
def demo(output: Path, matrix: int, seed: int, quiet: bool, as_json: bool) -> None:
    """Simulate a breathing scan, reconstruct it, and write its report.

    The patient breathes irregularly through an ECG-triggered spiral phyllotaxis scan of a fifth of Nyquist's
    spokes; field of view 208 mm. The reconstruction stops at the plateau of the grade. Needs no data.
    """
    from csiq.cli.live import display_for
    from csiq.cli.recon import reconstruct_into
    from csiq.config import load_config

    check_folder(output)
    if not (as_json or quiet):
        click.echo(f"simulating a {matrix} x {matrix} x {matrix} scan (seed {seed})")
    scan = simulate_into(output, matrix, seed)
    config = load_config(overrides={"stop_on_plateau": True, "coils": _VIRTUAL, "seed": seed})
    display = display_for(as_json=as_json, quiet=quiet)
    reconstruct_into(output, scan, config, display, overwrite=True)


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds anything csiq did not make.

    Raises
    ------
    OutputError
        If there is something else in it.
    """
    from csiq.errors import OutputError
    from csiq.io.run_folder import is_run_folder

    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError("exists and is no folder", file=folder, hint="choose another with -o")
    if any(folder.iterdir()) and not is_run_folder(folder) and not (folder / _SCAN).is_file():
        raise OutputError("is not empty and csiq did not make it", file=folder, hint="choose another with -o")


def simulate_into(folder: Path, matrix: int, seed: int) -> Path:
    """Write the scan of the demo and its truth into a folder, and return the path of the scan."""
    from csiq.simulate.protocol import ScanConfig
    from csiq.simulate.scan import simulate_scan, write_simulated

    folder.mkdir(parents=True, exist_ok=True)
    scan, truth = simulate_scan(ScanConfig(seed=seed, matrix=matrix, n_coils=_COILS))
    path = folder / _SCAN
    write_simulated(path, scan, truth)
    return path
