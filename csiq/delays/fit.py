"""Smooth k-space and delays together: separable least squares.

For given delays the polynomials' coefficients are a linear fit; the delays follow by Gauss-Newton on what
that fit leaves over (variable projection). Errors of the samples of one heartbeat are not independent, hence
the standard errors are those of whole heartbeats.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from csiq.delays.centre import Centre
from csiq.delays.smooth import Smooth
from csiq.delays.tensor import ENTRIES

#: Degrees of the polynomials, in turn: the first ones lead the search, the last one decides.
_DEGREES = (4, 6, 8)
#: Combinations of polynomials that the samples hardly tell apart from nothing (rings of an undelayed scan).
_UNSEEN = 1e-3
_STEPS, _CONVERGED = 15, 2e-3  # samples
_LED = 0.01  # samples; where the search of a lower degree may end
_LARGEST = 10.0  # samples, at which a search is given up
_MARGIN = 1.3  # of the radius: delays take samples out of it


@dataclass(frozen=True)
class Fit:
    """Where the search ended.

    Attributes
    ----------
    tensor : float64 array, (3, 3)
    covariance : float64 array, (n_names, n_names)
    explained : float
        Share of the energy that the smooth k-space explains.
    converged : bool
    """

    tensor: np.ndarray
    covariance: np.ndarray
    explained: float
    converged: bool


def observable(centre: Centre) -> list[str]:
    """Return the entries of the tensor that displace a spoke: those of the axes along which spokes run."""
    return [name for name, at in ENTRIES.items() if set(at) <= set(centre.moving)]


def symmetric(names: list[str], values: np.ndarray) -> np.ndarray:
    """Return the symmetric tensor with these entries, 0 elsewhere."""
    tensor = np.zeros((3, 3))
    for name, value in zip(names, values, strict=True):
        row, column = ENTRIES[name]
        tensor[row, column] = tensor[column, row] = value
    return tensor


def search(centre: Centre, names: list[str], tensor: np.ndarray) -> Fit:
    """Return the delays with which spokes agree best, from those given: Gauss-Newton.

    Parameters
    ----------
    centre : Centre
    names : list of str
        Entries to find.
    tensor : float64 array, (3, 3)
        Where to start, samples.
    """
    for degree in _DEGREES[:-1]:
        tensor = _settle(centre, names, tensor, (degree, _LED)).tensor
    return _settle(centre, names, tensor, (_DEGREES[-1], _CONVERGED))


def _settle(centre: Centre, names: list[str], tensor: np.ndarray, how: tuple[int, float]) -> Fit:
    """Return where Gauss-Newton ends with polynomials of a degree, at steps below a size."""
    degree, small = how
    converged = False
    for _ in range(_STEPS):
        residual, columns, explained = _linearised(centre, names, tensor, degree)
        normal = np.einsum("pcsn,qcsn->pq", columns.conj(), columns).real
        slope = np.einsum("pcsn,csn->p", columns.conj(), residual).real
        step = np.linalg.lstsq(normal, slope, rcond=None)[0]
        step *= min(1.0, 1.0 / max(float(np.abs(step).max()), 1e-12))  # a sample at a time
        tensor = tensor + symmetric(names, step)
        converged = bool(np.abs(step).max() < small)
        if converged or np.abs(tensor).max() > _LARGEST:
            break
    return Fit(tensor, _sandwich(centre.block, normal, columns, residual), explained, converged)


def _linearised(
    centre: Centre, names: list[str], tensor: np.ndarray, degree: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return what one smooth k-space leaves over, and how that changes with each delay.

    Returns
    -------
    residual : complex128 array, (n_coils, n_spokes, n_near)
    columns : complex128 array, (n_names, n_coils, n_spokes, n_near)
        What the smooth k-space and a factor for each spoke cannot take up.
    explained : float
    """
    shape = centre.data.shape
    k = (centre.k + centre.step @ tensor.T).reshape(-1, 3)
    smooth = Smooth(centre.sampled, _MARGIN * centre.radius, _degree(centre, degree))
    q, back = _orthonormal(smooth.values(k))

    def project(values: np.ndarray) -> np.ndarray:
        """Return the part of the values that the smooth functions take up, in the shape of the samples."""
        return np.asarray(_onto(q, values).reshape(shape))

    model, levelled = _levelled(centre.data, project)
    coefficients = back @ _inner(q, levelled)
    slopes = {a: _outer(d, coefficients).reshape(shape) for a, d in smooth.slopes(k).items()}
    residual = _without_factor(levelled - project(levelled), model)
    columns = np.empty((len(names), *shape), np.complex128)
    for column, name in zip(columns, names, strict=True):
        moved = _moved(slopes, centre.step, name)
        column[:] = _without_factor(moved - project(moved), model)
    explained = 1 - float(np.sum(np.abs(residual) ** 2) / np.sum(np.abs(levelled) ** 2))
    return residual, columns, explained


