"""Whether an image is like those the network was trained on.

Descriptors of the normalised slices are held against their mean and covariance in the training set
(Mahalanobis distance). A grade outside is still given, but marked: a lung or a phantom has no heart to grade,
and a heart zoomed by a wrong unit of the trajectory has been graded by nobody.

There are far more descriptors than hearts need to differ, so the covariance is shrunk towards uncorrelated
ones (Ledoit and Wolf), and the threshold comes from images left out of the fit.

References
----------
Ledoit O, Wolf M. A well-conditioned estimator for large-dimensional covariance matrices. J Multivar Anal
2004;88:365-411. Lee K, et al. A simple unified framework for detecting out-of-distribution samples. NeurIPS
2018:7167-7177 (Mahalanobis distance of features).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from csiq.errors import ModelError, ShapeError
from csiq.quality.descriptors import DESCRIPTORS

#: What a card calls :data:`csiq.quality.descriptors.DESCRIPTORS`; another list takes another name.
DESCRIPTOR_SET = "csiq-descriptors-1"
#: Share of the training set, each image left out of the fit, that lies within the threshold.
WITHIN = 0.99
_FOLDS, _LEAST_SHRINKAGE = 5, 0.05
_OTHER_SET = "the model is of another version of csiq"


@dataclass(frozen=True)
class Domain:
    """Where the training set lies.

    Attributes
    ----------
    mean : float64 array, (n_descriptors,)
        Of :data:`csiq.quality.descriptors.DESCRIPTORS`.
    covariance : float64 array, (n_descriptors, n_descriptors)
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
    def fit(
        cls,
        samples: np.ndarray,
        voxel_size: tuple[float, float],
        groups: Sequence[object] | None = None,
    ) -> Domain:
        """Return the domain of a training set.

        The threshold holds 99 % of the training images, the distance of each taken from the other folds.

        Parameters
        ----------
        samples : float64 array, (n_images, n_descriptors)
            At least 4 images, an image a row, of the networks' training patients alone.
        voxel_size : (float, float)
        groups : sequence, optional
            Patient of each image: those of one patient fall into one fold.

        Raises
        ------
        ShapeError
            If there are fewer than 4 patients, or other descriptors.
        """
        who = list(groups) if groups is not None else list(range(len(samples)))
        samples = np.asarray(samples, dtype=np.float64)
        if samples.ndim != 2 or len(set(who)) < 4 or samples.shape[1] != len(DESCRIPTORS):
            raise ShapeError(
                f"expected 4 patients or more and {len(DESCRIPTORS)} descriptors, got {samples.shape}"
            )
        far = np.empty(len(samples))
        number_of = {patient: number for number, patient in enumerate(dict.fromkeys(who))}
        fold = np.array([number_of[patient] % min(_FOLDS, len(number_of)) for patient in who])
        for number in np.unique(fold):
            out = fold == number
            trial = cls(*_moments(samples[~out]), np.inf, voxel_size)
            far[out] = [trial.distance(sample) for sample in samples[out]]
        return cls(*_moments(samples), float(np.quantile(far, WITHIN, method="higher")), voxel_size)

    @classmethod
    def from_card(cls, card: dict[str, Any]) -> Domain | None:
        """Return the domain a model card describes; None if it says that none is known.

        Raises
        ------
        ModelError
            If it describes one that cannot be used.
        """
        if "domain" in card and card["domain"] is None:
            return None
        try:
            entry, voxels = card["domain"], card["voxel_size_mm"]
            what = entry["statistics"]
            mean, spread = np.array(entry["mean"], float), _unpacked(entry)
            known = cls(mean, spread, float(entry["threshold"]), (float(voxels["min"]), float(voxels["max"])))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"model card lacks a usable domain ({error})", field="domain") from error
        if what != DESCRIPTOR_SET:
            raise ModelError(f"expected '{DESCRIPTOR_SET}'", field="domain.statistics", hint=_OTHER_SET)
        wanted = len(DESCRIPTORS)
        if mean.shape != (wanted,) or spread.shape != (wanted,) * 2:
            raise ModelError(f"expected {wanted} statistics, got {mean.shape}", field="domain.mean")
        if not _is_covariance(spread) or not np.isfinite(mean).all():
            raise ModelError("its covariance is none", field="domain")
        return known

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of the model card; the matrix is text: a line instead of thousands."""
        spread = np.sqrt(np.diag(self.covariance))
        below = (self.covariance / np.outer(spread, spread))[np.tril_indices(len(spread), -1)]
        return {
            "statistics": DESCRIPTOR_SET,
            "mean": np.round(self.mean, 5).tolist(),
            "spread": np.round(spread, 5).tolist(),
            "correlation": " ".join(f"{value:.4f}" for value in below),
            "threshold": round(self.threshold, 4),
            "within": WITHIN,
        }

    @cached_property
    def _whitening(self) -> np.ndarray:
        return np.linalg.inv(np.linalg.cholesky(self.covariance))

    def distance(self, sample: np.ndarray) -> float:
        """Return the Mahalanobis distance of one image's statistics."""
        return float(np.linalg.norm(self._whitening @ (sample - self.mean)))

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


def _moments(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance, the correlations shrunk towards none as far as Ledoit and Wolf say."""
    mean, spread = samples.mean(axis=0), samples.std(axis=0, ddof=1) + 0.01
    scaled = (samples - mean) / spread
    n, size = scaled.shape
    found = scaled.T @ scaled / n
    level = np.trace(found) / size
    away = np.sum((found - level * np.eye(size)) ** 2)
    # mean over images of |z z' - S|^2, without the products themselves
    noise = (np.mean(np.sum(scaled**2, axis=1) ** 2) - np.sum(found**2)) / n
    share = float(np.clip(noise / away, _LEAST_SHRINKAGE, 1))
    shrunk = (1 - share) * found + share * level * np.eye(size)
    return mean, shrunk * np.outer(spread, spread)


def _unpacked(entry: dict[str, Any]) -> np.ndarray:
    spread = np.array(entry["spread"], float)
    below = np.array(entry["correlation"].split(), float)
    matrix = np.eye(len(spread))
    matrix[np.tril_indices(len(spread), -1)] = below
    matrix = matrix + matrix.T - np.eye(len(spread))
    return np.asarray(matrix * np.outer(spread, spread))


def _is_covariance(matrix: np.ndarray) -> bool:
    if not np.isfinite(matrix).all():
        return False
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True
