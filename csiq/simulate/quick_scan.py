"""A patient on the grid of a reconstruction, under loops, without a scan: coarse anatomy to grade in tests.

The network that ships was trained on scans of such scenes; its tests still grade them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.simulate.anatomy import Patient, rasterise
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.coils import CoilArray
from csiq.simulate.motion import MotionState

FOV = 208.0


@dataclass(frozen=True)
class Scene:
    """A patient on a reconstruction grid, under coils.

    Attributes
    ----------
    patient : Patient
    grid : Grid
        Of the reconstruction.
    shading : float32 array, (z, y, x)
        Root sum of squares of the sensitivities, which stays in an image combined with maps of unit root sum
        of squares.
    """

    patient: Patient
    grid: Grid
    shading: np.ndarray

    @classmethod
    def make(cls, patient: Patient, n: int, n_coils: int, rng: np.random.Generator) -> Scene:
        """Return the scene of ``n`` voxels an axis; the heart lies near the centre, as on a scanner."""
        z, y, x = (float(c) for c in rng.uniform(-6, 6, 3))
        grid = Grid.cube(n, FOV, (z, y, x))
        maps = CoilArray.around(patient.body, n_coils, rng).sensitivities(grid, threads=1)
        return cls(patient, grid, np.sqrt(np.sum(np.abs(maps) ** 2, axis=0)))

    def image(self, displacement: float) -> np.ndarray:
        """Return the patient on the reconstruction grid, float32."""
        return rasterise(self.patient, self.grid, MotionState(displacement), threads=1)
