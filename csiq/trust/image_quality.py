"""Levels of image quality made in the image: blur, motion, noise and streaks as radial scans have them.

- Resolution ends on a sphere in k-space, half a cycle per voxel.
- **Blur**: a Gaussian.
- **Motion**: the heart's places from head to feet are normally distributed.
- **Noise**: white in k-space; gridding weighs a sample by k^2, and there are as 1/k^2: power rises as k^2.
- **Streaks**: what undersampling makes of large bright things looks like noise that is coarse: power falls as
  1/k^2, down to one cycle in 40 mm. This is a model; true streaks follow from trajectory and object.

Noise and streaks are complex, and images magnitudes: in the dark there is a noise floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft

from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.coils import CoilArray
from csiq.simulate.protocol import ScanConfig
from csiq.simulate.sensitivity import Maps
from csiq.simulate.setting import Setting

_FWHM = 2 * np.sqrt(2 * np.log(2))
_COARSEST = 1 / 40.0  # cycles / mm


@dataclass(frozen=True)
class ImageQuality:
    """How good images are.

    Attributes
    ----------
    name : str
    blur : float
        Full width at half maximum, mm.
    motion : float
        SD of the heart's place from head to feet, mm.
    noise, streaks : float
        SD of the real part over the signal of blood.
    """

    name: str
    blur: float = 0.0
    motion: float = 0.0
    noise: float = 0.05
    streaks: float = 0.015

    def shown(self, signal: np.ndarray, voxel: float) -> np.ndarray:
        """Return what an image shows of a signal, noise and streaks apart, float32 (z, y, x).

        Parameters
        ----------
        signal : float array, (z, y, x)
            Blood 1; taken as periodic.
        voxel : float
            Edge of a voxel, mm.
        """
        z, y, x = _frequencies(signal.shape, voxel)
        k2 = z**2 + y**2 + x**2
        exponent = k2 * (self.blur / _FWHM) ** 2 + z**2 * self.motion**2
        transfer = np.exp(-2 * np.pi**2 * exponent) * (k2 <= (0.5 / voxel) ** 2)
        spectrum = fft.rfftn(np.asarray(signal, np.float32)) * transfer.astype(np.float32)
        return np.asarray(fft.irfftn(spectrum, s=signal.shape), dtype=np.float32)

    def disturbance(
        self, shape: tuple[int, int, int], voxel: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return real and imaginary part of noise and streaks, float32 ``shape`` each."""
        z, y, x = _frequencies(shape, voxel)
        k2 = z**2 + y**2 + x**2
        inside = k2 <= (0.5 / voxel) ** 2
        fine, coarse = k2 * inside, inside / np.maximum(k2, _COARSEST**2)
        coarse.flat[0] = 0
        counts = np.full(k2.shape[-1], 2.0)  # a half spectrum: each column stands for two, but the first
        counts[0] = 1
        if shape[-1] % 2 == 0:
            counts[-1] = 1
        power = sum(
            sd**2 * np.prod(shape) * part / (part * counts).sum()
            for sd, part in ((self.noise, fine), (self.streaks, coarse))
        )
        amplitude = np.sqrt(power).astype(np.float32)
        real, imaginary = (
            fft.irfftn(fft.rfftn(rng.standard_normal(shape, dtype=np.float32)) * amplitude, s=shape)
            for _ in range(2)
        )
        return real.astype(np.float32), imaginary.astype(np.float32)

    def image(self, signal: np.ndarray, voxel: float, seed: int) -> np.ndarray:
        """Return one magnitude image of a signal, float32 (z, y, x)."""
        z, y, x = signal.shape
        real, imaginary = self.disturbance((z, y, x), voxel, np.random.default_rng(seed))
        return np.hypot(self.shown(signal, voxel) + real, imaginary)


#: From the best to the worst of each fault, all on the scan that every cohort's best patients have.
QUALITIES = (
    ImageQuality("best"),
    *(ImageQuality(f"blur {mm:g} mm", blur=mm) for mm in (1.2, 1.8, 2.5, 3.5)),
    *(ImageQuality(f"motion {mm:g} mm", motion=mm) for mm in (0.6, 1.0, 1.6, 2.5)),
    *(ImageQuality(f"noise {share:g}", noise=share) for share in (0.1, 0.15, 0.22, 0.32)),
    *(ImageQuality(f"streaks {share:g}", streaks=share) for share in (0.04, 0.08, 0.12, 0.18)),
)


def coil_shading(seed: int, grid: Grid) -> np.ndarray:
    """Return how coils shade a cohort's images of a patient, float32 ``grid.shape``, 1 at the heart."""
    from csiq.cohort.one_coil import OneCoil

    # who and which coils follows from the seed alone: the smallest scan will do
    coils: CoilArray = Setting.of(ScanConfig(seed=seed, matrix=16, n_coils=8)).coils
    return np.abs(Maps.of(OneCoil.over_heart(coils), grid).times(0, np.ones(grid.shape, np.float32)))


def _frequencies(shape: tuple[int, ...], voxel: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the frequencies of a half spectrum along each axis, cycles / mm, to be broadcast."""
    z, y = (fft.fftfreq(n, voxel) for n in shape[:2])
    return z[:, None, None], y[None, :, None], fft.rfftfreq(shape[2], voxel)[None, None, :]
