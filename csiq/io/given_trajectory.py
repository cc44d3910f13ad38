"""A trajectory the file does not hold: named, or from ``FILE[:/DATASET]``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from csiq.acquisition import Geometry
from csiq.errors import ConfigError, RawDataError, nearest
from csiq.io.alike import echo_peak
from csiq.io.hdf5 import check_size, find_dataset, open_h5, reading
from csiq.io.interleaves import find_interleaves
from csiq.io.npy import load_npy
from csiq.io.options import ReadOptions
from csiq.io.sniff import check_readable, identify
from csiq.io.units import find_unit, unit_scale
from csiq.trajectory import TRAJECTORIES, named_trajectory, radial_coord

_OPTION = "--trajectory"


def is_name(trajectory: str) -> bool:
    """Return whether ``--trajectory`` names a computed trajectory, not a file."""
    return trajectory in TRAJECTORIES


def given_trajectory(
    options: ReadOptions,
    kspace: np.ndarray,
    geometry: Geometry,
    *,
    centre: int | None = None,
    heartbeat: np.ndarray | None = None,
) -> np.ndarray:
    """Return the trajectory that ``--trajectory`` asks for.

    Parameters
    ----------
    options : ReadOptions
        ``trajectory`` is one of :data:`csiq.trajectory.TRAJECTORIES`, or ``FILE[:/DATASET]``: a ``.npy``
        file, or an HDF5 file (dataset ``/coord`` by default) with (n_spokes, n_samples, 3) z y x or
        (n_spokes, n_samples, 2) y x, in cycles per field of view unless ``traj_units`` says otherwise, or
        BART's ``.cfl`` (x y z).
    kspace : complex64 array, (n_coils, n_spokes, n_samples)
    geometry : Geometry
    centre : int, optional
        Sample at the centre of k-space; None if the file does not say.
    heartbeat : int array, (n_spokes,), optional
        Tells a phyllotaxis its interleaves.

    Notes
    -----
    SI spokes of a phyllotaxis that the file does not flag are found (:mod:`csiq.io.interleaves`) and lie
    along z; :func:`csiq.io.finish.finish` takes them out of the image.

    Returns
    -------
    float32 array, (n_spokes, n_samples, 3)

    Raises
    ------
    ConfigError
        If it is neither a name nor a file.
    RawDataError
        If it does not fit the data, or its unit is another.
    """
    trajectory = options.trajectory or ""
    if is_name(trajectory):
        whole, kept = _nominal_spoke(trajectory, kspace, centre)
        if trajectory == "phyllotaxis":
            directions = find_interleaves(kspace, heartbeat, options).directions()
            return radial_coord(directions, geometry.shape, whole)[:, kept]
        return named_trajectory(trajectory, kspace.shape[1], whole, geometry.shape)[:, kept]
    coord, path = load_trajectory(trajectory), split_dataset(trajectory)[0]
    _check_fit(coord, kspace, path)
    if coord.shape[-1] == 2:
        coord = np.concatenate([np.zeros_like(coord[..., :1]), coord], axis=-1)
    unit, _ = find_unit(coord, geometry, path, stated=options.traj_units, declared="cycles/fov")
    return np.ascontiguousarray(coord * unit_scale(unit, geometry), dtype=np.float32)


def orient_given(trajectory: str, geometry: Geometry) -> tuple[Geometry, tuple[str, ...]]:
    """Return the geometry of a scan whose trajectory was given, its orientation known only if it can be.

    The header tells how readout, phase and slice lie in the patient; a file of coordinates does not say that
    its x, y, z are those. Named trajectories take z (the SI axis) along the slice direction, which then must
    be head to foot.
    """
    if not geometry.known:
        return geometry, ()
    through = geometry.affine[:3, 2] / np.linalg.norm(geometry.affine[:3, 2])
    if is_name(trajectory) and (geometry.shape[0] == 1 or abs(through[2]) > np.sqrt(0.5)):
        return geometry, ()
    why = "is not along the slices" if is_name(trajectory) else "does not say how its axes lie in the patient"
    words = f"the given trajectory {why}: images are written without orientation"
    return replace(geometry, known=False), (words,)


def _check_fit(coord: np.ndarray, kspace: np.ndarray, path: Path) -> None:
    if coord.ndim != 3 or coord.shape[-1] not in (2, 3):
        raise RawDataError(
            f"expected (n_spokes, n_samples, 3), got shape {coord.shape}", file=path, field=_OPTION
        )
    if coord.shape[:2] != kspace.shape[1:]:
        raise RawDataError(
            f"trajectory has {coord.shape[0]} spokes x {coord.shape[1]} samples, "
            f"data {kspace.shape[1]} x {kspace.shape[2]}",
            file=path,
            field=_OPTION,
        )
    bad = np.argwhere(~np.isfinite(coord))
    if bad.size:
        spoke, sample, _ = (int(i) for i in bad[0])
        raise RawDataError(f"not finite: spoke {spoke}, sample {sample}", file=path, field=_OPTION)


def spokes_in_file(trajectory: str) -> int | None:
    """Return the number of spokes of a trajectory file; None for a name.

    Raises
    ------
    ConfigError
        If it is neither a name nor a file.
    RawDataError
        If it cannot be read.
    """
    return None if is_name(trajectory) else len(load_trajectory(trajectory))


def split_dataset(trajectory: str) -> tuple[Path, str | None]:
    """Return file and dataset of ``FILE[:/DATASET]``: it splits at the last ``:/``."""
    name, separator, dataset = trajectory.rpartition(":/")
    return (Path(name), f"/{dataset}") if separator and name else (Path(trajectory), None)


def load_trajectory(trajectory: str) -> np.ndarray:
    """Return the array of a trajectory file, (n_spokes, n_samples, 2 or 3), (z) y x, in the unit of the file.

    Raises
    ------
    ConfigError
        If there is no such file.
    RawDataError
        If it cannot be read.
    """
    path, dataset = split_dataset(trajectory)
    if not path.exists() and dataset is None and not path.suffix:
        hint = nearest(trajectory, TRAJECTORIES)
        raise ConfigError(f"'{trajectory}' is no file", field=_OPTION, hint=hint)
    if path.suffix in (".cfl", ".hdr"):
        return _load_cfl(path)
    check_readable(path, "a .npy or HDF5 file", field=_OPTION)
    if identify(path) == "hdf5":
        return _load_h5(path, dataset or "/coord")
    loaded = load_npy(path, field=_OPTION, expected=".npy or HDF5")
    if loaded.dtype.kind not in "fiu":
        raise RawDataError("expected one array of real numbers", file=path, field=_OPTION)
    return loaded


def _load_cfl(path: Path) -> np.ndarray:
    """Return a trajectory of BART's, x y z in 1/FOV, as z y x; its frames follow one another."""
    from csiq.io.cfl import data_of, read_cfl, read_shape

    sizes = read_shape(path)
    if len(sizes) < 2 or sizes[0] != 3:
        raise RawDataError(
            f"expected 3, samples, spokes, got {' '.join(map(str, sizes))}",
            file=data_of(path),
            field="dimensions",
        )
    points = read_cfl(path)
    if np.any(points.imag):
        raise RawDataError("expected real numbers", file=data_of(path), field=_OPTION)
    return np.ascontiguousarray(points.real.reshape(-1, sizes[1], 3)[..., ::-1])


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
            field=_OPTION,
            hint="give the trajectory as a file",
        )
    # A partial echo is the end of a longer diameter
    half = max(centre, n_samples - centre)
    return 2 * half, slice(half - centre, half - centre + n_samples)
