"""How densely a radial scan samples k-space, and the factor that makes up for it.

Axes are z y x, positions in cycles per field of view (-n/2 .. n/2) as in SigPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from csiq.arrays import Array, to_host, xp_of
from csiq.errors import ConfigError, ShapeError, nearest

COMPENSATIONS = ("analytic", "phyllotaxis", "uniform", "ramp", "pipe-menon", "none")


def density_compensation(
    coord: Array, method: str = "analytic", *, shape: Sequence[int] | None = None
) -> Array:
    """Return the density compensation factor: larger where samples are sparse.

    The analytic factors are the volumes of the shells (or rings) that the samples stand for, hence
    the floor at the centre, times sin(theta) / theta for a phyllotaxis, whose spokes crowd at the
    equator.

    Parameters
    ----------
    coord : float32 array, (n_spokes, n_samples, 3)
        z y x, cycles per field of view.
    method : str
        ``analytic`` (finds out which of the next three fits), ``phyllotaxis``, ``uniform`` (|k|^2),
        ``ramp`` (in-plane |k|: 2D and stack-of-stars), ``pipe-menon`` or ``none``.
    shape : (int, int, int), optional
        Matrix, z y x; ``pipe-menon`` needs it.

    Returns
    -------
    float32 array, (n_spokes, n_samples), mean 1

    Raises
    ------
    ConfigError
        If there is no such method.
    ShapeError
        If ``coord`` is not a set of spokes, or ``shape`` is missing.

    References
    ----------
    Pipe JG, Menon P. Magn Reson Med 1999;41:179-186.
    """
    if coord.ndim != 3 or coord.shape[-1] != 3 or coord.shape[1] < 2:
        raise ShapeError(f"expected (n_spokes, n_samples, 3), got shape {coord.shape}", field="coord")
    if method == "analytic":
        method = analytic_method(coord)
    xp = xp_of(coord)
    if method in ("phyllotaxis", "uniform"):
        dcf = _shell_volumes(xp, coord, power=3)
        if method == "phyllotaxis":
            dcf = dcf * _phyllotaxis_factor(xp, coord)[:, None]
    elif method == "ramp":
        dcf = _shell_volumes(xp, coord[..., 1:], power=2)
    elif method == "pipe-menon":
        dcf = _pipe_menon(coord, shape)
    elif method == "none":
        dcf = xp.ones(coord.shape[:2])
    else:
        raise ConfigError(f"unknown density compensation '{method}'", hint=nearest(method, COMPENSATIONS))
    return (dcf / dcf.mean()).astype(np.float32)


def analytic_method(coord: Array) -> str:
    """Return which analytic factor fits: ``ramp``, ``phyllotaxis`` or ``uniform``.

    Spokes without a z component are a ramp's. Otherwise the polar angles decide, by the smaller
    largest distance (Kolmogorov-Smirnov) from Piccini's law and from the even one.
    """
    along = to_host(coord[:, -1] - coord[:, 0]).astype(np.float64)
    length = np.linalg.norm(along, axis=-1)
    if np.all(np.abs(along[:, 0]) <= 1e-3 * np.maximum(length, 1e-12)):
        return "ramp"
    polar = np.sort(np.arccos(np.minimum(np.abs(along[:, 0]) / np.maximum(length, 1e-12), 1.0)))
    share = (np.arange(polar.size) + 0.5) / polar.size
    from_phyllotaxis = np.abs(share - (2 * polar / np.pi) ** 2).max()
    from_uniform = np.abs(share - (1 - np.cos(polar))).max()
    return "phyllotaxis" if from_phyllotaxis < from_uniform else "uniform"


def _shell_volumes(xp: Any, coord: Array, power: int) -> Array:
    """Return the share of a ball (power 3) or disk (power 2) between the midpoints of each spoke."""
    along = coord[:, -1] - coord[:, 0]
    along = along / xp.maximum(xp.linalg.norm(along, axis=-1, keepdims=True), 1e-12)
    radius = xp.einsum("ijk,ik->ij", coord.astype(np.float64), along.astype(np.float64))
    inner = (radius[:, 1:] + radius[:, :-1]) / 2
    first = (3 * radius[:, :1] - radius[:, 1:2]) / 2
    last = (3 * radius[:, -1:] - radius[:, -2:-1]) / 2
    # a half spoke that starts at the centre stands for nothing behind it
    first = xp.where(radius[:, :1] > -1e-6, xp.maximum(first, 0.0), first)
    edges = xp.concatenate([first, inner, last], axis=1)
    return xp.diff(edges * xp.abs(edges) ** (power - 1), axis=1) / power


def _phyllotaxis_factor(xp: Any, coord: Array) -> Array:
    """Return sin(theta) / theta of each spoke."""
    along = (coord[:, -1] - coord[:, 0]).astype(np.float64)
    cosine = xp.abs(along[:, 0]) / xp.maximum(xp.linalg.norm(along, axis=-1), 1e-12)
    return xp.sinc(xp.arccos(xp.minimum(cosine, 1.0)) / np.pi)


def _pipe_menon(coord: Array, shape: Sequence[int] | None) -> Array:
    if shape is None:
        raise ShapeError("pipe-menon needs the matrix", field="shape")
    import sigpy.mri  # imports torch where it is installed: seconds

    used = [axis for axis in range(3) if int(shape[axis]) > 1]
    dcf = sigpy.mri.pipe_menon_dcf(
        coord[..., used], [int(shape[axis]) for axis in used], device=sigpy.get_device(coord), show_pbar=False
    )
    return abs(dcf.reshape(coord.shape[:2]))
