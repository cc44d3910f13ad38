"""SI projections: the Fourier transform of the head-foot spoke of each interleave.

A projection shows the body summed over planes across the head-foot axis, over twice the field of view, once
a heartbeat. Liver, diaphragm and heart move along it; the chest wall and the spine stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.acquisition import Geometry, Navigators
from csiq.errors import RawDataError, ShapeError

#: Breathing moves edges by millimetres to centimetres; finer detail of a projection is mostly noise.
RESOLUTION_MM = 6.0


@dataclass(frozen=True)
class Projections:
    """Projections on the head-foot axis.

    Attributes
    ----------
    values : complex64 array, (n_coils, n_navigators, n_positions)
    position : float64 array, (n_positions,)
        mm from the centre of the field of view, rising.
    direction : float64 array, (3,)
        Unit vector of rising position along the array axes, z y x.
    headward : float
        Cosine between rising position and the direction to the head: 1, -1, or less for an oblique spoke.
    head_known : bool
        False if trajectory or orientation are missing and ``headward`` is an assumption (+z).
    """

    values: np.ndarray
    position: np.ndarray
    direction: np.ndarray
    headward: float
    head_known: bool


def si_projections(
    navigators: Navigators, geometry: Geometry, *, resolution_mm: float | None = None
) -> Projections:
    """Transform SI spokes to projections.

    Parameters
    ----------
    navigators : Navigators
        Full diameters, all along one direction.
    geometry : Geometry
    resolution_mm : float, optional
        Crop k-space to this resolution, with a Hann window; full resolution without one.

    Raises
    ------
    RawDataError
        If there are fewer than two navigators, or they are half spokes or of differing directions.
    ShapeError
        If the trajectory does not fit the data.
    """
    kspace = np.asarray(navigators.kspace)
    if kspace.ndim != 3 or kspace.shape[1] < 2:
        raise RawDataError(f"expected two SI spokes or more, got shape {kspace.shape}", field="navigators")
    start, step = _line(navigators, geometry)
    spacing = float(np.linalg.norm(step))
    centre = round(-float(start @ step) / spacing**2)
    if not 0.2 * kspace.shape[-1] < centre < 0.8 * kspace.shape[-1]:
        raise RawDataError(
            "SI spokes do not cross the centre of k-space", field="navigators", hint='gate with source = "k0"'
        )
    unit = step / spacing
    fov = float(1 / np.linalg.norm(unit / np.asarray(geometry.fov)))
    window = _window(
        kspace.shape[-1], centre, None if resolution_mm is None else fov / resolution_mm / spacing
    )
    part = kspace[..., window.start : window.stop] * window.weight
    values = np.fft.fftshift(np.fft.ifft(np.roll(part, -window.centre, axis=-1), axis=-1), axes=-1)
    n = values.shape[-1]
    position = (np.arange(n) - n // 2) * fov / (n * spacing)
    return Projections(values.astype(np.complex64), position, unit, *_head(unit, navigators, geometry))


def _line(navigators: Navigators, geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Return first position and step of the samples, z y x in cycles per field of view."""
    n = navigators.kspace.shape[-1]
    if navigators.coord is None:
        step = np.array([geometry.shape[0] / n, 0.0, 0.0])
        return -(n // 2) * step, step
    coord = np.asarray(navigators.coord, dtype=np.float64)
    if coord.shape != (*navigators.kspace.shape[1:], 3):
        raise ShapeError(
            f"trajectory has shape {coord.shape}, data {navigators.kspace.shape}", field="navigators"
        )
    steps = (coord[:, -1] - coord[:, 0]) / (n - 1)
    step = np.median(steps, axis=0)
    if not np.linalg.norm(step) > 0 or np.abs(steps - step).max() > 0.02 * np.linalg.norm(step):
        raise RawDataError("SI spokes do not share one direction", field="navigators")
    return np.median(coord[:, 0], axis=0), step


@dataclass(frozen=True)
class _Window:
    start: int
    stop: int
    centre: int
    weight: np.ndarray


def _window(n: int, centre: int, width: float | None) -> _Window:
    if width is None or width >= n:
        return _Window(0, n, centre, np.ones(n, dtype=np.float32))
    half = min(max(8, round(width)), centre, n - centre)
    weight = np.cos(0.5 * np.pi * np.arange(-half, half) / half) ** 2
    return _Window(centre - half, centre + half, half, weight.astype(np.float32))


def _head(unit: np.ndarray, navigators: Navigators, geometry: Geometry) -> tuple[float, bool]:
    """Return the cosine between the spoke and the head, and whether the file says so."""
    if navigators.coord is None or not geometry.known:
        return (float(np.sign(unit[0])) or 1.0), False
    direction = geometry.affine[:3, :3] / np.linalg.norm(geometry.affine[:3, :3], axis=0) @ unit[::-1]
    return float(direction[2] / np.linalg.norm(direction)), True
