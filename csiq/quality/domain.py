"""Whether an image is like those the network was trained on.

A handful of statistics of the normalised slices is held against their mean and covariance in the training
set (Mahalanobis distance). A grade outside is still given, but marked: a lung or a phantom has no heart to
grade.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from csiq.arrays import Array, to_host, xp_of
from csiq.errors import ModelError
from csiq.quality.patches import SIDE

#: Names of the statistics, in order.
FEATURES = (
    "log median within 64 mm",
    "log 10th percentile within 64 mm",
    "log 90th percentile within 64 mm",
    "log median beyond 64 mm",
    "log 90th percentile beyond 64 mm",
    "log RMS difference of neighbours",
    "log RMS second over first difference",
    "log RMS within 64 mm",
)
_RADIUS = 64
_FLOOR = 1e-3


def features(slices: Array) -> np.ndarray:
    """Return simple statistics of normalised slices.

    Parameters
    ----------
    slices : float32 array, (3, n_offsets, 208, 208)
        From :func:`csiq.quality.patches.volume_slices`; values that are not finite count as zero.

    Returns
    -------
    float64 array, (8,)
        As named in ``FEATURES``.
    """
    xp = xp_of(slices)
    values = xp.nan_to_num(slices.reshape(-1, SIDE, SIDE), nan=0.0, posinf=0.0, neginf=0.0)
    row, column = xp.ogrid[:SIDE, :SIDE]
    near = (row - SIDE // 2) ** 2 + (column - SIDE // 2) ** 2 <= _RADIUS**2
    heart, rest = values[:, near], values[:, ~near]
    first = xp.diff(values, axis=-1)
    second = xp.diff(first, axis=-1)
    rms = [xp.sqrt(xp.mean(d * d)) for d in (first[:, near[:, 1:]], second[:, near[:, 2:]], heart)]
    low, median, high = xp.percentile(heart, xp.asarray([10.0, 50.0, 90.0]))
    rest_median, rest_high = xp.percentile(rest, xp.asarray([50.0, 90.0]))
    raw = [median, low, high, rest_median, rest_high, rms[0], rms[1] / (rms[0] + _FLOOR), rms[2]]
    return np.log([max(float(to_host(value)), 0.0) + _FLOOR for value in raw])


@dataclass(frozen=True)
class Domain:
    """Where the training set lies.

    Attributes
    ----------
    mean : float64 array, (8,)
    covariance : float64 array, (8, 8)
    threshold : float
        Mahalanobis distance beyond which an image is called far.
    voxel_size : (float, float)
        Smallest and largest voxel of the training set, mm.
    """

    mean: np.ndarray
    covariance: np.ndarray
    threshold: float
    voxel_size: tuple[float, float]

    @classmethod
    def fit(cls, samples: np.ndarray, voxel_size: tuple[float, float]) -> Domain:
        """Return the domain of a training set: a fifth beyond the largest distance within it.

        Parameters
        ----------
        samples : float64 array, (n_images, 8)
        voxel_size : (float, float)
        """
        spread = np.cov(samples, rowvar=False) + 1e-3 * np.eye(samples.shape[1])
        trial = cls(samples.mean(axis=0), spread, np.inf, voxel_size)
        far = max(trial.distance(sample) for sample in samples)
        return cls(trial.mean, spread, 1.2 * far, voxel_size)

    @classmethod
    def from_card(cls, card: dict[str, Any]) -> Domain:
        """Return the domain a model card describes."""
        try:
            entry, voxels = card["domain"], card["voxel_size_mm"]
            mean, spread = np.array(entry["mean"], float), np.array(entry["covariance"], float)
            known = cls(mean, spread, float(entry["threshold"]), (float(voxels["min"]), float(voxels["max"])))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"model card lacks a usable domain ({error})", field="domain") from error
        if mean.shape != (len(FEATURES),) or spread.shape != (len(FEATURES),) * 2:
            raise ModelError(f"expected {len(FEATURES)} statistics, got {mean.shape}", field="domain.mean")
        return known

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of the model card."""
        return {
            "statistics": list(FEATURES),
            "mean": np.round(self.mean, 6).tolist(),
            "covariance": np.round(self.covariance, 8).tolist(),
            "threshold": round(self.threshold, 4),
        }

    def distance(self, sample: np.ndarray) -> float:
        """Return the Mahalanobis distance of one image's statistics."""
        away = sample - self.mean
        return float(np.sqrt(away @ np.linalg.solve(self.covariance, away)))

    def complaints(self, sample: np.ndarray, voxel_size: tuple[float, float, float]) -> tuple[str, ...]:
        """Return why an image is outside the domain; nothing if it is inside."""
        found = []
        low, high = self.voxel_size
        # 2 % for sizes written with few digits
        if not all(low * 0.98 <= v <= high * 1.02 for v in voxel_size):
            size = " x ".join(f"{v:.2f}" for v in voxel_size)
            found.append(f"voxels of {size} mm: the model knows {low:g} to {high:g} mm")
        distance = self.distance(sample)
        if not distance <= self.threshold:
            found.append(
                f"image statistics are far from the training set (distance {distance:.1f}, "
                f"known up to {self.threshold:.1f})"
            )
        return tuple(found)
