"""What is done to a finished image: soft outside the heart, soft in its coronaries, wires before it."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from csiq.quality.features import HeartTruth
from csiq.quality.vessel_distance import coronary_distance
from csiq.trust.mechanisms import FWHM

_APART = 10.0  # mm between heart and what is changed outside
_FADE = 4.0  # mm over which a change begins, so that it adds no edge
_AROUND = 2.5  # mm beyond the wall of an artery: its edges are changed, too
_WIRES, _RADIUS, _RIM = 6, 7.0, 0.6  # how many, mm of their signal void, brightness of its rim over the body


def blurred(volume: np.ndarray, fwhm: float, voxel_size: np.ndarray) -> np.ndarray:
    """Return a volume under a Gaussian of a full width at half maximum, mm; float32."""
    sd = fwhm / FWHM / np.asarray(voxel_size, float)
    return np.asarray(gaussian_filter(np.asarray(volume, np.float32), sd))


def blurred_outside(volume: np.ndarray, truth: HeartTruth, fwhm: float = 4.0) -> np.ndarray:
    """Return an image that is soft wherever it is more than 10 mm away from the heart.

    Parameters
    ----------
    volume : float array, (z, y, x)
        Magnitude.
    truth : HeartTruth
    fwhm : float
        mm.
    """
    weight = _ramp(_away(truth) - _APART)
    return _mixed(volume, blurred(volume, fwhm, truth.voxel_size), weight)


def blurred_coronaries(volume: np.ndarray, truth: HeartTruth, fwhm: float = 4.0) -> np.ndarray:
    """Return an image that is soft in RCA, LAD and LCX, and nowhere else.

    Parameters
    ----------
    volume : float array, (z, y, x)
        Magnitude.
    truth : HeartTruth
    fwhm : float
        mm.
    """
    weight = 1 - np.clip(coronary_distance(volume, truth) - _AROUND, 0, 1)
    return _mixed(volume, blurred(volume, fwhm, truth.voxel_size), weight)


def with_wires(volume: np.ndarray, truth: HeartTruth) -> np.ndarray:
    """Return an image with the voids and bright rims of six sternal wires, 10 mm and more before the heart.

    Parameters
    ----------
    volume : float array, (z, y, x)
        Magnitude; y rises to the front.
    truth : HeartTruth
    """
    level = float(np.percentile(volume[truth.heart], 50))
    index = [np.arange(n) * v for n, v in zip(volume.shape, truth.voxel_size, strict=True)]
    z, y, x = np.meshgrid(*index, indexing="ij", sparse=True)
    factor, rim = np.ones(volume.shape, np.float32), np.zeros(volume.shape, np.float32)
    for place in _wire_places(truth):
        away = np.sqrt((z - place[0]) ** 2 + (y - place[1]) ** 2 + (x - place[2]) ** 2)
        factor *= 1 - np.exp(-((away / _RADIUS) ** 4))
        rim += np.exp(-(((away - 1.3 * _RADIUS) / 1.5) ** 2))
    changed = volume * factor + _RIM * level * rim
    return _mixed(volume, changed, np.clip(_away(truth) - _APART / 2, 0, 1))


def _away(truth: HeartTruth) -> np.ndarray:
    return np.asarray(distance_transform_edt(~truth.heart, sampling=truth.voxel_size))


def _wire_places(truth: HeartTruth) -> np.ndarray:
    """Return where wires lie, mm z y x: one below the other, before the front of the heart."""
    there = np.argwhere(truth.heart)
    low, high = there.min(axis=0), there.max(axis=0)
    z = np.linspace(low[0], high[0], _WIRES)
    front, middle = float(high[1]), float(low[2] + high[2]) / 2
    places = np.column_stack([z, np.full(_WIRES, front), np.full(_WIRES, middle)]) * truth.voxel_size
    return np.asarray(places + np.array([0.0, _APART + 2 * _RADIUS, 0.0]))


def _ramp(distance: np.ndarray) -> np.ndarray:
    return np.clip(distance / _FADE, 0, 1)


def _mixed(volume: np.ndarray, other: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.asarray(volume + weight * (other - volume), dtype=np.float32)
