"""From many time courses to few: principal components, the cluster of coils that agree, reproducibility."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Components looked at; breathing is among the first ones, after drift of the scanner at worst.
N_COMPONENTS = 5
#: Coils join the cluster if their signals correlate with its core at least this well.
CLUSTER_CORRELATION = 0.7
#: Below this SNR a signal is noise: it would correlate with the true motion by less than 0.83.
MIN_SNR = 1.5


@dataclass(frozen=True)
class Components:
    """Principal components over time.

    Attributes
    ----------
    scores : float64 array, (n_times, n_components)
        Orthogonal, scaled with their singular values.
    share : float64 array, (n_components,)
        Part of the variance.
    """

    scores: np.ndarray
    share: np.ndarray


def principal_components(features: np.ndarray, n_components: int = N_COMPONENTS) -> Components:
    """Return the first principal components over coils and positions together."""
    n_times = features.shape[1]
    matrix = np.moveaxis(features, 1, 0).reshape(n_times, -1)
    matrix = matrix - matrix.mean(axis=0)
    total = float(np.sum(matrix**2))
    n_components = min(n_components, *matrix.shape)
    if matrix.shape[1] < n_times:
        values, vectors = np.linalg.eigh(matrix.T @ matrix)
        scores = matrix @ vectors[:, ::-1][:, :n_components]
    else:
        values, vectors = np.linalg.eigh(matrix @ matrix.T)
        scores = vectors[:, ::-1][:, :n_components] * np.sqrt(np.maximum(values[::-1][:n_components], 0))
    share = np.maximum(values[::-1][:n_components], 0) / total if total > 0 else np.zeros(n_components)
    return Components(scores, share)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Pearson's correlation; 0 where one of them is constant."""
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm > 0 else 0.0


def agreeing_coils(signals: np.ndarray) -> np.ndarray:
    """Return the coils whose signals agree: the largest cluster around one of them.

    Parameters
    ----------
    signals : float64 array, (n_coils, n_times)
        One time course a coil, of arbitrary sign.

    Returns
    -------
    int array
        Coil numbers; all of them where no two agree.

    References
    ----------
    Zhang T, et al. Robust self-navigated body MRI using dense coil arrays. Magn Reson Med 2016;76:197-205.
    """
    n_coils = len(signals)
    alike = np.array([[abs(correlation(a, b)) for b in signals] for a in signals])
    members = alike >= CLUSTER_CORRELATION
    core = int(np.argmax(members.sum(axis=1) + alike.sum(axis=1) / (n_coils + 1)))
    cluster = np.flatnonzero(members[core])
    return cluster if cluster.size > 1 else np.arange(n_coils)


def reproducible_snr(half_a: np.ndarray, half_b: np.ndarray) -> float:
    """Return the SNR of a signal that was measured twice, from two halves of the data.

    With independent noise the halves correlate by r = S^2 / (S^2 + 1), S the SNR of one of them; both
    together have sqrt(2) S. Halves that do not correlate have SNR 0.
    """
    r = min(max(correlation(half_a, half_b), 0.0), 1 - 1e-9)
    return float(np.sqrt(2 * r / (1 - r)))
