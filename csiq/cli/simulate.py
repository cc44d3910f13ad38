"""``csiq simulate``: a breathing whole-heart scan as ISMRMRD, and its truth."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    epilog="""\b
Examples:
  csiq simulate -o scan.h5
  csiq simulate -o scan.h5 --matrix 128 --seed 7 --breathing belt.txt
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
@click.option("--coils", type=int, default=8, show_default=True, metavar="N", help="Receive coils.")
@click.option("--snr", type=float, help="Blood over the noise of a k-space sample [30].")
@click.option(
    "--trajectory",
    default="phyllotaxis",
    show_default=True,
    metavar="NAME",
    help="phyllotaxis, golden3d, golden2d or stack-of-stars.",
)
@click.option(
    "--breathing",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Trace: a belt's values every 2.5 ms, or seconds and mm [synthetic].",
)
@click.option("--overwrite", is_flag=True, help="Replace a file of that name.")
def simulate(
    output: Path,
    seed: int,
    matrix: int,
    spokes: int | None,
    coils: int,
    snr: float | None,
    trajectory: str,
    breathing: Path | None,
    overwrite: bool,
) -> None:
    """Simulate a breathing whole-heart scan, with its truth."""
    from csiq.simulate.protocol import DEFAULT_SNR, ScanConfig
    from csiq.simulate.scan import simulate_scan, truth_path, write_simulated

    refuse_existing(output, truth_path(output), overwrite=overwrite)
    config = ScanConfig(
        seed=seed,
        matrix=matrix,
        n_spokes=spokes,
        n_coils=coils,
        trajectory=trajectory,
        breathing=breathing,
        snr=DEFAULT_SNR if snr is None else snr,
    )
    scan, truth = simulate_scan(config)
    beside = write_simulated(output, scan, truth)
    click.echo(
        f"{output}: {scan.n_spokes} spokes of {scan.n_samples} samples, {scan.n_coils} coils, "
        f"matrix {matrix}, {100 * scan.nyquist_fraction:.0f} % of Nyquist; truth in {beside.name}"
    )


def refuse_existing(*paths: Path, overwrite: bool) -> None:
    """Refuse to replace a file that nobody said may be, and to write where there is no folder."""
    from csiq.errors import ConfigError, OutputError

    for path in paths:
        if path.exists() and not overwrite:
            raise OutputError("exists already", file=path, hint="--overwrite replaces it")
        if not path.parent.is_dir():
            raise ConfigError("its folder does not exist", file=path, field="--output", hint="make it first")