def _orthonormal(basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an orthonormal basis of what samples see of the polynomials, and the way back to these."""
    q, r = np.linalg.qr(basis)
    u, s, vt = np.linalg.svd(r)
    seen = s > _UNSEEN * s[0]
    return q @ u[:, seen], vt[seen].T / s[seen]


def _inner(q: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return q^T values, complex (n_polynomials, n_coils); q is real."""
    flat = values.reshape(values.shape[0], -1).T
    return np.asarray(q.T @ flat.real + 1j * (q.T @ flat.imag))


def _outer(basis: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Return the values of polynomials with these coefficients, complex (n_coils, n_points)."""
    return np.asarray((basis @ coefficients.real + 1j * (basis @ coefficients.imag)).T)


def _onto(q: np.ndarray, values: np.ndarray) -> np.ndarray:
    return _outer(q, _inner(q, values))


def _levelled(data: np.ndarray, project: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the smooth k-space at the samples, and the samples with each spoke's own factor taken out.

    Decay, drift of the phase and most of breathing change a spoke as a whole; they and the smooth k-space
    are found in turn.
    """
    levelled = data
    for _ in range(3):
        model = project(levelled)
        power = np.sum(np.abs(model) ** 2, axis=(0, 2))
        factor = np.sum(model.conj() * data, axis=(0, 2)) / np.maximum(power, 1e-300)
        factor = np.where(np.abs(factor) > 0.1, factor, 1.0)
        levelled = data / factor[:, None]
    return model, levelled


def _without_factor(values: np.ndarray, model: np.ndarray) -> np.ndarray:
    """Return values less what a complex factor of each spoke would take up."""
    power = np.maximum(np.sum(np.abs(model) ** 2, axis=(0, 2)), 1e-300)
    factor = np.sum(model.conj() * values, axis=(0, 2)) / power
    return np.asarray(values - model * factor[:, None])


def _moved(slopes: dict[int, np.ndarray], step: np.ndarray, name: str) -> np.ndarray:
    """Return how the smooth k-space at the samples changes with an entry of the tensor."""
    row, column = ENTRIES[name]
    change = slopes[row] * step[..., column]
    return change if row == column else change + slopes[column] * step[..., row]


def _degree(centre: Centre, degree: int) -> int:
    """Return the degree: as high as the number of spokes allows, four samples a polynomial."""
    n_points = centre.n_spokes * centre.k.shape[1]
    while degree > 2 and 4 * math.comb(degree + len(centre.sampled), degree) > n_points:
        degree -= 1
    return degree


def _sandwich(block: np.ndarray, normal: np.ndarray, columns: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """Return the covariance of the delays when errors within a block are not independent."""
    each = np.einsum("pcsn,csn->sp", columns.conj(), residual).real
    scores = np.zeros((int(block.max()) + 1, each.shape[1]))
    np.add.at(scores, block, each)
    inverse = np.linalg.pinv(normal)
    n = len(scores)
    return np.asarray(inverse @ (scores.T @ scores) @ inverse * n / max(n - 1, 1))
