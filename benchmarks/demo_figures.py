"""The demo scan in numbers: the plateau, NRMSE and grade at the start, at the stop and at iteration 20.

    python benchmarks/demo_figures.py [matrix] [seed ...]

All iterations are computed (shadow mode); the table says what stopping would have saved and cost.
"""

from __future__ import annotations

import sys

import numpy as np
from harness import report

from csiq.config import load_config
from csiq.pipeline import reconstruct
from csiq.simulate import ScanConfig, simulate_scan


def nrmse(volumes: np.ndarray, truth: np.ndarray, rim: int) -> float:
    """Return the mean error of magnitudes against the truth inside the rim, each phase's scale fitted."""
    inside = (slice(rim, -rim),) * 3
    errors = []
    for volume, true in zip(volumes, truth, strict=True):
        magnitude, true = np.abs(volume[inside]).astype(np.float64), true[inside]
        magnitude *= np.sum(magnitude * true) / np.sum(magnitude**2)
        errors.append(np.linalg.norm(magnitude - true) / np.linalg.norm(true))
    return float(np.mean(errors))


def main(matrix: int = 128, *seeds: int) -> None:
    rows = []
    for seed in seeds or (0,):
        scan, truth = simulate_scan(ScanConfig(matrix=matrix, seed=seed))
        rim = round(10 / scan.geometry.voxel_size[0])  # the simulator paints the outer 10 mm coarsely
        errors: dict[int, float] = {}

        def look(iterate, history, kept, errors=errors, truth=truth, rim=rim):  # type: ignore[no-untyped-def]
            errors[iterate.iteration] = nrmse(iterate.volumes, truth.volumes, rim)

        config = load_config(overrides={"stop_on_plateau": True, "shadow": True, "coils": 6, "device": "cpu"})
        result = reconstruct(scan, config, on_iterate=look)
        stop = result.counterfactual["grade_plateau_mean"]
        steps, last = result.history.steps, result.history.last.iteration
        at = stop if stop is not None else last
        rows.append(
            (
                seed,
                stop if stop is not None else "none",
                " / ".join(f"{errors[k]:.3f}" for k in (0, at, last)),
                " / ".join(f"{steps[k].mean_grade:.2f}" for k in (0, at, last)),
                f"{max(g1 - g0 for g0, g1 in zip(steps[at].grades, steps[last].grades, strict=True)):+.2f}",
                f"{steps[at].recon_s:.0f} + {steps[at].grading_s:.1f}",
                f"{steps[last].recon_s:.0f} + {steps[last].grading_s:.1f}",
                " ".join(f"{s.mean_grade:.2f}" for s in steps),
                " ".join(f"{s.cost / steps[0].cost:.4f}" for s in steps),
            )
        )
    report(
        f"Demo scan {matrix}^3: what the plateau saves and costs",
        (
            "seed",
            "plateau",
            "NRMSE 0 / stop / 20",
            "mean grade 0 / stop / 20",
            "most grade lost by a phase",
            "s to stop (recon + grading)",
            "s to 20",
            "mean grades",
            "cost / cost_0",
        ),
        rows,
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
