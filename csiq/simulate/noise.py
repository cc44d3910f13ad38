"""Receiver noise: correlated between coils, white along time."""

from __future__ import annotations

import numpy as np

_N_READOUTS = 64  # noise readouts at the head of a file
_BLOCK = 512  # readouts at a time


def add_noise(
    kspace: np.ndarray, covariance: np.ndarray, snr: float, rng: np.random.Generator
) -> np.ndarray | None:
    """Add correlated noise in place.

    Parameters
    ----------
    kspace : complex64 array, (n_coils, n_readouts, n_samples)
    covariance : complex array, (n_coils, n_coils)
        E[n n^H] at an SNR of 1.
    snr : float
        Infinite for none.

    Returns
    -------
    complex64 array, (n_coils, n), or None
        Further noise without signal, as a scanner measures it before a scan; None if there is none.
    """
    if np.isinf(snr):
        return None
    colour = np.linalg.cholesky(covariance).astype(np.complex64) / snr
    alone = colour @ _white(rng, (len(kspace), _N_READOUTS * kspace.shape[2]))
    for start in range(0, kspace.shape[1], _BLOCK):
        block = kspace[:, start : start + _BLOCK]
        block += np.tensordot(colour, _white(rng, block.shape), axes=1)
    return np.asarray(alone)


def _white(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return complex64 noise with E|n|^2 = 1."""
    pairs = rng.standard_normal((*shape, 2), dtype=np.float32)
    return np.asarray(pairs.view(np.complex64)[..., 0] / np.float32(np.sqrt(2)))
