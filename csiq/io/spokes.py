"""Whether a trajectory is one of spokes: straight lines through the centre of k-space."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from csiq.acquisition import Geometry
from csiq.errors import RawDataError

#: Readouts looked at together: what they need stays in the processor's cache.
_BLOCK = 256

#: Share of the edge of k-space by which a line may bend or miss the centre; delays of gradients and eddy
#: currents stay below a few samples.
_TOLERANCE = 0.1


def check_radial(coord: np.ndarray, geometry: Geometry, path: Path) -> None:
    """Raise unless readouts are straight lines through the centre of k-space (or its kz axis).

    Parameters
    ----------
    coord : float array, (n_spokes, n_samples, 3)
        z y x in cycles per field of view.

    Raises
    ------
    RawDataError
        For spirals and Cartesian lines, and for single samples that are far off their spoke.
    """
    edge = max(geometry.shape) / 2
    bend = np.empty(coord.shape[:2], np.float32)
    miss = np.empty(len(coord), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(coord), _BLOCK):
            part = slice(start, start + _BLOCK)
            z, y, x = (np.ascontiguousarray(coord[part, :, axis]) for axis in range(3))
            bend[part] = _bends(z, y, x)
            # A stack of stars passes the kz axis, not the centre; the distance from the axis is the smaller
            miss[part] = np.sqrt((y * y + x * x).min(axis=1))
    usual = float(np.median(bend.max(axis=1)))
    if usual > _TOLERANCE * edge:
        raise RawDataError("readouts are curved; csiq needs straight radial spokes", file=path, field="traj")
    if np.median(miss) > _TOLERANCE * edge:
        raise RawDataError(
            "readouts pass beside the centre of k-space (Cartesian lines?); csiq needs radial spokes",
            file=path,
            field="traj",
        )
    _check_each(coord, bend > max(_TOLERANCE * edge, 5 * usual), geometry, path)


def _bends(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the distance of each sample from the line through its spoke's ends, (n_spokes, n_samples)."""
    lines = [k[:, -1:] - k[:, :1] for k in (z, y, x)]
    length = np.maximum(np.sqrt(sum(line * line for line in lines)), 1e-6)
    along_z, along_y, along_x = (line / length for line in lines)
    z, y, x = (k - k[:, :1] for k in (z, y, x))
    # The cross product with the unit vector along the line
    cross = ((y, along_z, z, along_y), (z, along_x, x, along_z), (x, along_y, y, along_x))
    return np.sqrt(sum((a * b - c * d) ** 2 for a, b, c, d in cross))


def _check_each(coord: np.ndarray, bent: np.ndarray, geometry: Geometry, path: Path) -> None:
    n = np.array(geometry.shape)
    edges = np.where(n > 1, 0.75 * n, np.inf).astype(np.float32)
    for axis, edge in enumerate(edges):
        if np.isfinite(edge):
            bent = bent | (np.abs(coord[..., axis]) > edge)
    if not bent.any():
        return
    spoke, sample = (int(i) for i in np.argwhere(bent)[0])
    raise RawDataError(
        f"damaged: spoke {spoke}, sample {sample} is off its line or beyond the edge of k-space",
        file=path,
        field="traj",
    )
