"""Made-up points of a sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence

from csiq.tuning import Point, Sweep

LAMDAS = (0.002, 0.0043, 0.0093, 0.02, 0.043, 0.093, 0.2)


def point(lamda: float, grade: float, **other) -> Point:
    """Return a point whose phases lie about a mean grade."""
    content = {
        "lamda_abs": 26.0 * lamda,
        "iterations": 7,
        "returned": (6,) * 4,
        "stop_reason": "plateau",
        "stop_rule": "grade_plateau_mean",
        "grades": tuple(grade + offset for offset in (0.1, 0.0, 0.0, -0.1)),
        "grade_sds": (0.3,) * 4,
        "uncertainties": (math.nan,) * 4,
        "in_domain": True,
        "cost_data": 100.0 + lamda,
        "cost_penalty": 10 * lamda,
        "phase_difference": 0.3,
        "nrmse": (),
        "reference": (),
        "seconds": 3.0,
    }
    return Point(lamda=lamda, **(content | other))


def sweep_of(grades: Sequence[float], lamdas: Sequence[float] = LAMDAS, home: float = 0.02, **other) -> Sweep:
    """Return a sweep of mean grades, by rising weight."""
    return Sweep(tuple(point(each, g, **other) for each, g in zip(lamdas, grades, strict=True)), home)
