"""What the scanner is told to do: which spoke is read when."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from csiq.acquisition import Geometry
from csiq.errors import ConfigError, nearest
from csiq.simulate.breathing import DWELLS, Breathing
from csiq.simulate.cardiac import heartbeats
from csiq.simulate.imperfections import Imperfections
from csiq.trajectory import (
    TRAJECTORIES,
    default_interleaves,
    golden_angle_2d,
    golden_means_3d,
    interleave_sizes,
    named_trajectory,
    phyllotaxis_directions,
    phyllotaxis_order,
    radial_coord,
)

#: Of Nyquist's (pi/2) N^2 diameters, as in the paper: 15 000 at 208^3.
SAMPLING_RATIO = 0.2
DEFAULT_SNR = 30.0
SLICE_THICKNESS = 8.0  # mm, of a 2D scan
READOUT = 1.1e-3  # s, from the first sample of a spoke to the last
_CONTINUOUS_SECONDS, _NOMINAL_TR = 30.0, 3.1e-3  # of a 2D scan, at least
_CONTINUOUS_GROUP = 34  # spokes of an untriggered scan that are numbered as one interleave


@dataclass(frozen=True)
class ScanConfig:
    """A scan to simulate.

    Attributes
    ----------
    seed : int
        Patient, breathing, coils and noise all follow from it.
    matrix : int
        Voxels along each axis.
    n_spokes : int, optional
        Imaging spokes; the paper's sampling ratio if not given.
    n_coils : int
    snr : float
        Blood in the heart over the noise (complex SD) of a k-space sample, both as a unitary transform of
        the image has them; infinite for none.
    trajectory : str
        ``phyllotaxis`` (ECG-triggered), ``golden3d``, ``golden2d`` (one axial slice) or ``stack-of-stars``.
    breathing : path, optional
        A trace as :func:`csiq.simulate.breathing.read_breathing` takes it; a synthetic one if not given.
    dwell : str
        Of a synthetic trace: ``end-expiration`` or ``end-inspiration``.
    n_interleaves : int, optional
        Heartbeats of a triggered scan; a Fibonacci number if not given.
    fov : float
        mm, of all axes.
    amplitude : float, optional
        Mean excursion of the diaphragm, mm; drawn for a synthetic trace and 12 for a belt if not given.
    drift : float, optional
        How far the resting position of a synthetic trace wanders, mm; drawn if not given.
    cardiac : float, optional
        Residual motion of the heart between bursts, mm (root mean square); drawn if not given, 0 for none.
        Of a triggered scan only.
    imperfections : Imperfections
        None by default.
    """

    seed: int = 0
    matrix: int = 96
    n_spokes: int | None = None
    n_coils: int = 8
    snr: float = DEFAULT_SNR
    trajectory: str = "phyllotaxis"
    breathing: str | Path | None = None
    dwell: str = "end-expiration"
    n_interleaves: int | None = None
    fov: float = 208.0
    amplitude: float | None = None
    drift: float | None = None
    cardiac: float | None = None
    imperfections: Imperfections = field(default_factory=Imperfections)

    def __post_init__(self) -> None:
        if self.trajectory not in TRAJECTORIES:
            hint = nearest(self.trajectory, TRAJECTORIES)
            raise ConfigError(f"unknown trajectory '{self.trajectory}'", field="--trajectory", hint=hint)
        for name, value, least in (
            ("--seed", self.seed, 0),
            ("--matrix", self.matrix, 8),
            ("--spokes", self.spokes, 8),
            ("--coils", self.n_coils, 1),
            ("--heartbeats", 1 if self.n_interleaves is None else self.n_interleaves, 1),
            ("--amplitude", self.amplitude or 0, 0),
            ("--cardiac", self.cardiac or 0, 0),
        ):
            if not value >= least:
                raise ConfigError(f"{value} is below {least}", field=name)
        if self.dwell not in DWELLS:
            hint = nearest(self.dwell, DWELLS)
            raise ConfigError(f"nobody dwells at '{self.dwell}'", field="--dwell", hint=hint)
        if self.imperfections.arrhythmia and not self.triggered:
            what = "only a triggered scan sees single heartbeats"
            raise ConfigError(what, field="--arrhythmia", hint="--trajectory phyllotaxis")
        if not self.snr > 0:
            raise ConfigError(f"{self.snr} is not positive", field="--snr")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Matrix z y x."""
        return (1 if self.is_2d else self.matrix, self.matrix, self.matrix)

    @property
    def is_2d(self) -> bool:
        """Whether it is a single slice."""
        return self.trajectory == "golden2d"

    @property
    def triggered(self) -> bool:
        """Whether heartbeats trigger the bursts."""
        return self.trajectory == "phyllotaxis"

    @property
    def spokes(self) -> int:
        """Imaging spokes: those asked for, or the paper's ratio (whole stacks for a stack-of-stars)."""
        if self.n_spokes is not None:
            return self.n_spokes
        if self.is_2d:
            # a run of frames, and long enough for several breaths
            frames = 40 * round(SAMPLING_RATIO * np.pi / 2 * self.matrix)
            return max(frames, round(_CONTINUOUS_SECONDS / _NOMINAL_TR))
        if self.trajectory == "stack-of-stars":
            return self.matrix * max(round(SAMPLING_RATIO * np.pi / 2 * self.matrix), 1)
        return round(SAMPLING_RATIO * np.pi / 2 * self.matrix**2)

    @property
    def n_samples(self) -> int:
        """Samples on a spoke: twofold readout oversampling."""
        return 2 * self.matrix

    @property
    def since_echo(self) -> np.ndarray:
        """Time of each sample from the middle of the readout, s, (n_samples,)."""
        return (np.arange(self.n_samples) - self.n_samples // 2) * (READOUT / self.n_samples)

    @property
    def geometry(self) -> Geometry:
        """Where the voxels lie: RAS, the middle of the heart at the centre of k-space."""
        extent = (SLICE_THICKNESS if self.is_2d else self.fov, self.fov, self.fov)
        size = np.array([extent[a] / self.shape[a] for a in (2, 1, 0)])
        affine = np.diag([*size, 1.0])
        affine[:3, 3] = -size * (np.array(self.shape[::-1]) // 2)
        return Geometry(self.shape, extent, affine)


@dataclass(frozen=True)
class Timeline:
    """All readouts with signal, in the order they are played.

    Attributes
    ----------
    coord : float32 array, (n_readouts, n_samples, 3)
    times : float64 array, (n_readouts,)
        Seconds; the first is 0.
    heartbeat : int64 array, (n_readouts,)
    is_navigator : bool array, (n_readouts,)
    since : float64 array, (n_readouts,)
        Seconds from the middle of the readout's burst.
    ectopic : bool array, (n_heartbeats,)
        Heartbeats that came early.
    """

    coord: np.ndarray
    times: np.ndarray
    heartbeat: np.ndarray
    is_navigator: np.ndarray
    since: np.ndarray
    ectopic: np.ndarray


def interleaves_of(config: ScanConfig) -> np.ndarray:
    """Return how many imaging spokes each interleave (heartbeat) has."""
    if config.triggered:
        count = config.n_interleaves or default_interleaves(config.spokes)
    else:
        group = config.matrix if config.trajectory == "stack-of-stars" else _CONTINUOUS_GROUP
        count = max(config.spokes // group, 1)
    return interleave_sizes(config.spokes, count)


def scan_length(config: ScanConfig, rr: float, tr: float) -> float:
    """Return about how long the scan takes, s."""
    if config.triggered:
        return rr * len(interleaves_of(config))
    return tr * config.spokes * 1.1


def timeline(
    config: ScanConfig, tr: float, rr: float, breathing: Breathing, rng: np.random.Generator
) -> Timeline:
    """Return what is played when; an SI spoke heads each interleave of a 3D scan."""
    sizes = interleaves_of(config)
    n_heads = 0 if config.is_2d or config.trajectory == "stack-of-stars" else 1
    heartbeat = np.repeat(np.arange(len(sizes)), sizes + n_heads)
    within = np.concatenate([np.arange(size + n_heads) for size in sizes])
    is_navigator = within < n_heads
    times, ectopic = tr * np.arange(len(within), dtype=np.float64), np.zeros(len(sizes), dtype=bool)
    if config.triggered:
        early = config.imperfections.arrhythmia
        rhythm = heartbeats(len(sizes), rr, breathing, rng, arrhythmia=early)
        times, ectopic = rhythm.times[heartbeat] + tr * within, rhythm.ectopic
    since = tr * (within - (sizes[heartbeat] + n_heads - 1) / 2)
    coord = np.empty((len(within), config.n_samples, 3), dtype=np.float32)
    coord[is_navigator] = si_coord(config)
    coord[~is_navigator] = _imaging_coord(config, len(sizes))
    return Timeline(coord, times, heartbeat, is_navigator, since, ectopic)


def si_coord(config: ScanConfig) -> np.ndarray:
    """Return the samples of an SI spoke, float32 (n_samples, 3)."""
    return radial_coord(np.array([[1.0, 0.0, 0.0]]), config.matrix, config.n_samples)[0]


def _imaging_coord(config: ScanConfig, n_interleaves: int) -> np.ndarray:
    if config.trajectory == "stack-of-stars":
        return named_trajectory("stack-of-stars", config.spokes, config.n_samples, config.shape)
    if config.trajectory == "phyllotaxis":
        directions = phyllotaxis_directions(phyllotaxis_order(config.spokes, n_interleaves))
    elif config.trajectory == "golden3d":
        directions = golden_means_3d(config.spokes)
    else:
        directions = golden_angle_2d(config.spokes)
    return radial_coord(directions, config.matrix, config.n_samples)
