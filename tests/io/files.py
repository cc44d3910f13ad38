"""Oblique volumes, echoes, and ways to rewrite parts of an ISMRMRD file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from csiq.acquisition import Geometry


def rotation(z: float, y: float, x: float) -> np.ndarray:
    """Return a rotation by three angles: oblique in every plane, so that no flip can hide."""
    c, s = np.cos([z, y, x]), np.sin([z, y, x])
    about_z = np.array([[c[0], -s[0], 0], [s[0], c[0], 0], [0, 0, 1]])
    about_y = np.array([[c[1], 0, s[1]], [0, 1, 0], [-s[1], 0, c[1]]])
    about_x = np.array([[1, 0, 0], [0, c[2], -s[2]], [0, s[2], c[2]]])
    return about_z @ about_y @ about_x


def oblique_geometry(shape: tuple[int, int, int] = (16,) * 3, fov: float = 32.0) -> Geometry:
    affine = np.eye(4)
    affine[:3, :3] = rotation(0.3, -0.2, 0.5) * (fov / np.array(shape[::-1]))
    affine[:3, 3] = [11.0, -23.0, 37.0]
    return Geometry(shape=shape, fov=(fov,) * 3, affine=affine)


def random_kspace(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return samples that peak in the middle of each spoke, as an echo does."""
    x = rng.standard_normal((*shape, 2)).astype(np.float32).view(np.complex64)[..., 0]
    envelope = 1 + 20 * np.exp(-(((np.arange(shape[-1]) - shape[-1] // 2) / 2.0) ** 2))
    return (x * 0.1 + envelope).astype(np.complex64)


def edit_xml(path: Path, change: Callable[[str], str]) -> None:
    with h5py.File(path, "r+") as file:
        file["dataset/xml"][0] = change(file["dataset/xml"][0].decode()).encode()


def edit_rows(path: Path, change: Callable[[np.ndarray], np.ndarray | None]) -> None:
    """Rewrite the table of readouts; ``change`` gets all rows and edits them, or returns others."""
    with h5py.File(path, "r+") as file:
        rows = file["dataset/data"][:]
        changed = change(rows)
        rows = rows if changed is None else changed
        dtype = file["dataset/data"].dtype
        del file["dataset/data"]
        table = file["dataset"].create_dataset("data", rows.shape, dtype, maxshape=(None,), chunks=(64,))
        table[:] = rows


def imaging(rows: np.ndarray) -> np.ndarray:
    """Return the indices of the imaging readouts."""
    return np.flatnonzero((rows["head"]["flags"].astype(np.int64) & ((1 << 18) | (1 << 22))) == 0)


def blobs(coord: np.ndarray, n_coils: int, shift: np.ndarray | None = None) -> np.ndarray:
    """Return the exact k-space of a few tilted Gaussians, each coil seeing them with other weights.

    Parameters
    ----------
    coord : float array, (n_spokes, n_samples, 3)
        Cycles per field of view.
    n_coils : int
    shift : float array, (n_spokes,), optional
        Along z, in fields of view.
    """
    rng = np.random.default_rng(5)
    moved = np.zeros(len(coord)) if shift is None else shift
    found = np.zeros((n_coils, *coord.shape[:2]), np.complex128)
    for _ in range(5):
        axes = rotation(*rng.uniform(-1.5, 1.5, 3))
        widths = rng.uniform(0.02, 0.12, 3)
        k = coord.astype(np.float64) @ axes.T * (np.pi * widths)
        place = rng.uniform(-0.2, 0.2, 3)
        angle = 2 * np.pi * (coord @ place + coord[..., 0] * moved[:, None])
        weight = rng.uniform(0.3, 1.5, n_coils) * np.exp(1j * rng.uniform(-0.5, 0.5, n_coils))
        found += weight[:, None, None] * np.exp(-np.sum(k**2, axis=-1) - 1j * angle)
    return found.astype(np.complex64)
