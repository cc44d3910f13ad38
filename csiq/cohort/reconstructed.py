"""The iterates of a patient's reconstruction as they are graded: all coils, csiq's own steps and defaults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from csiq.arrays import Device
from csiq.cohort.database import PatientImage
from csiq.cohort.images import GradedImage, OneCoilScan, graded_volume
from csiq.cohort.iterates import Kept, ScanSize, kept_of
from csiq.cohort.patients import CohortPatient
from csiq.cohort.raw import scan_config
from csiq.coils import estimate_smaps
from csiq.config import Config
from csiq.preparation import gate, prepare_coils, set_up
from csiq.quality.features import measure
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.coils import CoilArray
from csiq.simulate.scan import simulate_scan
from csiq.simulate.setting import Setting
from csiq.solvers import solve


@dataclass(frozen=True)
class RootSumOfSquares:
    """How an image shades that was combined from all coils with noise whitened: one coil, for its truth.

    Attributes
    ----------
    loops : CoilArray
    """

    loops: CoilArray

    @property
    def n_coils(self) -> int:
        """One."""
        return 1

    def sensitivities(self, grid: Grid, *, threads: int | None = None) -> np.ndarray:
        """Return the shading, complex64 (1, *grid.shape)."""
        whitener = np.linalg.inv(np.linalg.cholesky(self.loops.noise_covariance()))
        maps = self.loops.sensitivities(grid, threads=threads)
        seen = np.tensordot(whitener.astype(np.complex64), maps, axes=1)
        return np.linalg.norm(seen, axis=0)[None].astype(np.complex64)


def iterate_images(patient: CohortPatient, size: ScanSize) -> Iterator[tuple[Kept, PatientImage]]:
    """Scan and reconstruct a patient; yield the volumes that are kept, measured, with what they are.

    Each is measured against the patient at the mean displacement of its phase's spokes, the heart at the mean
    of its places.

    Raises
    ------
    RawDataError
        If no breathing is found, or an image shows nothing.
    """
    for one, made in reconstructed(scanned(patient, size), kept_of(patient)):
        yield one, PatientImage(made.volume, made.affine, measure(made.volume, made.truth), made.details)


def scanned(patient: CohortPatient, size: ScanSize) -> OneCoilScan:
    """Return the raw scan of a patient; its ``coil`` is how images of all coils shade."""
    config = scan_config(patient, size.matrix, size.n_coils)
    scan, truth = simulate_scan(config, threads=1)
    assert truth.heart is not None  # always, of a simulated scan
    setting = Setting.of(config)
    return OneCoilScan(setting, RootSumOfSquares(setting.coils), scan, truth.breathing, truth.heart)


def reconstructed(known: OneCoilScan, kept: tuple[Kept, ...]) -> Iterator[tuple[Kept, GradedImage]]:
    """Reconstruct a scan as ``csiq recon`` does; yield the volumes that are kept, each with its truth.

    Parameters
    ----------
    known : OneCoilScan
        Of any number of coils.
    kept : tuple of Kept
        In order of iteration.
    """
    config = Config()
    scan = prepare_coils(known.acquisition, config)
    _, bins = gate(scan, config)
    problem = set_up(scan, bins, estimate_smaps(scan, threads=1), config, Device(), 1)
    of_phase: dict[int, GradedImage] = {}  # truths take as long as iterates, and a phase has one
    for iterate in solve(problem, config.solver.solver, kept[-1].iteration):
        for one in (one for one in kept if one.iteration == iterate.iteration):
            index = one.phase - 1
            volume = np.abs(iterate.volumes[index])
            details = {"kind": "cs", "phase": one.phase, "iteration": one.iteration}
            if one.phase not in of_phase:
                made = graded_volume(known, volume, bins.indices[index], known.heart, details)
                of_phase[one.phase] = made
            first = of_phase[one.phase]
            yield one, replace(first, volume=volume.astype(np.float32), details={**first.details, **details})
