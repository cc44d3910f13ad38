"""What a scan without a header has: its matrix from the trajectory, its size and times as told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from csiq.acquisition import Geometry
from csiq.errors import ConfigError, RawDataError
from csiq.io.geometry import unknown_geometry
from csiq.io.given_trajectory import is_name, load_trajectory
from csiq.io.header import check_matrix
from csiq.io.options import ReadOptions

#: Share of the largest radius that an axis reaches if its voxels are those of the others.
_ALIKE = 0.9


def plain_geometry(
    options: ReadOptions, file: Path, coord: np.ndarray | None = None
) -> tuple[Geometry, tuple[str, ...]]:
    """Return the geometry of a scan that has no header; its orientation is not known.

    Parameters
    ----------
    options : ReadOptions
        ``fov`` is needed, and ``trajectory`` unless ``coord`` is given.
    file : Path
        For messages.
    coord : float array, (n_spokes, n_samples, 2 or 3), optional
        Stored trajectory, (z) y x.

    Raises
    ------
    ConfigError
        If the field of view is not told, or the trajectory is a name: it does not tell the matrix.
    """
    if options.fov is None:
        raise ConfigError(
            "it does not say its field of view",
            file=file,
            field="--fov",
            hint="--fov Z Y X, in mm",
        )
    if coord is None:
        if is_name(options.trajectory or ""):
            raise ConfigError(
                "a named trajectory needs a matrix, which the file does not say",
                file=file,
                field="--trajectory",
                hint="give the trajectory as a file",
            )
        coord = load_trajectory(options.trajectory or "")
    shape = _matrix_of(coord, options, file)
    note = "no header: the matrix is that of the trajectory, the orientation is not known"
    return unknown_geometry(shape, options.fov), (note,)


def _matrix_of(coord: np.ndarray, options: ReadOptions, file: Path) -> tuple[int, int, int]:
    if options.traj_units not in (None, "cycles/fov"):
        raise ConfigError(
            "the matrix can be told from cycles/fov only", file=file, field="--traj-units", hint="scale it"
        )
    if coord.ndim != 3 or coord.shape[-1] not in (2, 3) or not np.isfinite(coord).all():
        raise RawDataError(f"no usable trajectory of shape {coord.shape}", file=file, field="trajectory")
    reach = np.zeros(3)
    reach[3 - coord.shape[-1] :] = np.abs(coord).max(axis=(0, 1))
    reach[reach >= _ALIKE * reach.max()] = reach.max()
    if 0 < reach.max() <= 4:
        raise RawDataError(
            f"the trajectory reaches {reach.max():.3g} cycles per field of view (cycles per pixel?)",
            file=file,
            field="trajectory",
            hint="multiply it with the matrix",
        )
    # -n/2 .. n/2 - step, or half a step off at both ends: the next even number
    z, y, x = (max(2 * int(np.ceil(k - 0.01)), 1) for k in reach)
    check_matrix((z, y, x), file)
    return z, y, x


def plain_times(
    stored: Any, n_spokes: int, options: ReadOptions, file: Path
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the times of spokes in seconds: stored, else by ``tr``, else by 3 ms, which is said.

    Raises
    ------
    RawDataError
        If the stored ones are not as many, or not finite.
    """
    if stored is not None and options.tr is None:
        try:
            times = np.array(stored, dtype=np.float64)
        except (TypeError, ValueError):
            times = np.zeros(0)
        if times.shape != (n_spokes,) or not np.isfinite(times).all():
            raise RawDataError(f"expected {n_spokes} times, got {times.shape}", file=file, field="times")
        return times, ()
    step = 3.0 if options.tr is None else options.tr
    words = () if options.tr is not None else ("no times: spokes are taken to be 3 ms apart (--tr tells)",)
    return np.arange(n_spokes) * step * 1e-3, words
