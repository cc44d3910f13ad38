"""The images that readers and formula grade: scans of drawn patients, reconstructed by csiq itself.

Every fault of such an image is one of its scan (few spokes, motion, noise, what goes wrong on a scanner) and
of the operators that reconstruct it; nothing is blurred afterwards. What is saved against
:func:`csiq.simulate.scan.simulate_scan` is one virtual coil in place of many and transforms of 1e-3, far
below the noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from csiq.acquisition import Acquisition, Navigators
from csiq.arrays import Device
from csiq.cohort.one_coil import OneCoil
from csiq.cohort.patients import CohortPatient
from csiq.cohort.recipe import N_PHASES, ImageRecipe
from csiq.config import Config, Gating
from csiq.density import density_compensation
from csiq.errors import RawDataError
from csiq.gating import correct_shift, spoke_shift
from csiq.nufft import Nufft
from csiq.preparation import gate, set_up
from csiq.quality.features import HeartTruth
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.anatomy.truth import heart_truth
from csiq.simulate.imperfections import Imperfections
from csiq.simulate.layers import Coils
from csiq.simulate.motion import MotionState
from csiq.simulate.noise import add_noise
from csiq.simulate.protocol import ScanConfig
from csiq.simulate.sensitivity import Maps
from csiq.simulate.setting import Setting
from csiq.simulate.signal import Detail, Scene, moving_kspace
from csiq.solvers import solve

_N_LOOPS = 8
_EPS = 1e-3  # of simulating and gridding: what it leaves lies far below noise and streaks
_DETAIL = Detail(finer=1.1, body_voxel=2.5, eps=_EPS)


@dataclass(frozen=True)
class GradedImage:
    """One image to grade, and the truth about it.

    Attributes
    ----------
    volume : float32 array, (z, y, x)
        Magnitude.
    affine : float64 array, (4, 4)
        Voxel (x, y, z) to RAS mm.
    truth : HeartTruth
        The patient with the heart at the mean of the places it had in the image.
    details : dict
        How the image came about: ``kind``, ``phase``, ``iteration``, ``spokes``, ``nyquist``,
        ``heart_spread_mm`` (SD of the heart's place in the image), ``displacement_mm``.
    """

    volume: np.ndarray
    affine: np.ndarray
    truth: HeartTruth
    details: dict[str, Any]


@dataclass(frozen=True)
class OneCoilScan:
    """A simulated scan of one virtual coil, and what nobody knows of it.

    Attributes
    ----------
    setting : Setting
    coil : OneCoil
        Or another coil that shades images as the scan's do.
    acquisition : Acquisition
    displacement : float64 array, (n_spokes,)
        Of the diaphragm at each imaging spoke, mm.
    heart : float64 array, (n_spokes, 3)
        Where each imaging spoke finds the middle of the heart, mm z y x.
    """

    setting: Setting
    coil: Coils
    acquisition: Acquisition
    displacement: np.ndarray
    heart: np.ndarray


def make_image(source: ImageRecipe | CohortPatient) -> GradedImage:
    """Return the image of a recipe, or of a cohort's patient.

    Equal recipes give equal images, to the bit.
    """
    recipe = source if isinstance(source, ImageRecipe) else ImageRecipe.of(source)
    scan = scan_of(recipe)
    if recipe.kind == "cs":
        return _last(iterates_of(scan, recipe.iteration, phases=(recipe.phase,), keep=(recipe.iteration,)))
    if recipe.kind == "phase":
        return gridded_phase(scan, recipe.phase)
    return gridded(scan, corrected=recipe.kind == "selfnav")


def iterates(
    recipe: ImageRecipe, *, keep: tuple[int, ...] | None = None, phases: tuple[int, ...] = (1, 2, 3, 4)
) -> Iterator[GradedImage]:
    """Yield the iterates of one reconstruction, phase after phase of each; iteration 0 is the gridded image.

    Parameters
    ----------
    recipe : ImageRecipe
        Its ``iteration`` is the last; its ``kind`` and ``phase`` do not matter.
    keep : tuple of int, optional
        Iterations to yield; all by default.
    phases : tuple of int
    """
    yield from iterates_of(scan_of(recipe), recipe.iteration, phases=phases, keep=keep)


def scan_of(recipe: ImageRecipe, imperfections: Imperfections | None = None) -> OneCoilScan:
    """Return the simulated scan of a recipe; with other imperfections than it draws, if given."""
    wrong = imperfections or Imperfections.drawn(
        recipe.imperfections, np.random.default_rng([recipe.seed, 4])
    )
    config = ScanConfig(
        seed=recipe.seed,
        matrix=recipe.matrix,
        n_spokes=recipe.n_spokes,
        n_coils=_N_LOOPS,
        snr=recipe.snr,
        dwell=recipe.dwell,
        n_interleaves=recipe.heartbeats,
        amplitude=recipe.amplitude,
        drift=recipe.drift,
        cardiac=recipe.residual,
        imperfections=wrong,
    )
    setting = Setting.of(config)
    coil = OneCoil.over_heart(setting.coils)
    scene = Scene.build(setting.patient, coil, config, _DETAIL)
    offset, moved = setting.heart_offset, setting.displacement
    kspace = moving_kspace(scene, setting.sampled, moved, heart_offset=offset)
    if config.imperfections.off_resonance:
        kspace *= setting.field.turn(config.since_echo)
    add_noise(kspace, coil.noise_covariance(), config.snr, np.random.default_rng([recipe.seed, 5]))
    kspace[:, setting.zeroed] = 0
    si, imaging = setting.played.is_navigator, ~setting.played.is_navigator & ~setting.missing
    heart = moved[:, None] * setting.patient.coupling.heart_direction + offset
    return OneCoilScan(
        setting, coil, _acquisition(setting, kspace, si, imaging), moved[imaging], heart[imaging]
    )


def gridded(scan: OneCoilScan, *, corrected: bool) -> GradedImage:
    """Return the image of all spokes, gridded with density compensation.

    Parameters
    ----------
    corrected : bool
        Whether the heart's head-foot motion, as the SI spokes show it, is taken out of k-space first. Where
        it drowns in noise the image is left uncorrected, and its details say so.
    """
    found, heart, name = scan.acquisition, scan.heart, "uncorrected"
    if corrected:
        try:
            shift = spoke_shift(found)
            found, name = correct_shift(found, shift), "selfnav"
            heart = heart - shift[:, None] * [1.0, 0.0, 0.0]
        except RawDataError:
            name = "selfnav failed"
    everything = np.arange(found.n_spokes)
    return graded_volume(scan, _adjoint(found, everything), everything, heart, {"kind": name})


def gridded_phase(scan: OneCoilScan, phase: int) -> GradedImage:
    """Return one of four breathing phases, gridded."""
    _, bins = gate(scan.acquisition, Config(gating=Gating(phases=N_PHASES)))
    spokes = bins.indices[phase - 1]
    volume = _adjoint(scan.acquisition, spokes)
    return graded_volume(scan, volume, spokes, scan.heart, {"kind": "phase", "phase": phase})


def iterates_of(
    scan: OneCoilScan, n_iter: int, *, phases: tuple[int, ...], keep: tuple[int, ...] | None = None
) -> Iterator[GradedImage]:
    """Yield iterates of the reconstruction of a scan that is there; see :func:`iterates`."""
    config = Config()
    found = scan.acquisition
    _, bins = gate(found, config)
    problem = set_up(found, bins, _unit_map(scan), config, Device(), 1)
    for iterate in solve(problem, config.solver.solver, n_iter):
        if keep is not None and iterate.iteration not in keep and not iterate.last:
            continue
        for phase in phases:
            details = {"kind": "cs", "phase": phase, "iteration": iterate.iteration}
            volume = np.abs(iterate.volumes[phase - 1])
            yield graded_volume(scan, volume, bins.indices[phase - 1], scan.heart, details)


def _acquisition(setting: Setting, kspace: np.ndarray, si: np.ndarray, imaging: np.ndarray) -> Acquisition:
    played = setting.played
    return Acquisition(
        kspace=kspace[:, imaging],
        coord=played.coord[imaging],
        times=played.times[imaging],
        heartbeat=played.heartbeat[imaging],
        geometry=setting.config.geometry,
        navigators=Navigators(kspace[:, si], played.times[si], played.heartbeat[si], played.coord[si]),
        triggered=True,
        name=f"patient-{setting.config.seed}",
    )


def _adjoint(scan: Acquisition, spokes: np.ndarray) -> np.ndarray:
    """Return the magnitude of the gridded image of some spokes."""
    coord = np.ascontiguousarray(scan.coord[spokes])
    weighted = scan.kspace[0, spokes] * density_compensation(coord)
    return np.abs(Nufft(coord, scan.geometry.shape, eps=_EPS).adjoint(weighted.astype(np.complex64)))


def _unit_map(scan: OneCoilScan) -> np.ndarray:
    seen = _map(scan)[None]
    return np.asarray(seen / np.abs(seen))


def _map(scan: OneCoilScan) -> np.ndarray:
    """Return the coil's map on the grid of the image, complex64."""
    grid = _grid(scan)
    return Maps.of(scan.coil, grid).times(0, np.ones(grid.shape, np.float32))


def _grid(scan: OneCoilScan, moved: np.ndarray | None = None) -> Grid:
    """Return the grid of the image as it lies in the patient, who has moved by ``moved`` mm."""
    geometry = scan.setting.config.geometry
    z, y, x = -np.zeros(3) if moved is None else -moved
    return Grid(geometry.shape, geometry.voxel_size, (float(z), float(y), float(x)))


def graded_volume(
    scan: OneCoilScan, volume: np.ndarray, spokes: np.ndarray, heart: np.ndarray, details: dict[str, Any]
) -> GradedImage:
    """Return an image with its truth: breathing at its mean, the heart at the mean of its places.

    Parameters
    ----------
    scan : OneCoilScan
    volume : float array, (z, y, x)
        Magnitude.
    spokes : int array
        Those that it was made of.
    heart : float64 array, (n_spokes, 3)
        Where the image has the heart at each spoke of the scan, mm z y x.
    details : dict
        How it was made.
    """
    found, patient = scan.acquisition, scan.setting.patient
    level = float(scan.displacement[spokes].mean())
    place = heart[spokes].mean(axis=0)
    grid = _grid(scan, place - patient.coupling.heart_shift(MotionState(level)))
    shading = np.abs(_map(scan))
    truth = heart_truth(patient, grid, MotionState(level), shading=shading)
    spread = float(np.sqrt(heart[spokes].var(axis=0).sum()))
    more = {
        "spokes": len(spokes),
        "nyquist": round(found.nyquist_fraction * len(spokes) / found.n_spokes, 4),
        "heart_spread_mm": round(spread, 3),
        "displacement_mm": round(level, 3),
    }
    return GradedImage(volume.astype(np.float32), found.geometry.affine, truth, {**details, **more})


def _last(images: Iterator[GradedImage]) -> GradedImage:
    *_, last = images
    return last
