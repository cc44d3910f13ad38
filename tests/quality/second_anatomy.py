"""The second anatomy as the tests of the formula degrade it: without a scan, or with a plain one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from csiq.density import density_compensation
from csiq.operators import ForwardModel
from csiq.quality.features import HeartTruth
from csiq.trajectory import (
    default_interleaves,
    phyllotaxis_directions,
    phyllotaxis_order,
    radial_coord,
)
from csiq.trust.second_anatomy import FAT, render

__all__ = ["FAT", "blurred", "breathing_average", "gridded", "in_cube", "moved_average", "noisy", "render"]


def moved_average(volume: np.ndarray, travel: float, voxel: float) -> np.ndarray:
    """Return the mean of a volume over even displacements along z, ``travel`` mm from end to end."""
    n = volume.shape[0]
    k = np.fft.rfftfreq(n)
    spectrum = np.fft.rfft(volume, axis=0) * np.sinc(k * travel / voxel)[:, None, None]
    return np.fft.irfft(spectrum, n, axis=0).astype(np.float32)


def breathing_average(volume: np.ndarray, travel: float, voxel: float) -> np.ndarray:
    """Return the mean of a volume over breaths along z that dwell at one end (sin^4), at its mean place."""
    n = volume.shape[0]
    place = travel * np.sin(np.pi * (np.arange(400) + 0.5) / 400) ** 4
    turns = np.fft.rfftfreq(n)[:, None] * (place - place.mean()) / voxel
    transfer = np.exp(-2j * np.pi * turns).mean(axis=1)
    spectrum = np.fft.rfft(volume, axis=0) * transfer[:, None, None]
    return np.fft.irfft(spectrum, n, axis=0).astype(np.float32)


def blurred(volume: np.ndarray, fwhm: float, voxel: float) -> np.ndarray:
    """Return a volume under a Gaussian of a full width at half maximum, mm."""
    return ndimage.gaussian_filter(volume, fwhm / np.sqrt(8 * np.log(2)) / voxel)


def noisy(volume: np.ndarray, snr: float, seed: int = 0) -> np.ndarray:
    """Return a volume with complex Gaussian noise: blood (1) over the SD of one part is ``snr``."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((2, *volume.shape), dtype=np.float32) / np.float32(snr)
    return volume + noise[0] + 1j * noise[1]


def in_cube(truth: HeartTruth, n: int) -> HeartTruth:
    """Return a truth on ``n`` voxels an axis: fat is added, or margin cut off, at the far ends."""

    def fitted(values: np.ndarray, fill: float) -> np.ndarray:
        widths = [(0, max(n - size, 0)) for size in values.shape]
        return np.pad(values, widths, constant_values=fill)[:n, :n, :n]

    masks = {name: fitted(getattr(truth, name), False) for name in ("heart", "blood", "myocardium")}
    return replace(truth, volume=fitted(truth.volume, FAT), **masks)


def gridded(volume: np.ndarray, share: float, noise: float, seed: int = 0) -> np.ndarray:
    """Return a volume scanned by a phyllotaxis with a share of Nyquist's spokes, and gridded.

    Parameters
    ----------
    noise : float
        SD of real and imaginary part of a sample of a unitary transform.
    """
    n = volume.shape[0]
    n_spokes = round(share * np.pi / 2 * n**2)
    order = phyllotaxis_order(n_spokes, default_interleaves(n_spokes))
    coord = radial_coord(phyllotaxis_directions(order), n, 2 * n)
    model = ForwardModel([coord], np.ones((1, n, n, n), np.complex64), threads=1)
    kspace = model(volume[None].astype(np.complex64))
    rng = np.random.default_rng(seed)
    both = noise * rng.standard_normal((2, *kspace.shape), dtype=np.float32)
    return np.asarray(model.H(density_compensation(coord) * (kspace + both[0] + 1j * both[1]))[0])
