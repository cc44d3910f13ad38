"""``csiq check``: what is wrong with a raw file, and what its reconstruction would cost."""

from __future__ import annotations

from dataclasses import replace
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
    from csiq.acquisition import Acquisition
    from csiq.config import Config
    from csiq.gating import Bins, Signal
    from csiq.plan import Estimate


@click.command(
    epilog="""\b
Examples:
  csiq check scan.h5
  csiq check scan.h5 --preset whole-heart --max-memory 8GB
"""
)
@click.argument("raw", type=click.Path(path_type=Path))
@options(CONFIGURATION, STOPPING, MODELLING, READING, RUNNING, JSON, DEBUG)
@click.pass_context
def check(context: click.Context, raw: Path, as_json: bool, **keys: Any) -> None:
    """Say what is wrong with a raw file, and what a recon would cost.

    Reads the file, estimates gradient delays, prepares the coils, finds the breathing, and estimates memory
    and time. What would stop csiq recon stops csiq check with the same message and exit code.
    """
    examine(raw, config_of(context), as_json=as_json)


def examine(raw: Path, config: Config, *, as_json: bool = False) -> None:
    """Do everything a reconstruction does before its first iteration that is quick, and print what was found.

    Raises
    ------
    CsiqError
        As ``recon`` would.
    """
    from csiq.arrays import choose_device
    from csiq.coil_batches import fitted
    from csiq.delays import with_delays
    from csiq.preparation import device_for, gate, load_grader, prepare_coils
    from csiq.scan_file import read_scan
    from csiq.solvers import solver_named
    from csiq.truth_table import check_given

    device = choose_device(config.run.device)
    check_given(config)
    solver_named(config.solver.solver)
    grader = load_grader(config, device)
    scan = read_scan(config, raw)
    if scan.delays is None:
        scan = with_delays(scan, "warn")
    config, need, short = fitted(scan, config, device_for(scan, config)[0], grader)
    if short is not None:
        scan = replace(scan, warnings=(*scan.warnings, short))
    signal, bins = gate(prepare_coils(scan, config), config)
    if as_json:
        from csiq.cli.output import json_line

        click.echo(json_line(_as_json(scan, need, signal, bins)))
    else:
        _print(raw, scan, config, need, signal, bins)


def _as_json(scan: Acquisition, need: Estimate, signal: Signal | None, bins: Bins) -> dict[str, object]:
    from csiq.io.health import describe, findings

    gating = None
    if signal is not None:
        gating = {
            "source": signal.source,
            "orientation": signal.orientation,
            "confidence": signal.confidence,
            "snr": signal.snr,
            "spokes_per_phase": [len(indices) for indices in bins.indices],
        }
    return {
        "status": "ok",
        **describe(scan),
        "findings": [vars(finding) for finding in findings(scan)],
        "gating": gating,
        "estimate": need.as_json(),
    }


def _print(
    raw: Path, scan: Acquisition, config: Config, need: Estimate, signal: Signal | None, bins: Bins
) -> None:
    from csiq.cli.info import echo_findings, words
    from csiq.cli.output import echo_pairs
    from csiq.report.verdict import duration

    found = words(raw, scan)
    if signal is not None:
        found["breathing"] = (
            f"{'SI spokes' if signal.source == 'si' else 'k-space centre'}, SNR {signal.snr:.1f}, "
            f"{signal.orientation.replace('-', ' ')} (confidence {signal.confidence:.2f})"
        )
    found["spokes per phase"] = " ".join(str(len(indices)) for indices in bins.indices)
    found["memory"] = (
        f"{_gb(need.memory_bytes)} in all, set-up {_gb(need.setup_bytes)}, "
        f"iterations {_gb(need.iteration_bytes)}; {_gb(need.available_bytes)} free"
    )
    at_most = need.seconds_setup + config.solver.max_iter * need.seconds_per_iteration
    found["time"] = (
        f"set-up about {duration(need.seconds_setup)}, an iteration {duration(need.seconds_per_iteration)}, "
        f"at most {duration(at_most)} for {config.solver.max_iter}"
    )
    echo_pairs(found)
    echo_findings(scan)
    click.echo("nothing stops a reconstruction")


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB"
