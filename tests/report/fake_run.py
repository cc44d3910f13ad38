"""A run folder as the pipeline writes it, made of formulas, to test report and commands on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from csiq.history import COLUMNS, History, Step
from csiq.ranking import rank_numbers
from csiq.stopping import GradePlateau, counterfactual, first_to_fire, plateau_rules, returned_iteration

FINAL = (2.05, 2.31, 1.86, 1.42)


def history(n_phases: int = 4, n_iterations: int = 8, final: tuple[float, ...] = FINAL) -> History:
    """Grades that rise to ``final`` and a cost that falls, as in the paper's Figure 6."""
    steps = []
    for k in range(n_iterations + 1):
        rise = 1 - math.exp(-k / 1.8)
        data, penalty = 4.2e4 * math.exp(-k / 1.3) + 6.1e3, 2.0e3 + 900 * math.exp(-k / 3)
        grades = tuple(0.35 + (final[p % len(final)] - 0.35) * rise for p in range(n_phases))
        steps.append(Step(k, data + penalty, data, penalty, grades, (0.38,) * n_phases, 4.1 * k, 1.6 * k))
    return History(steps)


def run_json(made: History, **more: Any) -> dict[str, Any]:
    """``run.json`` of a finished run that stopped at the plateau of its grade."""
    from csiq.config import load_config

    rules = plateau_rules(GradePlateau())
    stop = first_to_fire(made, rules) or None
    config = load_config(overrides={"stop_on_plateau": True, "phases": made.n_phases, "coils": 6})
    content = {
        "schema_version": 1,
        "status": "complete",
        "csiq": "0.1.0",
        "config": config.as_dict(),
        "config_sha256": config.sha256(),
        "input": {"name": "thorax-17.h5", "sha256": "3f" * 32},
        "model": {"name": "ours", "sha256": "a9" * 32, "use": "Research use only: after one site's readers."},
        "device": "cpu",
        "threads": 2,
        "seed": 0,
        "lamda_abs": 13.07,
        "iterations": len(made) - 1,
        "stop": stop.as_json()
        if stop
        else {"iteration": len(made) - 1, "reason": "max_iter", "rule": "max_iter"},
        "returned_iteration": returned_iteration(made),
        "counterfactual": counterfactual(made, rules),
        "seconds": {
            "load": 3.1,
            "gating": 1.2,
            "coils": 4.9,
            "setup": 2.2,
            "recon": 36.9,
            "grading": 14.4,
            "output": 1.8,
        },
        "warnings": [],
        "scan": {
            "n_coils": 8,
            "n_coils_used": 6,
            "n_spokes": 5150,
            "n_samples": 256,
            "n_navigators": 234,
            "n_heartbeats": 234,
            "nyquist_fraction": 0.2,
            "matrix": [128, 128, 128],
            "fov_mm": [208.0, 208.0, 208.0],
            "voxel_size_mm": [1.625, 1.625, 1.625],
            "duration_s": 251.0,
            "triggered": True,
            "system": {"field_T": 1.5, "TR_s": 0.0031},
        },
        "gating": {"source": "si", "orientation": "end-expiration-up", "confidence": 0.94, "snr": 11.3},
        "grading": {"in_domain": [True] * made.n_phases, "interval": [(2.25, 3.5)] * made.n_phases},
    }
    return {**content, **more}


def write_tsv(path: Path, columns: tuple[str, ...], rows: list[dict[str, float]]) -> None:
    lines = ["\t".join(columns), *("\t".join(repr(row[c]) for c in columns) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def breathing_rows(n_phases: int, n_heartbeats: int = 234, per_heartbeat: int = 22) -> list[dict[str, float]]:
    """An irregular breath with drift, constant within a heartbeat, in bins of equal counts."""
    beats = np.arange(n_heartbeats)
    angle = 2 * np.pi * beats * 0.31 + 0.6 * np.sin(beats / 13)
    displacement = -(np.abs(np.sin(angle / 2)) ** 4) * (1 + 0.2 * np.sin(beats / 9)) - 0.0012 * beats
    order = np.argsort(np.argsort(-displacement))
    phase = 1 + order * n_phases // n_heartbeats
    return [
        {
            "spoke": int(b) * per_heartbeat + s,
            "time_s": float(b) * 1.07 + 0.0031 * s,
            "signal": float(displacement[b]),
            "phase": int(phase[b]),
        }
        for b in beats
        for s in range(per_heartbeat)
    ]


def thorax(n: int, blur: float, rng: np.random.Generator) -> np.ndarray:
    """A bright heart between dark lungs over a liver, float32 (x, y, z) in RAS; ``blur`` voxels of motion."""
    from scipy.ndimage import gaussian_filter

    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n)] * 3, indexing="ij")

    def ball(cx: float, cy: float, cz: float, rx: float, ry: float, rz: float) -> np.ndarray:
        return ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2 < 1

    image = 0.45 * ball(0, 0, 0, 0.98, 0.75, 1.6)
    image[ball(0.55, 0, 0.25, 0.38, 0.55, 0.9) | ball(-0.6, 0, 0.25, 0.33, 0.55, 0.9)] = 0.05
    image[ball(0.5, 0, -0.95, 0.75, 0.6, 0.55)] = 0.5  # the liver, on the patient's right
    image[ball(-0.1, 0.15, 0, 0.42, 0.38, 0.42)] = 0.35
    image[ball(-0.2, 0.15, -0.05, 0.22, 0.2, 0.28)] = 1.0
    image[ball(0.12, 0.22, 0.02, 0.13, 0.16, 0.22)] = 0.85
    image[(x - 0.02) ** 2 + (y + 0.1) ** 2 < 0.1**2] = 0.9
    image[(x + 0.42) ** 2 + (y - 0.4 + 0.2 * z**2) ** 2 < 0.025**2] = 0.9
    image = gaussian_filter(image, [0.4, 0.4, 0.4 + blur]) + rng.normal(0, 0.03, image.shape)
    return np.abs(image).astype(np.float32)


def write_run_folder(
    folder: Path, n: int = 24, n_phases: int = 4, made: History | None = None, **more: Any
) -> Path:
    """Write a run folder and return its path.

    Parameters
    ----------
    folder : Path
    n : int
        Voxels along each edge.
    n_phases : int
    made : History, optional
    more
        Keys of ``run.json`` that replace the usual ones.
    """
    made = made or history(n_phases)
    folder.mkdir(parents=True, exist_ok=True)
    content = run_json(made, **more)
    (folder / "run.json").write_text(json.dumps(content), encoding="utf-8")
    write_tsv(folder / "curves.tsv", COLUMNS, made.rows())
    write_tsv(folder / "respiration.tsv", ("spoke", "time_s", "signal", "phase"), breathing_rows(n_phases))
    if isinstance(content["returned_iteration"], int) and made.is_graded:
        step = made.steps[content["returned_iteration"]]
        ranking = rank_numbers(step.grades, step.grade_sds).as_json()
        (folder / "ranking.json").write_text(json.dumps(ranking), encoding="utf-8")
    rng = np.random.default_rng(3)
    affine = np.diag([-208 / n, -208 / n, 208 / n, 1.0])  # stored as LPS
    affine[:3, 3] = [104.0, 104.0, -104.0]
    for phase in range(1, n_phases + 1):
        stored = thorax(n, 0.02 * n * (phase - 1), rng)[::-1, ::-1]
        image = nibabel.Nifti1Image(np.ascontiguousarray(stored), affine)
        nibabel.save(image, folder / f"phase-{phase}.nii.gz")
    return folder
