"""The second anatomy under a radial scan: a heart that moves before a chest that does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import ndimage

from csiq.nufft import Nufft
from csiq.quality.features import HeartTruth
from csiq.simulate.cardiac import CardiacMotion
from csiq.simulate.imperfections import Imperfections, LinearField, delayed
from csiq.simulate.noise import add_noise
from csiq.simulate.protocol import READOUT
from csiq.trajectory import (
    default_interleaves,
    interleave_sizes,
    phyllotaxis_directions,
    phyllotaxis_order,
    radial_coord,
)
from csiq.trust.radial_scan import EPS, RadialScan
from csiq.trust.second_anatomy import CHESTS, FAT, centred, in_chest, render, scaled

#: As :data:`csiq.trust.simulated_case.EASY`, with fewer spokes: with no body to make streaks, as many give
#: the best grade at the first levels, and nothing to order.
EASY = {"sampling": 0.20, "snr": 60.0, "residual": 0.2}
#: Sizes of the heart, so that one heart makes several cases.
SIZES = (0.9, 1.0, 1.1)
_BREATHS = 0.2236  # a heartbeat
_FADE = 3.0  # mm over which what moves with the heart fades out


@dataclass(frozen=True)
class ScannedAnatomy:
    """A painted heart, to be scanned.

    Attributes
    ----------
    name : str
    truth : HeartTruth
        Cubic voxels, the middle of the heart in voxel ``n // 2``.
    sampling, snr, residual : float
        Of the best scan; as in :class:`csiq.cohort.recipe.ImageRecipe`.
    breathing : float
        Travel along z that self-navigation left, mm; the heart dwells at one end (sin^4).
    seed : int
        Of noise, motion and field.
    """

    name: str
    truth: HeartTruth
    sampling: float = EASY["sampling"]
    snr: float = EASY["snr"]
    residual: float = EASY["residual"]
    breathing: float = 3.0
    seed: int = 0

    @cached_property
    def base(self) -> RadialScan:
        """The best scan."""
        return self.scan()

    @cached_property
    def _trajectory(self) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates (n_spokes, n_samples, 3), heartbeat of each spoke."""
        n = self.truth.volume.shape[0]
        n_spokes = round(self.sampling * np.pi / 2 * n**2)
        n_beats = default_interleaves(n_spokes)
        coord = radial_coord(phyllotaxis_directions(phyllotaxis_order(n_spokes, n_beats)), n, 2 * n)
        return coord, np.repeat(np.arange(n_beats), interleave_sizes(n_spokes, n_beats))

    def scan(self, residual: float | None = None, imperfections: Imperfections | None = None) -> RadialScan:
        """Return a scan with other motion, gradient delay, off-resonance or arrhythmia; equal noise."""
        coord, heartbeat = self._trajectory
        n, fov = self.truth.volume.shape[0], float(self.truth.voxel_size[0] * self.truth.volume.shape[0])
        wrong, played = imperfections or Imperfections(), coord
        since = (np.arange(2 * n) - n) * (READOUT / (2 * n))
        field = LinearField.drawn(wrong.off_resonance, np.random.default_rng([self.seed, 7]))
        if any(wrong.gradient_delay):
            played = delayed(played, wrong.gradient_delay, READOUT / (2 * n))
        if wrong.off_resonance:
            played = field.shifted(played, since, fov)
        offset = self._offsets(heartbeat, self.residual if residual is None else residual, wrong.arrhythmia)
        turns = np.einsum("ijk,ik->ij", played, (offset / fov).astype(np.float32))
        still, moving = self._layers
        plan = Nufft(np.ascontiguousarray(played), self.truth.volume.shape, eps=EPS)
        signal = plan.forward(still) + plan.forward(moving) * np.exp(-2j * np.pi * turns)
        signal = (signal * field.turn(since)).astype(np.complex64)
        noise = np.zeros((1, *signal.shape), np.complex64)
        add_noise(noise, np.eye(1), 1.0, np.random.default_rng([self.seed, 5]))
        return RadialScan(signal, noise[0], self.snr, coord, heartbeat, np.zeros(len(coord)), self.truth)

    @cached_property
    def _layers(self) -> tuple[np.ndarray, np.ndarray]:
        """What stays, and what moves over it: the heart less the fat it lies in, complex64."""
        size = self.truth.voxel_size
        away = ndimage.distance_transform_edt(~self.truth.heart, sampling=size)
        weight = np.clip(1 - away / _FADE, 0, 1).astype(np.float32)
        moving = weight * (self.truth.volume - np.float32(FAT))
        return (self.truth.volume - moving).astype(np.complex64), moving.astype(np.complex64)

    def _offsets(self, heartbeat: np.ndarray, residual: float, early: float) -> np.ndarray:
        """Return where each spoke finds the heart, mm z y x; no place is different on average."""
        rng = np.random.default_rng([self.seed, 6])
        beats = int(heartbeat.max()) + 1
        ectopic = np.zeros(beats, bool)
        ectopic[np.random.default_rng([self.seed, 8]).permutation(beats)[: round(early * beats)]] = True
        offset = CardiacMotion(residual).offsets(heartbeat, np.zeros(len(heartbeat)), ectopic, rng)
        offset[:, 0] += self.breathing * np.sin(np.pi * _BREATHS * heartbeat) ** 4
        return np.asarray(offset - offset.mean(axis=0))


def anatomy_cases(folder: Path, matrix: int = 208, fov: float = 208.0) -> Iterator[ScannedAnatomy]:
    """Yield the second anatomy in three sizes, each in even fat and in two measured chests.

    Parameters
    ----------
    folder : Path
        With the files that :mod:`csiq.trust.second_anatomy` names; a chest that is not there is left out.
    matrix : int
        Voxels along each axis.
    fov : float
        mm.
    """
    voxel = fov / matrix
    chests = [folder / f"{name}.nii.gz" for name in CHESTS]
    for number, factor in enumerate(SIZES):
        painted = scaled(render(folder, voxel / factor), factor)
        heart = replace(centred(painted, matrix), voxel_size=np.full(3, voxel))
        yield ScannedAnatomy(f"fat-{factor:g}", heart, seed=number)
        for file in chests:
            if file.is_file():
                name = f"{file.name.partition('_')[0]}-{factor:g}"
                yield ScannedAnatomy(name, in_chest(heart, file), seed=number)
