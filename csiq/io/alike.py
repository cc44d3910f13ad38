"""Which readouts are alike, and whether they are alike as a trajectory says they must be."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np

#: Samples on either side of the centre that are compared; beyond, noise has the say.
_HALF = 24

#: Readouts that are enough to find the centre and to try a trajectory on.
_ENOUGH = 2048


def echo_peak(kspace: np.ndarray) -> int:
    """Return the sample at which the signal, over all coils and spokes, is largest.

    Parameters
    ----------
    kspace : complex64 array, (n_coils, n_spokes, n_samples)
    """
    energy = np.zeros(kspace.shape[-1])
    for coil in kspace:
        magnitude = np.abs(coil)
        # A median over spokes: one flipped byte must not decide. Not finite samples are found elsewhere.
        energy += np.nan_to_num(np.median(magnitude, axis=0)).astype(np.float64)
    return int(np.argmax(energy))


def profiles(kspace: np.ndarray) -> np.ndarray:
    """Return what is compared of each readout: magnitudes about the centre.

    A translation turns the angles of k-space and leaves its magnitudes. Radius and a Wiener weight flatten
    the signal and hold noise down; the centre itself, the same in all directions, has weight 0.

    Parameters
    ----------
    kspace : complex64 array, (n_coils, n_readouts, n_samples)

    Returns
    -------
    float32 array, (n_readouts, n_features)
        Rows of length 1.
    """
    n_samples = kspace.shape[-1]
    centre = echo_peak(kspace[:, :: max(kspace.shape[1] // _ENOUGH, 1)])
    near = np.arange(max(centre - _HALF, 0), min(centre + _HALF + 1, n_samples))
    n_end = max(n_samples // 16, 1)
    ends = [*range(n_end), *range(n_samples - n_end, n_samples)]
    parts = []
    with np.errstate(over="ignore", invalid="ignore"):
        for coil in kspace:
            found = np.nan_to_num(np.abs(coil[:, near]), posinf=0.0)
            power = np.square(np.median(found, axis=0))
            floor = np.median(np.square(np.nan_to_num(np.abs(coil[:, ends]), posinf=0.0)))
            wiener = np.clip(1 - floor / np.maximum(power, 1e-30), 0, 1)
            parts.append(found * (np.abs(near - centre) * wiener).astype(np.float32))
        rows = np.concatenate(parts, axis=1)
        return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30), np.float32)


def explained(rows: np.ndarray, directions: np.ndarray) -> float:
    """Return the share of the variance of readouts that their directions explain, chance taken off.

    Polynomials of the direction up to the fourth degree are fitted: alike directions, alike readouts.

    Parameters
    ----------
    rows : float array, (n_readouts, n_features)
        See :func:`profiles`.
    directions : float array, (n_readouts, 3)
        Unit vectors.

    Returns
    -------
    float
        1 if they explain all, about 0 if they have nothing to do with it.
    """
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), _ENOUGH)).astype(int)
    x, u = rows[chosen] - rows[chosen].mean(axis=0), directions[chosen]
    # On a sphere those of degree 3 and 4 span all up to the fourth
    columns = [
        np.prod(u[:, axes], axis=1) for n in (3, 4) for axes in combinations_with_replacement((0, 1, 2), n)
    ]
    basis = np.linalg.qr(np.stack(columns, axis=1))[0]
    share = float(np.sum(np.square(basis.T @ x)) / max(float(np.sum(np.square(x))), 1e-30))
    chance = basis.shape[1] / len(chosen)
    return (share - chance) / max(1 - chance, 1e-6)
