"""Where radial scans sample k-space; :mod:`csiq.density` says how densely.

Axes are z y x (head is +z), positions in cycles per field of view (-n/2 .. n/2) as in SigPy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from csiq.errors import ConfigError, nearest

GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))  # 137.508 degrees: azimuth step of a phyllotaxis
GOLDEN_ANGLE_2D = np.pi * (np.sqrt(5) - 1) / 2  # 111.246 degrees: step between full diameters
#: Two-dimensional golden means, all digits: four of them repeat directions within a scan.
GOLDEN_MEANS = (0.465571231876768, 0.682327803828019)

TRAJECTORIES = ("phyllotaxis", "golden2d", "golden3d", "stack-of-stars")

_FIBONACCI = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584)
_SPOKES_A_HEARTBEAT = 29  # 36 for the paper's 13 600 spokes and for the demo, 23 for 64^3
_MIN_INTERLEAVES = 34  # fewer heartbeats do not fill four breathing phases


def interleave_sizes(n_spokes: int, n_interleaves: int) -> np.ndarray:
    """Return how many spokes each interleave holds; they differ by one at most.

    Returns
    -------
    int64 array, (n_interleaves,)
    """
    if not 1 <= n_interleaves <= n_spokes:
        raise ConfigError(f"{n_spokes} spokes do not make {n_interleaves} interleaves", field="interleaves")
    return n_spokes // n_interleaves + (np.arange(n_interleaves) < n_spokes % n_interleaves)


def default_interleaves(n_spokes: int) -> int:
    """Return the Fibonacci number of interleaves that gives about 29 spokes a heartbeat.

    Other numbers make large azimuth steps within an interleave (400: 77 degrees, 377: 0.4), which
    excite eddy currents.
    """
    wanted = max(n_spokes / _SPOKES_A_HEARTBEAT, _MIN_INTERLEAVES)
    known = [f for f in _FIBONACCI if f <= n_spokes]
    return min(known, key=lambda f: abs(np.log(f / wanted)))


def is_fibonacci(number: int) -> bool:
    """Return whether a number of interleaves keeps the azimuth steps small."""
    return number in _FIBONACCI


def phyllotaxis_order(n_spokes: int, n_interleaves: int) -> np.ndarray:
    """Return the rank (1 .. n_spokes from pole to equator) of each imaging spoke as acquired.

    Readout i of interleave j has rank i * n_interleaves + j; interleaves may differ by one spoke.

    Returns
    -------
    int64 array, (n_spokes,)
    """
    sizes = interleave_sizes(n_spokes, n_interleaves)
    return np.concatenate([j + 1 + n_interleaves * np.arange(size) for j, size in enumerate(sizes)])


def phyllotaxis(n_interleaves: int, n_per_interleave: int) -> np.ndarray:
    """Return the directions of a spiral phyllotaxis, imaging spokes only, as acquired.

    The SI spoke at the head of each interleave is not among them. Full diameters on one hemisphere;
    the polar angle goes as the square root of the rank, so the density per solid angle is
    theta / sin(theta).

    Returns
    -------
    float64 array, (n_interleaves * n_per_interleave, 3)
        Unit vectors z y x, interleave after interleave.

    References
    ----------
    Piccini D, et al. Spiral phyllotaxis: the natural way to construct a 3D radial trajectory in MRI.
    Magn Reson Med 2011;66:1049-1056.
    """
    return phyllotaxis_directions(phyllotaxis_order(n_interleaves * n_per_interleave, n_interleaves))


def phyllotaxis_directions(order: np.ndarray) -> np.ndarray:
    """Return the directions of the ranks that :func:`phyllotaxis_order` gives.

    Returns
    -------
    float64 array, (n_spokes, 3)
    """
    rank = np.asarray(order, dtype=np.float64)
    polar = np.pi / 2 * np.sqrt(rank / rank.size)
    return _unit_vectors(np.cos(polar), rank * GOLDEN_ANGLE)


def golden_angle_2d(n_spokes: int) -> np.ndarray:
    """Return diameters in the y-x plane, 111.246 degrees apart.

    Returns
    -------
    float64 array, (n_spokes, 3)

    References
    ----------
    Winkelmann S, et al. IEEE Trans Med Imaging 2007;26:68-76.
    """
    return _unit_vectors(np.zeros(n_spokes), np.arange(n_spokes) * GOLDEN_ANGLE_2D)


def golden_means_3d(n_spokes: int) -> np.ndarray:
    """Return diameters whose tips cover a hemisphere evenly at any number of spokes.

    Returns
    -------
    float64 array, (n_spokes, 3)

    References
    ----------
    Chan RW, et al. Temporal stability of adaptive 3D radial MRI using multidimensional golden means.
    Magn Reson Med 2009;61:354-363.
    """
    m = np.arange(n_spokes)
    height, turn = (np.mod(m * mean, 1.0) for mean in GOLDEN_MEANS)
    return _unit_vectors(height, 2 * np.pi * turn)


def stack_of_stars(n_angles: int, n_partitions: int) -> tuple[np.ndarray, np.ndarray]:
    """Return in-plane diameters at golden angles, every partition of one angle in turn.

    Returns
    -------
    directions : float64 array, (n_angles * n_partitions, 3)
    kz : float64 array, (n_angles * n_partitions,)
        Partition, in cycles per field of view, -n_partitions // 2 first.
    """
    directions = np.repeat(golden_angle_2d(n_angles), n_partitions, axis=0)
    kz = np.tile(np.arange(n_partitions) - n_partitions // 2, n_angles)
    return directions, kz.astype(np.float64)


def radial_coord(
    directions: np.ndarray, n: int | Sequence[int], n_samples: int, *, centre_out: bool = False
) -> np.ndarray:
    """Return the samples of straight spokes.

    Diameters run over r = -1/2 .. 1/2 - 1/n_samples times n, so that sample n_samples // 2 is the
    centre; half spokes over 0 .. 1/2 - 1/(2 n_samples).

    Parameters
    ----------
    directions : float array, (n_spokes, 3)
        Unit vectors z y x.
    n : int or three ints
        Matrix, one for all axes or z y x.
    n_samples : int
        Twice ``n`` is a twofold readout oversampling: steps of half a cycle.
    centre_out : bool

    Returns
    -------
    float32 array, (n_spokes, n_samples, 3)
    """
    index = np.arange(n_samples)
    radius = index / (2 * n_samples) if centre_out else (index - n_samples // 2) / n_samples
    ends = np.asarray(directions, dtype=np.float64) * np.asarray(n, dtype=np.float64)
    return (ends[:, None, :] * radius[None, :, None]).astype(np.float32)


def named_trajectory(
    name: str, n_spokes: int, n_samples: int, shape: Sequence[int], *, n_interleaves: int | None = None
) -> np.ndarray:
    """Return the nominal trajectory of a name.

    Parameters
    ----------
    name : str
        ``phyllotaxis``, ``golden2d``, ``golden3d`` or ``stack-of-stars``.
    n_spokes : int
        Imaging spokes; SI spokes are not counted.
    n_samples : int
    shape : (int, int, int)
        Matrix, z y x.
    n_interleaves : int, optional
        Of a phyllotaxis; :func:`default_interleaves` if not given.

    Returns
    -------
    float32 array, (n_spokes, n_samples, 3)

    Raises
    ------
    ConfigError
        If there is no such name, or the spokes do not fill the partitions.
    """
    if name == "phyllotaxis":
        order = phyllotaxis_order(n_spokes, n_interleaves or default_interleaves(n_spokes))
        return radial_coord(phyllotaxis_directions(order), shape, n_samples)
    if name == "golden2d":
        return radial_coord(golden_angle_2d(n_spokes), shape, n_samples)
    if name == "golden3d":
        return radial_coord(golden_means_3d(n_spokes), shape, n_samples)
    if name == "stack-of-stars":
        return _stack_coord(n_spokes, n_samples, shape)
    raise ConfigError(f"unknown trajectory '{name}'", field="--trajectory", hint=nearest(name, TRAJECTORIES))


def _unit_vectors(height: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    across = np.sqrt(1 - height**2)
    return np.stack([height, across * np.sin(azimuth), across * np.cos(azimuth)], axis=-1)


def _stack_coord(n_spokes: int, n_samples: int, shape: Sequence[int]) -> np.ndarray:
    n_partitions = int(shape[0])
    n_angles, rest = divmod(n_spokes, n_partitions)
    if rest:
        raise ConfigError(
            f"{n_spokes} spokes do not fill {n_partitions} partitions evenly",
            field="--trajectory",
            hint=f"{n_angles * n_partitions} or {(n_angles + 1) * n_partitions} would",
        )
    directions, kz = stack_of_stars(n_angles, n_partitions)
    coord = radial_coord(directions, shape, n_samples)
    coord[..., 0] += kz[:, None].astype(np.float32)
    return coord
