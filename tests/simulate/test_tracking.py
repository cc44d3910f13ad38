"""Motion measured in reconstructed images against the law that made it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, map_coordinates
from scipy.optimize import least_squares

from csiq.density import density_compensation
from csiq.nufft import Nufft
from csiq.simulate.anatomy import Patient, heart_mask
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.motion import Affine, Coupling, MotionState
from csiq.simulate.protocol import ScanConfig
from csiq.simulate.signal import Scene, moving_kspace
from csiq.simulate.truth import recon_grid
from csiq.trajectory import phyllotaxis, radial_coord

CONFIG = ScanConfig(seed=3, matrix=36, n_coils=1)
#: End-expiration, a place between two painted states, and deep inspiration, mm.
LEVELS = (0.0, 9.3, 17.0)
AXIS = np.array([-0.53, 0.58, -0.62])  # from base to apex


class EvenCoil:
    """One coil that sees everything alike, so that images move as the heart does and are not shaded."""

    n_coils = 1

    def sensitivities(self, grid: Grid, *, threads: int | None = None) -> np.ndarray:
        """Return ones."""
        return np.ones((1, *grid.shape), np.complex64)


@dataclass
class Seen:
    """Images of one patient at several displacements, on one grid."""

    patient: Patient
    grid: Grid
    images: list[np.ndarray]

    def measured(self, number: int, where: np.ndarray) -> Affine:
        """Return the affine map that takes a part of the first image to where another has it.

        It starts from no motion at all.
        """
        corners = np.stack(np.meshgrid(*(self.grid.axis(a) for a in range(3)), indexing="ij"), -1)
        points, before = corners[where], self.images[0][where]

        def difference(numbers: np.ndarray) -> np.ndarray:
            at = self.grid.index_of(as_map(numbers)(points))
            return map_coordinates(self.images[number], at.T, order=3, mode="nearest") - before

        return as_map(least_squares(difference, np.zeros(12), diff_step=0.01, x_scale=1.0).x)


def as_map(numbers: np.ndarray) -> Affine:
    """Return the affine map of twelve numbers in mm: a translation, and how it differs 50 mm away."""
    return Affine(np.eye(3) + numbers[3:].reshape(3, 3) / 50, numbers[:3])


@pytest.fixture(scope="module")
def seen() -> Seen:
    grid = recon_grid(CONFIG)
    # turns and shortens three times as much as people's hearts, so that voxels of 5.8 mm show it
    patient = replace(Patient.from_seed(3), coupling=Coupling(0.5, 0.25, 0.1, 0.012, 0.006, 0.004))
    coord = radial_coord(phyllotaxis(34, 30), CONFIG.matrix, CONFIG.n_samples)
    moved = np.repeat(LEVELS, len(coord))
    scene = Scene.build(patient, EvenCoil(), CONFIG)
    kspace = moving_kspace(scene, np.concatenate([coord] * len(LEVELS)), moved)[0]
    nufft, dcf = Nufft(coord, CONFIG.geometry.shape), density_compensation(coord)
    parts = np.split(kspace, len(LEVELS))
    return Seen(patient, grid, [np.real(np.asarray(nufft.adjoint(part * dcf))) for part in parts])


@pytest.mark.parametrize("number", [1, 2])
def test_the_heart_in_an_image_is_where_the_law_puts_it(seen: Seen, number: int) -> None:
    law = seen.patient.coupling.heart_map(MotionState(LEVELS[number]))
    heart = binary_erosion(heart_mask(seen.patient, seen.grid), iterations=1)
    found = seen.measured(number, heart)
    apex, base = 50 * AXIS, -35 * AXIS
    for landmark in (np.zeros(3), apex, base):
        assert np.linalg.norm(found(landmark) - law(landmark)) < 0.6  # a tenth of a voxel
    moved = [f(apex) - f(base) - (apex - base) for f in (found, law)]
    assert np.linalg.norm(moved[1]) > 2
    assert np.linalg.norm(moved[0] - moved[1]) < 0.3 * np.linalg.norm(moved[1])
    assert np.linalg.norm(law.shift) > 4
