"""Hearts that several tests measure, and how a chamber is measured on voxels."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from csiq.simulate.anatomy import Patient
from csiq.simulate.anatomy.patient import packed
from csiq.simulate.anatomy.raster import paint
from csiq.simulate.anatomy.shapes import Grid, Shape
from csiq.simulate.motion import MotionState

#: Every seed builds a heart: more of them in the slow tests.
SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 9))]


@cache
def heart_of(seed: int) -> Patient:
    """Return the patient of a seed, whose heart is built once."""
    return Patient.from_seed(seed)


def share_of(patient: Patient, names: tuple[str, ...], grid: Grid, displacement: float = 0.0) -> np.ndarray:
    """Return how much of each voxel shows shapes of some names; mouths of vessels are left out."""
    mouths = {id(shape) for shape in patient.organ.vessels.mouths}
    shapes: tuple[Shape, ...] = tuple(s for s in patient.organ.shapes if id(s) not in mouths)
    values = [float(shape.name in names) for shape in shapes]
    return paint(packed(patient, shapes, MotionState(displacement)), values, grid)


def volume_ml(share: np.ndarray, grid: Grid) -> float:
    """Return the volume of shares of voxels."""
    return float(share.sum(dtype=np.float64) * np.prod(grid.voxel_size) / 1000)
