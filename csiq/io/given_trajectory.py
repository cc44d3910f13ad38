"""A trajectory the file does not hold: named, or from ``FILE[:/DATASET]``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from csiq.errors import ConfigError, RawDataError, nearest
from csiq.io.hdf5 import check_size, find_dataset, open_h5, reading
from csiq.io.sniff import check_readable, identify
from csiq.trajectory import TRAJECTORIES, interleave_sizes, named_trajectory


def is_name(trajectory: str) -> bool:
    """Return whether ``--trajectory`` names a computed trajectory, not a file."""
    return trajectory in TRAJECTORIES


def given_trajectory(
    trajectory: str,
    kspace: np.ndarray,
    shape: tuple[int, int, int],
    *,
    centre: int | None = None,
    heartbeat: np.ndarray | None = None,
) -> np.ndarray:
    """Return the trajectory that ``--trajectory`` asks for.

    Parameters
    ----------
    trajectory : str
        One of :data:`csiq.trajectory.TRAJECTORIES`, or ``FILE[:/DATASET]``: a ``.npy`` file, or an HDF5
        file (dataset ``/coord`` by default) with (n_spokes, n_samples, 3) z y x or (n_spokes, n_samples, 2)
        y x, in cycles per field of view.
    kspace : complex64 array, (n_coils, n_spokes, n_samples)
    shape : (int, int, int)
        Matrix, z y x.
    centre : int, optional
        Sample at the centre of k-space; None if the file does not say.
    heartbeat : int array, (n_spokes,), optional
        Tells a phyllotaxis its interleaves.

    Returns
    -------
    float32 array, (n_spokes, n_samples, 3)

    Raises
    ------
    ConfigError
        If it is neither a name nor a file.
    RawDataError
        If it does not fit the data.
    """
    if is_name(trajectory):
        whole, kept = _nominal_spoke(trajectory, kspace, centre)
        n = interleaves(heartbeat) if trajectory == "phyllotaxis" else None
        return named_trajectory(trajectory, kspace.shape[1], whole, shape, n_interleaves=n)[:, kept]
    coord = _load(trajectory)
    if coord.ndim != 3 or coord.shape[-1] not in (2, 3):
        raise RawDataError(
            f"expected (n_spokes, n_samples, 3), got shape {coord.shape}",
            file=trajectory,
            field="--trajectory",
        )
    if coord.shape[:2] != kspace.shape[1:]:
        raise RawDataError(
            f"trajectory has {coord.shape[0]} spokes x {coord.shape[1]} samples, "
            f"data {kspace.shape[1]} x {kspace.shape[2]}",
            file=trajectory,
            field="--trajectory",
        )
    if coord.shape[-1] == 2:
        coord = np.concatenate([np.zeros_like(coord[..., :1]), coord], axis=-1)
    return np.ascontiguousarray(coord, dtype=np.float32)


def split_dataset(trajectory: str) -> tuple[Path, str | None]:
    """Return file and dataset of ``FILE[:/DATASET]``: it splits at the last ``:/``."""
    name, separator, dataset = trajectory.rpartition(":/")
    return (Path(name), f"/{dataset}") if separator and name else (Path(trajectory), None)


def _load(trajectory: str) -> np.ndarray:
    path, dataset = split_dataset(trajectory)
    if not path.exists() and dataset is None:
        raise ConfigError(
            f"'{trajectory}' is no file", field="--trajectory", hint=nearest(trajectory, TRAJECTORIES)
        )
    check_readable(path)
    if identify(path) == "hdf5":
        return _load_h5(path, dataset or "/coord")
    try:
        loaded = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError):
        raise RawDataError(
            f"is {identify(path)}; expected .npy or HDF5", file=path, field="--trajectory"
        ) from None
    if not isinstance(loaded, np.ndarray) or loaded.dtype.kind not in "fiu":
        raise RawDataError("expected one array of real numbers", file=path, field="--trajectory")
    return loaded


def _load_h5(path: Path, dataset: str) -> np.ndarray:
    with open_h5(path) as file:
        node = find_dataset(file, dataset)
        if node is None:
            raise RawDataError(
                "no such dataset", file=path, field=dataset, hint=f"--trajectory {path.name}:/DATASET"
            )
        if node.dtype.kind not in "fiu":
            raise RawDataError(f"expected real numbers, got {node.dtype}", file=path, field=dataset)
        check_size(node, None)
        with reading(path, dataset):
            return np.asarray(node[()])


def _nominal_spoke(name: str, kspace: np.ndarray, centre: int | None) -> tuple[int, slice]:
    """Return the samples of a whole diameter, and which of them the data holds."""
    n_samples, peak = kspace.shape[2], echo_peak(kspace)
    centre = n_samples // 2 if centre is None else centre
    if abs(peak - centre) > max(0.05 * n_samples, 2):
        raise RawDataError(
            f"the signal peaks at sample {peak}, a '{name}' spoke has its centre at {centre}",
            field="--trajectory",
            hint="give the trajectory as a file",
        )
    # A partial echo is the end of a longer diameter
    half = max(centre, n_samples - centre)
    return 2 * half, slice(half - centre, half - centre + n_samples)


def interleaves(heartbeat: np.ndarray | None) -> int | None:
    """Return the number of interleaves of a phyllotaxis, or None if nothing tells it.

    Raises
    ------
    RawDataError
        If the heartbeats do not hold the numbers of spokes that a phyllotaxis has in its interleaves.
    """
    if heartbeat is None or heartbeat[0] == heartbeat[-1]:
        return None
    _, sizes = np.unique(heartbeat, return_counts=True)
    if not np.array_equal(sizes, interleave_sizes(len(heartbeat), len(sizes))):
        raise RawDataError(
            f"{len(sizes)} heartbeats hold {sizes.min()} to {sizes.max()} spokes, "
            "interleaves of a phyllotaxis are equal",
            field="--trajectory",
            hint="give the trajectory as a file",
        )
    return len(sizes)


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
