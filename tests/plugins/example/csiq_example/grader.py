"""A grader in three lines."""

from __future__ import annotations

import numpy as np


def contrast(volume: np.ndarray, voxel_size: tuple[float, float, float]) -> tuple[float, float]:
    """Return twice the coefficient of variation as grade, with a spread that is made up."""
    return 2 * float(volume.std() / volume.mean()), 0.05
