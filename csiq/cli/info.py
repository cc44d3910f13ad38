"""``csiq info``: what is in a raw file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from csiq.cli.options import CONFIGURATION, DEBUG, JSON, READING, config_of, options

if TYPE_CHECKING:
    from csiq.acquisition import Acquisition


@click.command(
    epilog="""\b
Examples:
  csiq info scan.h5
  csiq info meas.dat --trajectory phyllotaxis
  csiq info scan.h5 --delays warn                  gradient delays, estimated
  csiq info scan.h5 --json
"""
)
@click.argument("raw", type=click.Path(path_type=Path))
@options(CONFIGURATION, READING, JSON, DEBUG)
@click.pass_context
def info(context: click.Context, raw: Path, as_json: bool, **keys: Any) -> None:
    """Show what is in a raw file.

    Coils, spokes, navigators, noise, geometry, duration and how far it is undersampled, with everything that
    looks odd. Nothing that could identify a patient is shown.
    """
    from csiq.cli.output import echo_pairs, json_line
    from csiq.io.health import describe
    from csiq.scan_file import read_scan

    scan = read_scan(config_of(context), raw)
    if as_json:
        click.echo(json_line(describe(scan)))
        return
    echo_pairs(words(raw, scan))
    echo_findings(scan)


def echo_findings(scan: Acquisition) -> None:
    """Print what is odd about a scan, and what to do about it."""
    from csiq.io.health import findings

    for finding in findings(scan):
        hint = f"; {finding.hint}" if finding.hint else ""
        click.echo(f"{finding.level}: {finding.what}{hint}")


def words(raw: Path, scan: Acquisition) -> dict[str, object]:
    """Return what is in a scan, for people."""
    from csiq.io.health import describe
    from csiq.report.facts import system_fact
    from csiq.report.verdict import duration

    content = describe(scan)

    def axes(values: Any, unit: str) -> str:
        return " x ".join(f"{v:.4g}" for v in values) + unit

    system = ", ".join(" ".join(system_fact(key, value)) for key, value in sorted(scan.system.items()))
    system = system.replace("°", " deg").replace("µs", "us")  # a terminal may know ASCII only
    triggered = f"ECG-triggered, {content['n_heartbeats']} heartbeats" if scan.triggered else "continuous"
    return {
        "file": f"{raw.name}, {raw.stat().st_size / 1e6:.1f} MB",
        "acquisition": f"{triggered}, {duration(content['duration_s'])}",
        "coils": scan.n_coils,
        "imaging spokes": f"{scan.n_spokes} of {scan.n_samples} samples, "
        f"{100 * scan.nyquist_fraction:.1f} % of Nyquist",
        "SI spokes": content["n_navigators"] or "none: breathing comes from the k-space centre",
        "noise samples": content["n_noise_samples"] or "none",
        "matrix z y x": axes(scan.geometry.shape, ""),
        "field of view z y x": axes(scan.geometry.fov, " mm"),
        "voxel z y x": axes(scan.geometry.voxel_size, " mm"),
        "orientation": "known" if scan.geometry.known else "unknown",
        "gradient delays": scan.delays.words() if scan.delays is not None else None,
        "system": system or None,
    }
