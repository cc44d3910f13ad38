"""A radial scan whose signal and noise are known apart, so that one thing at a time can be made worse."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from csiq.density import density_compensation
from csiq.nufft import Nufft
from csiq.quality.features import HeartTruth
from csiq.simulate.imperfections import Imperfections

#: Accuracy of gridding, as in the images of a cohort.
EPS = 1e-3


@dataclass(frozen=True)
class RadialScan:
    """Samples of one coil, motion correction applied, and what a perfect image would show.

    Attributes
    ----------
    signal : complex64 array, (n_spokes, n_samples)
        Without noise.
    noise : complex64 array, (n_spokes, n_samples)
        Noise at an SNR of 1.
    snr : float
        As ``ScanConfig.snr``.
    coord : float32 array, (n_spokes, n_samples, 3)
        Nominal trajectory, cycles per field of view, z y x; in the order of acquisition.
    heartbeat : int array, (n_spokes,)
    displacement : float64 array, (n_spokes,)
        Of the diaphragm, mm; 0 without breathing.
    truth : HeartTruth
    """

    signal: np.ndarray
    noise: np.ndarray
    snr: float
    coord: np.ndarray
    heartbeat: np.ndarray
    displacement: np.ndarray
    truth: HeartTruth

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Of the image, mm z y x."""
        z, y, x = (float(v) for v in self.truth.voxel_size)
        return z, y, x

    @property
    def fov(self) -> np.ndarray:
        """Field of view, mm z y x."""
        return np.asarray(self.truth.voxel_size * np.array(self.truth.volume.shape))

    @cached_property
    def clean(self) -> np.ndarray:
        """The gridded signal, complex64 (z, y, x)."""
        return self.grid(self.signal)

    @cached_property
    def noise_image(self) -> np.ndarray:
        """The gridded noise at an SNR of 1, complex64 (z, y, x)."""
        return self.grid(self.noise)

    def received(self, factor: np.ndarray | None = None) -> np.ndarray:
        """Return signal, times a factor, with the scan's noise, which no factor changes; complex64."""
        signal = self.signal if factor is None else self.signal * factor
        return (signal + self.noise / np.float32(self.snr)).astype(np.complex64)

    def grid(self, kspace: np.ndarray, spokes: np.ndarray | None = None) -> np.ndarray:
        """Return the image of some spokes, gridded with density compensation; complex64 (z, y, x).

        Parameters
        ----------
        kspace : complex64 array, (n_spokes, n_samples)
            Of the whole scan.
        spokes : int array, optional
            All by default.
        """
        chosen = slice(None) if spokes is None else spokes
        coord = np.ascontiguousarray(self.coord[chosen])
        weighted = (kspace[chosen] * density_compensation(coord)).astype(np.complex64)
        return np.asarray(Nufft(coord, self.truth.volume.shape, eps=EPS).adjoint(weighted))

    def without_noise(self) -> RadialScan:
        """Return the scan at an SNR without bounds."""
        return replace(self, noise=np.zeros_like(self.noise))


class Case(Protocol):
    """A patient who can be scanned again and again, each time with one thing worse."""

    @property
    def name(self) -> str:
        """Unique in an experiment."""
        ...

    @property
    def base(self) -> RadialScan:
        """The best scan."""
        ...

    def scan(self, residual: float | None = None, imperfections: Imperfections | None = None) -> RadialScan:
        """Return a scan like the best one, but with other motion or imperfections.

        Parameters
        ----------
        residual : float, optional
            Root mean square of the heart's place from beat to beat, mm.
        imperfections : Imperfections, optional
        """
        ...
