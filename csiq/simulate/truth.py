"""What the scanner does not know about a simulated scan, and the file it is kept in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from csiq.acquisition import Acquisition
from csiq.simulate.anatomy import Centreline, coronary_centrelines, heart_mask, rasterise
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.motion import MotionState
from csiq.simulate.protocol import ScanConfig
from csiq.simulate.setting import Setting
from csiq.simulate.signal import N_SLICES, excitation

N_TRUE_PHASES = 4


@dataclass(frozen=True)
class Truth:
    """What the scanner does not know; spokes are those of the file, imaging ones only.

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
    heart : float64 array, (n_spokes, 3), optional
        Where each spoke finds the middle of the heart, mm z y x: breathing, lag and the heart's own beat.
    ectopic : bool array, (n_spokes,), optional
        Whether a spoke's heartbeat came early.
    heart_masks : bool array, (4, z, y, x), optional
        The heart at each phase's mean displacement, its fat included.
    blood_masks, myocardium_masks : bool array, (4, z, y, x), optional
        Blood of left ventricle and aorta, and the core of the ventricular wall, away from walls: where the
        reference quality takes its signals from.
    centrelines : tuple of dict of Centreline
        The coronaries at each phase's mean displacement, mm z y x in patient space, whose origin lies in the
        middle of voxel ``n // 2``; none if there are no volumes.
    """

    breathing: np.ndarray
    times: np.ndarray
    heartbeat: np.ndarray
    bins: np.ndarray
    navigator_breathing: np.ndarray
    navigator_times: np.ndarray
    volumes: np.ndarray | None = None
    heart: np.ndarray | None = None
    ectopic: np.ndarray | None = None
    heart_masks: np.ndarray | None = None
    blood_masks: np.ndarray | None = None
    myocardium_masks: np.ndarray | None = None
    centrelines: tuple[Mapping[str, Centreline], ...] = ()

    @property
    def bin_displacement(self) -> np.ndarray:
        """Mean displacement of each phase, mm."""
        return np.array([self.breathing[self.bins == p].mean() for p in range(1, self.bins.max() + 1)])

    @property
    def states(self) -> list[MotionState]:
        """State of each phase at its mean displacement."""
        return [MotionState(float(d)) for d in self.bin_displacement]


def truth_of(setting: Setting, *, painted: bool = True) -> Truth:
    """Return the truth of a setting, with volumes, masks and centrelines if it is to be ``painted``."""
    played, moved = setting.played, setting.displacement
    imaging, si = ~played.is_navigator & ~setting.missing, played.is_navigator
    heart = moved[:, None] * setting.patient.coupling.heart_direction + setting.heart_offset
    truth = Truth(
        breathing=moved[imaging],
        times=played.times[imaging],
        heartbeat=played.heartbeat[imaging],
        bins=equal_bins(moved[imaging], N_TRUE_PHASES),
        navigator_breathing=moved[si],
        navigator_times=played.times[si],
        heart=heart[imaging],
        ectopic=played.ectopic[played.heartbeat[imaging]],
    )
    return _painted(setting, truth) if painted else truth


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
    maps = Setting.of(config).coils.sensitivities(recon_grid(config))
    return np.asarray(maps / np.linalg.norm(maps, axis=0))


def true_volume(setting: Setting, state: MotionState) -> np.ndarray:
    """Return the patient on the reconstruction's grid times the coils' root sum of squares, float32."""
    grid = recon_grid(setting.config)
    rss = np.linalg.norm(setting.coils.sensitivities(grid), axis=0)
    return np.asarray(_image(setting, grid, state) * rss, dtype=np.float32)


def recon_grid(config: ScanConfig) -> Grid:
    """Return the grid of the reconstruction in patient space."""
    geometry = config.geometry
    return Grid(geometry.shape, geometry.voxel_size)


def truth_path(path: str | Path) -> Path:
    """Return where the truth of a scan goes: ``scan.truth.h5`` beside ``scan.h5``."""
    return Path(path).with_name(f"{Path(path).stem}.truth.h5")


def write_truth(path: str | Path, scan: Acquisition, truth: Truth) -> None:
    """Write a truth as HDF5, atomically.

    Datasets: ``breathing``, ``times``, ``bins``, ``heartbeat``, ``heart``, ``ectopic`` (one row a spoke);
    ``navigator_breathing``, ``navigator_times``; ``volumes``, ``heart_masks``, ``blood_masks`` and
    ``myocardium_masks`` (phase, z, y, x);
    ``centrelines/phase-1/RCA`` and so on, rows of z y x and radius in mm. :class:`Truth` says what they are.
    """
    from csiq.io.atomic import atomic_write
    from csiq.io.hdf5_write import create_h5

    with atomic_write(path) as temporary, create_h5(temporary) as file:
        for name in ("breathing", "times", "bins", "heartbeat", "navigator_breathing", "navigator_times"):
            file[name] = getattr(truth, name)
        file["breathing"].attrs["unit"] = "mm at the diaphragm, 0 at end-expiration, positive in inspiration"
        file["bins"].attrs["meaning"] = "phase 1..4 of each imaging spoke, 1 = end-expiration"
        if truth.heart is not None and truth.ectopic is not None:
            file["heart"], file["ectopic"] = truth.heart, truth.ectopic
            file["heart"].attrs["unit"] = "mm z y x (+z head, +y front) from its place at end-expiration"
        if truth.volumes is not None:
            file["volumes"] = truth.volumes
            _describe(file["volumes"], scan)
        for name in ("heart_masks", "blood_masks", "myocardium_masks"):
            if getattr(truth, name) is not None:
                file.create_dataset(name, data=getattr(truth, name), compression="gzip", compression_opts=1)
                _describe(file[name], scan)
        for number, vessels in enumerate(truth.centrelines):
            # groups that a path makes on its way get the time of day
            phase = file.require_group(f"centrelines/phase-{number + 1}")
            for name, line in vessels.items():
                phase[name] = np.column_stack([line.points, line.radius])


def _describe(data: h5py.Dataset, scan: Acquisition) -> None:
    data.attrs["voxel_size_mm"], data.attrs["affine"] = scan.geometry.voxel_size, scan.geometry.affine


def _painted(setting: Setting, truth: Truth) -> Truth:
    from dataclasses import replace

    from csiq.simulate.anatomy.truth import tissue_masks

    grid, patient = recon_grid(setting.config), setting.patient
    rss = np.linalg.norm(setting.coils.sensitivities(grid), axis=0)
    hearts = [heart_mask(patient, grid, state) for state in truth.states]
    tissues = [
        tissue_masks(patient, grid, state, heart) for state, heart in zip(truth.states, hearts, strict=True)
    ]
    return replace(
        truth,
        volumes=np.stack([_image(setting, grid, state) * rss for state in truth.states]).astype(np.float32),
        heart_masks=np.stack(hearts),
        blood_masks=np.stack([blood for blood, _ in tissues]),
        myocardium_masks=np.stack([myocardium for _, myocardium in tissues]),
        centrelines=tuple(coronary_centrelines(patient, state) for state in truth.states),
    )


def _image(setting: Setting, grid: Grid, state: MotionState) -> np.ndarray:
    if not setting.config.is_2d:
        return rasterise(setting.patient, grid, state) * excitation(grid, setting.config)
    step = grid.voxel_size[0] / N_SLICES
    thin = Grid((N_SLICES, *grid.shape[1:]), (step, *grid.voxel_size[1:]), (step / 2, 0.0, 0.0))
    return rasterise(setting.patient, thin, state).mean(axis=0, keepdims=True)
