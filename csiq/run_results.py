"""The files of a finished reconstruction: images with their sidecars, breathing, rules in the shadow."""

from __future__ import annotations

from typing import Any

import numpy as np

from csiq._version import __version__
from csiq.io.nifti import write_nifti
from csiq.io.run_folder import RunFolder
from csiq.quality.origin import origin
from csiq.result import Result
from csiq.run_json import Facts
from csiq.shadow import shadow_table
from csiq.stopping import Return, hindsight_rules
from csiq.truth_table import TruthTable

#: Magnitudes are written so that this percentile of the gridded image becomes 1000.
_BRIGHT_PERCENTILE = 99.9


def bright_level(volumes: np.ndarray) -> float:
    """Return the magnitude that the written images put at 1000: one scale for all phases and iterates."""
    return float(np.percentile(np.abs(volumes[:, ::2, ::2, ::2]), _BRIGHT_PERCENTILE))


def write_images(folder: RunFolder, result: Result, facts: Facts, bright: float, config_sha256: str) -> None:
    """Write ``phase-1.nii.gz`` and so on, each with a sidecar that says what it is and what grade it has.

    Parameters
    ----------
    folder : RunFolder
    result : Result
    facts : Facts
    bright : float
        Magnitude that becomes 1000; see :func:`bright_level`.
    config_sha256 : str
    """
    scale = 1000 / bright if bright > 0 else 1.0
    of_run = {
        "scale": scale,
        "voxel_size_mm": list(result.geometry.voxel_size),
        "orientation_known": result.geometry.known,
        "config_sha256": config_sha256,
        "input": facts.input,
        "model": result.model or None,
        "note": f"research use; graded by {origin(result.model)}" if result.model else "research use",
    }
    for phase, volume in enumerate(result.volumes, start=1):
        sidecar = _of_phase(result, phase, facts) | of_run
        magnitude = (np.abs(volume) * np.float32(scale)).astype(np.float32)
        write_nifti(folder.path / f"phase-{phase}.nii.gz", magnitude, result.geometry, sidecar=sidecar)


def _of_phase(result: Result, phase: int, facts: Facts) -> dict[str, Any]:
    grade = result.grades[phase - 1]
    return {
        "csiq": __version__,
        "phase": phase,
        "n_phases": len(result.volumes),
        "iteration": result.iterations[phase - 1],
        "grade": grade.grade if grade is not None else None,
        "grade_sd": grade.grade_sd if grade is not None else None,
        "in_domain": grade.in_domain if grade is not None else None,
        "interval": grade.interval if grade is not None else None,
        "calibrated": grade.calibrated if grade is not None else None,
        "simulated": facts.described["system"].get("vendor") == "simulated",
    }


def write_respiration(folder: RunFolder, result: Result, times: np.ndarray) -> None:
    """Write ``respiration.tsv``: time, breathing signal and phase of each spoke."""
    signal = result.signal.values if result.signal is not None else np.full(times.size, np.nan)
    rows = [
        {"spoke": spoke, "time_s": float(seconds), "signal": float(value), "phase": int(phase)}
        for spoke, (seconds, value, phase) in enumerate(
            zip(times, signal, result.bins.phase_of_spoke, strict=True)
        )
    ]
    folder.write_table("respiration.tsv", rows, ("spoke", "time_s", "signal", "phase"))


def write_shadow(
    folder: RunFolder, result: Result, truth: TruthTable | None, how: Return
) -> list[dict[str, Any]]:
    """Write ``shadow.tsv`` and return the records of ``run.json``."""
    rules = (*result.rules, *hindsight_rules())
    rows = shadow_table(result.history, rules, truth.curve if truth is not None else None, how)
    folder.write_table("shadow.tsv", [row.as_cells() for row in rows])
    return [row.as_json() for row in rows]
