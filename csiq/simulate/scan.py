"""One simulated scan: patient, breathing, coils and noise of a seed, read out as a scanner would."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from csiq.acquisition import Acquisition, Navigators
from csiq.simulate.anatomy import Patient, rasterise
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.breathing import (
    Breathing,
    BreathingStyle,
    read_breathing,
    synthetic_breathing,
)
from csiq.simulate.coils import CoilArray
from csiq.simulate.motion import MotionState
from csiq.simulate.projections import projection_kspace
from csiq.simulate.protocol import ScanConfig, Timeline, scan_length, timeline
from csiq.simulate.signal import N_SLICES, Scene, excitation, moving_kspace

N_TRUE_PHASES = 4
_N_NOISE_READOUTS = 64


@dataclass(frozen=True)
class Truth:
    """What the scanner does not know.

    Attributes
    ----------
    breathing : float64 array, (n_spokes,)
        Displacement of the diaphragm at each imaging spoke, mm; 0 at end-expiration, positive in inspiration.
    times : float64 array, (n_spokes,)
    heartbeat : int64 array, (n_spokes,)
    bins : int64 array, (n_spokes,)
        Phase 1 .. 4 of each spoke, of equal size, by displacement; 1 is end-expiration.
    navigator_breathing, navigator_times : float64 array, (n_navigators,)
    volumes : float32 array, (4, z, y, x), optional
        The patient at each phase's mean displacement times the coils' root sum of squares: the magnitude
        that a perfect reconstruction with maps of unit root sum of squares would give.
    """

    breathing: np.ndarray
    times: np.ndarray
    heartbeat: np.ndarray
    bins: np.ndarray
    navigator_breathing: np.ndarray
    navigator_times: np.ndarray
    volumes: np.ndarray | None = None

    @property
    def bin_displacement(self) -> np.ndarray:
        """Mean displacement of each phase, mm."""
        return np.array([self.breathing[self.bins == p].mean() for p in range(1, self.bins.max() + 1)])


@dataclass(frozen=True)
class Setting:
    """All that a configuration decides before anything is read out."""

    config: ScanConfig
    patient: Patient
    breathing: Breathing
    coils: CoilArray
    played: Timeline

    @classmethod
    def of(cls, config: ScanConfig) -> Setting:
        """Return the setting of a configuration."""
        patient = Patient.from_seed(config.seed)
        tr, rr = patient.sequence.tr, patient.sequence.rr
        breathing = _breathing(config, scan_length(config, rr, tr))
        coils = CoilArray.around(patient.body, config.n_coils, np.random.default_rng([config.seed, 3]))
        played = timeline(config, tr, rr, breathing, np.random.default_rng([config.seed, 4]))
        return cls(config, patient, breathing, coils, played)

    def truth(self, volumes: np.ndarray | None = None) -> Truth:
        """Return what the scanner does not know."""
        moved, played = self.breathing.at(self.played.times), self.played
        imaging, si = ~played.is_navigator, played.is_navigator
        return Truth(
            moved[imaging],
            played.times[imaging],
            played.heartbeat[imaging],
            equal_bins(moved[imaging], N_TRUE_PHASES),
            moved[si],
            played.times[si],
            volumes,
        )


def simulate_scan(config: ScanConfig, *, threads: int | None = None) -> tuple[Acquisition, Truth]:
    """Return a scan of a breathing patient and the truth about it.

    Equal configurations give equal scans, to the bit, whatever the number of threads. The heart does not
    beat: in a triggered scan it is read in its resting phase, in the others it is at rest all the time.
    """
    setting = Setting.of(config)
    played = setting.played
    geometry = config.geometry
    scene = Scene.build(setting.patient, setting.coils, config)
    moved = setting.breathing.at(played.times)
    kspace = moving_kspace(scene, played.coord, moved, threads=threads)
    noise = _add_noise(kspace, setting)
    si, imaging = played.is_navigator, ~played.is_navigator
    navigators = None
    if si.any():
        navigators = Navigators(kspace[:, si], played.times[si], played.heartbeat[si], played.coord[si])
    scan = Acquisition(
        kspace=kspace[:, imaging],
        coord=played.coord[imaging],
        times=played.times[imaging],
        heartbeat=played.heartbeat[imaging],
        geometry=geometry,
        navigators=navigators,
        noise=noise,
        triggered=config.triggered,
        name=f"simulated-{config.seed}",
        system=_system(setting),
    )
    return scan, setting.truth(_true_volumes(setting))


def simulate_navigators(config: ScanConfig) -> tuple[Navigators, Truth]:
    """Return the SI spokes of a scan alone, in a fraction of the time, and the truth without volumes.

    The patient is painted coarsely across the feet-head axis, so samples differ a little from those of
    :func:`simulate_scan`; breathing, coils and times are the same.
    """
    setting = Setting.of(config)
    played, si = setting.played, setting.played.is_navigator
    moved = setting.breathing.at(played.times[si])
    kspace = projection_kspace(setting.patient, setting.coils, config, moved)
    _add_noise(kspace, setting)
    return Navigators(kspace, played.times[si], played.heartbeat[si], played.coord[si]), setting.truth()


def write_simulated(path: str | Path, scan: Acquisition, truth: Truth) -> Path:
    """Write a scan as ISMRMRD, and its truth beside it; return the path of the truth."""
    from csiq.io.atomic import atomic_write
    from csiq.io.hdf5_write import create_h5
    from csiq.io.ismrmrd import write_ismrmrd

    beside = truth_path(path)
    write_ismrmrd(path, scan)
    with atomic_write(beside) as temporary, create_h5(temporary) as file:
        file["breathing"], file["times"], file["bins"] = truth.breathing, truth.times, truth.bins
        file["navigator_breathing"] = truth.navigator_breathing
        file["navigator_times"] = truth.navigator_times
        file["breathing"].attrs["unit"] = "mm at the diaphragm, 0 at end-expiration, positive in inspiration"
        file["bins"].attrs["meaning"] = "phase 1..4 of each imaging spoke, 1 = end-expiration"
        if truth.volumes is not None:
            file["volumes"] = truth.volumes
            file["volumes"].attrs["voxel_size_mm"] = scan.geometry.voxel_size
            file["volumes"].attrs["affine"] = scan.geometry.affine
    return beside


def truth_path(path: str | Path) -> Path:
    """Return where the truth of a scan goes: ``scan.truth.h5`` beside ``scan.h5``."""
    return Path(path).with_name(f"{Path(path).stem}.truth.h5")


def equal_bins(displacement: np.ndarray, n_phases: int) -> np.ndarray:
    """Return the phase (1 .. n_phases) of each value: groups of equal size in order of displacement."""
    phases = np.empty(len(displacement), dtype=np.int64)
    for number, group in enumerate(np.array_split(np.argsort(displacement, kind="stable"), n_phases)):
        phases[group] = number + 1
    return phases


def true_smaps(config: ScanConfig) -> np.ndarray:
    """Return the coils' sensitivities on the reconstruction's grid, divided by their root sum of squares.

    Returns
    -------
    complex64 array, (n_coils, z, y, x)
    """
    setting = Setting.of(config)
    maps = setting.coils.sensitivities(recon_grid(config))
    return np.asarray(maps / np.linalg.norm(maps, axis=0))


def recon_grid(config: ScanConfig) -> Grid:
    """Return the grid of the reconstruction in patient space."""
    geometry = config.geometry
    return Grid(geometry.shape, geometry.voxel_size)


def _breathing(config: ScanConfig, duration: float) -> Breathing:
    if config.breathing is not None:
        return read_breathing(config.breathing)
    rng = np.random.default_rng([config.seed, 2])
    return synthetic_breathing(BreathingStyle.drawn(rng, config.dwell), duration, rng)


def _true_volumes(setting: Setting) -> np.ndarray:
    grid = recon_grid(setting.config)
    rss = np.linalg.norm(setting.coils.sensitivities(grid), axis=0)
    states = [MotionState(float(d)) for d in setting.truth().bin_displacement]
    return np.stack([_painted(setting, grid, state) * rss for state in states]).astype(np.float32)


def _painted(setting: Setting, grid: Grid, state: MotionState) -> np.ndarray:
    if not setting.config.is_2d:
        return rasterise(setting.patient, grid, state) * excitation(grid, setting.config)
    step = grid.voxel_size[0] / N_SLICES
    thin = Grid((N_SLICES, *grid.shape[1:]), (step, *grid.voxel_size[1:]), (step / 2, 0.0, 0.0))
    return rasterise(setting.patient, thin, state).mean(axis=0, keepdims=True)


def _add_noise(kspace: np.ndarray, setting: Setting) -> np.ndarray | None:
    """Add correlated noise in place; return noise readouts, (n_coils, n), or None if there is none."""
    config = setting.config
    if np.isinf(config.snr):
        return None
    rng = np.random.default_rng([config.seed, 5])
    colour = np.linalg.cholesky(setting.coils.noise_covariance()).astype(np.complex64) / config.snr
    noise = colour @ _white(rng, (config.n_coils, _N_NOISE_READOUTS * config.n_samples))
    for start in range(0, kspace.shape[1], 512):
        block = kspace[:, start : start + 512]
        block += np.tensordot(colour, _white(rng, block.shape), axes=1)
    return np.asarray(noise)


def _white(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return complex64 noise with E|n|^2 = 1."""
    pairs = rng.standard_normal((*shape, 2), dtype=np.float32)
    return np.asarray(pairs.view(np.complex64)[..., 0] / np.float32(np.sqrt(2)))


def _system(setting: Setting) -> dict[str, object]:
    sequence = setting.patient.sequence
    return {
        "field_T": 1.5,
        "vendor": "simulated",
        "TR_s": sequence.tr,
        "TE_s": sequence.tr / 2,
        "flip_deg": float(np.rad2deg(sequence.flip)),
    }
