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
    from csiq.run import read_scan

    scan = read_scan(config_of(context), raw)
    if as_json:
        click.echo(json_line(contents(raw, scan)))
        return
    echo_pairs(words(raw, scan))
    for warning in scan.warnings:
        click.echo(f"warning: {warning}", err=True)


def contents(raw: Path, scan: Acquisition) -> dict[str, object]:
    """Return what is in a scan, for ``--json``."""
    navigators, noise = scan.navigators, scan.noise
    return {
        "file": raw.name,
        "sha256": scan.sha256 or None,
        "n_coils": scan.n_coils,
        "n_spokes": scan.n_spokes,
        "n_samples": scan.n_samples,
        "n_navigators": 0 if navigators is None else int(navigators.times.size),
        "n_noise_samples": 0 if noise is None else int(noise.shape[1]),
        "triggered": scan.triggered,
        "n_heartbeats": _heartbeats(scan),
        "duration_s": float(scan.times.max() - scan.times.min()),
        "matrix": list(scan.geometry.shape),
        "fov_mm": list(scan.geometry.fov),
        "voxel_size_mm": list(scan.geometry.voxel_size),
        "orientation_known": scan.geometry.known,
        "nyquist_fraction": scan.nyquist_fraction,
        "system": scan.system,
        "warnings": list(scan.warnings),
    }


def _heartbeats(scan: Acquisition) -> int | None:
    import numpy as np

    return int(np.unique(scan.heartbeat).size) if scan.triggered else None


def words(raw: Path, scan: Acquisition) -> dict[str, object]:
    """Return what is in a scan, for people."""
    from csiq.report.verdict import duration

    content = contents(raw, scan)

    def axes(values: Any, unit: str) -> str:
        return " x ".join(f"{v:.4g}" for v in values) + unit

    system = " ".join(
        f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in sorted(scan.system.items())
    )
    triggered = f"ECG-triggered, {content['n_heartbeats']} heartbeats" if scan.triggered else "continuous"
    return {
        "file": f"{raw.name}, {raw.stat().st_size / 1e6:.1f} MB",
        "acquisition": f"{triggered}, {duration(scan.times.max() - scan.times.min())}",
        "coils": scan.n_coils,
        "imaging spokes": f"{scan.n_spokes} of {scan.n_samples} samples, "
        f"{100 * scan.nyquist_fraction:.1f} % of Nyquist",
        "navigators": content["n_navigators"] or "none: breathing comes from the k-space centre",
        "noise samples": content["n_noise_samples"] or "none: coils are not whitened",
        "matrix z y x": axes(scan.geometry.shape, ""),
        "field of view z y x": axes(scan.geometry.fov, " mm"),
        "voxel z y x": axes(scan.geometry.voxel_size, " mm"),
        "orientation": "known" if scan.geometry.known else "unknown",
        "system": system or None,
    }
