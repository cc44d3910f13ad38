"""What ``run.json`` says: a header from the start on, what is known of a run cut short, and its results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from csiq._version import __version__
from csiq.acquisition import Acquisition, Geometry
from csiq.arrays import choose_device, default_threads
from csiq.config import Config
from csiq.history import History
from csiq.io.health import describe
from csiq.result import Result
from csiq.stopping import counterfactual, returned_iterations
from csiq.stopping.configured import compared_rules

#: Of ``run.json`` and ``ranking.json``; rises when a key changes its meaning or goes.
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Facts:
    """What is still wanted of a scan once its samples are gone: they are let go while it iterates.

    Attributes
    ----------
    input : dict
        ``name`` and ``sha256`` of the raw file.
    geometry : Geometry
    times : float64 array, (n_spokes,)
        Seconds from the start of the scan.
    warnings : tuple of str
    described : dict
        What a run tells of its scan; its name, hash and warnings stand elsewhere in ``run.json``.
    """

    input: dict[str, Any]
    geometry: Geometry
    times: np.ndarray
    warnings: tuple[str, ...]
    described: dict[str, Any]


def facts_of(scan: Acquisition, file_name: str) -> Facts:
    """Return what is to be kept of a scan that was read from a file of this name."""
    described = {k: v for k, v in describe(scan).items() if k not in ("name", "sha256", "warnings")}
    source = {"name": file_name, "sha256": scan.sha256}
    return Facts(source, scan.geometry, scan.times, scan.warnings, described)


def header(status: str, config: Config, file_name: str, facts: Facts | None) -> dict[str, Any]:
    """Return every key of a ``run.json`` before there are results; no facts if nothing was read yet."""
    return {
        "schema_version": SCHEMA_VERSION,
        "status": status,
        "csiq": __version__,
        "config": config.as_dict(),
        "config_sha256": config.sha256(),
        "input": facts.input if facts is not None else {"name": file_name, "sha256": None},
        "model": None,
        "device": str(choose_device(config.run.device)),
        "threads": config.run.threads or default_threads(),
        "seed": config.run.seed,
        "lamda_abs": None,
        "iterations": None,
        "stop": None,
        "returned_iteration": None,
        "counterfactual": {},
        "seconds": {},
        "warnings": list(facts.warnings) if facts is not None else [],
    }


def so_far(status: str, history: History, config: Config) -> dict[str, Any]:
    """Return what is known of a run that ended early, model and warnings apart."""
    reason = "interrupted" if status == "interrupted" else None
    rules = compared_rules(config)
    return {
        "iterations": history.last.iteration,
        "stop": {"iteration": history.last.iteration, "reason": reason, "rule": None},
        "returned_iteration": one_or_each(returned_iterations(history, config.stop.return_)),
        "counterfactual": counterfactual(history, rules),
        "rules": {rule.name: rule.sentence() for rule in rules},
        "seconds": {"recon": history.last.recon_s, "grading": history.last.grading_s},
    }


def one_or_each(iterations: tuple[int, ...]) -> int | list[int]:
    """Return the iteration of all phases if it is one, otherwise that of each."""
    return iterations[0] if len(set(iterations)) == 1 else list(iterations)


def result_json(result: Result, described: dict[str, Any]) -> dict[str, Any]:
    """Return what ``run.json`` says of a result; the contract's keys, then those the report shows."""
    signal, grades = result.signal, result.grades
    content: dict[str, Any] = {
        "model": result.model or None,
        "device": result.device,
        "threads": result.threads,
        "lamda_abs": result.lamda_abs,
        "iterations": result.history.last.iteration,
        "stop": result.stop.as_json(),
        "counterfactual": result.counterfactual,
        "rules": {rule.name: rule.sentence() for rule in result.rules},
        "warnings": list(result.warnings),
        "scan": described | {"n_coils_used": result.n_coils},
        "grading": {
            "in_domain": [g.in_domain if g is not None else None for g in grades],
            "interval": [g.interval if g is not None else None for g in grades],
            "uncertainty": [g.uncertainty if g is not None else None for g in grades],
        },
        "rescan": result.rescan.as_json() if result.rescan is not None else None,
    }
    if signal is not None:
        content["gating"] = {
            "source": signal.source,
            "orientation": signal.orientation,
            "confidence": signal.confidence,
            "snr": signal.snr,
            "frequency_hz": signal.frequency,
            "edges": result.bins.edges,
            "counts": list(result.bins.counts),
        }
    return content
