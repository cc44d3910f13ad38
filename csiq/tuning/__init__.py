"""Lambda by quality: reconstruct a scan with several weights of the penalty, and advise one by its grades.

``docs/tuning.md`` says how it is used and what keeps the grader from being gamed.
"""

from __future__ import annotations

from csiq.tuning.choice import LEAST_DIFFERENCE, Choice, choose, truth_of
from csiq.tuning.lamdas import POINTS, REACH, lamda_grid, with_home
from csiq.tuning.point import Point, phase_difference, point_of
from csiq.tuning.sweeping import Sweep, sweep

__all__ = [
    "LEAST_DIFFERENCE",
    "POINTS",
    "REACH",
    "Choice",
    "Point",
    "Sweep",
    "choose",
    "lamda_grid",
    "phase_difference",
    "point_of",
    "sweep",
    "truth_of",
    "with_home",
]
