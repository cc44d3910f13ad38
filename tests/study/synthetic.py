"""Records of scans whose numbers are known: no image, no network, no reconstruction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from csiq.study.curves import Curves, stacked
from csiq.study.record import PartRecord


def record(
    grade: np.ndarray,
    reference: np.ndarray | None = None,
    *,
    cost: Sequence[float] | None = None,
    nrmse: np.ndarray | None = None,
    seconds: float = 2.0,
    grading: float = 0.5,
    **facts: Any,
) -> PartRecord:
    """Return the record of grades (n_iterations + 1, n_phases); the reference is the grade by default.

    An iteration takes ``seconds``, grading an iterate ``grading``. The cost halves its way to 1 at each
    iteration by default.
    """
    grade = np.asarray(grade, float)
    reference = grade if reference is None else np.asarray(reference, float)
    nrmse = np.full(grade.shape, 0.2) if nrmse is None else np.asarray(nrmse, float)
    rows = []
    for k, row in enumerate(grade):
        joint = 1.0 + 0.5**k if cost is None else float(cost[k])
        for p, value in enumerate(row):
            rows.append(
                {
                    "iteration": k,
                    "phase": p + 1,
                    "grade": float(value),
                    "grade_sd": 0.0,
                    "cost": joint,
                    "cost_data": joint,
                    "cost_penalty": 0.0,
                    "recon_s": seconds * k,
                    "grading_s": grading * (k + 1),
                    "uncertainty": 0.1,
                    "in_domain": 1.0,
                    "reference": float(reference[k, p]),
                    "nrmse": float(nrmse[k, p]),
                    "sharpness": 0.5,
                    "cleanliness": 0.8,
                }
            )
    return PartRecord(rows, {"seconds": {"recon": seconds * (len(grade) - 1)}, **facts})


def motion(*heart: float) -> list[dict[str, float]]:
    """Return what a record says of the motion in its phases."""
    return [
        {"phase": p, "heart_sd_mm": mm, "signal_sd": mm / 10, "others": 0.1}
        for p, mm in enumerate(heart, start=1)
    ]


def rising(top: Sequence[float], at: int, n: int = 20) -> np.ndarray:
    """Return grades that rise evenly from 0.3 to ``top`` at iteration ``at`` and stay: (n + 1, n_phases)."""
    share = np.minimum(np.arange(n + 1) / at, 1.0)[:, None]
    return np.asarray(0.3 + share * (np.asarray(top, float) - 0.3)[None])


def curves(records: Sequence[PartRecord], selfnav: Sequence[float] | None = None, n: int = 20) -> Curves:
    """Stack records of patients 1, 2, ..."""
    named = {f"p{i:03d}": one for i, one in enumerate(records, start=1)}
    grades = [float("nan")] * len(records) if selfnav is None else list(selfnav)
    return stacked("pnlcg", named, grades, n)


def many(n: int = 24, seed: int = 0) -> list[PartRecord]:
    """Return records of scans that rise to different heights at different iterations, with some noise."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        middle, at = rng.uniform(0.8, 3.4), int(rng.integers(4, 12))
        top = middle + np.array([0.1, 0.2, -0.1, -0.5]) * rng.uniform(0.5, 1.5)
        reference = rising(top, at)
        grade = reference + 0.01 * rng.standard_normal(reference.shape) + 0.1 * rng.standard_normal(4)
        nrmse = 0.3 - 0.05 * reference
        heart = motion(*(1.0 + 0.2 * rng.standard_normal(4) ** 2 + [0.2, 0.0, 0.3, 0.8]))
        found.append(record(grade, reference, nrmse=nrmse, phases=heart))
    return found
