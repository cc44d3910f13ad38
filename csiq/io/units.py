"""The unit of a trajectory: ISMRMRD does not say, so it is found from the largest radius.

A wrong unit gives a plausible wrong image. Along each axis k-space ends at n/2 cycles per field of view,
so the largest coordinate tells the unit; where two units fit and disagree, csiq asks.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from csiq.acquisition import Geometry
from csiq.errors import RawDataError
from csiq.io.options import TRAJECTORY_UNITS

#: Those tried when nothing is said; the others of TRAJECTORY_UNITS must be named by the user.
_GUESSED = TRAJECTORY_UNITS[:4]

#: Largest coordinate over n/2 that still counts as k-space of this matrix. Ramp sampling and partial
#: readouts end a little early (29 of 32 in a measured centre-out scan), rounding of the field of view late.
_FITS = (0.75, 1.1)

_SPELLINGS = {
    "cycles/fov": ("cycles/fov", "1/fov", "cycles per field of view", "cycles per fov"),
    "cycles/pixel": ("cycles/pixel", "1/pixel", "cycles per pixel", "normalised", "normalized"),
    "1/mm": ("1/mm", "cycles/mm"),
    "rad/pixel": ("rad/pixel", "radian", "radians", "rad"),
    "rad/mm": ("rad/mm",),
    "1/m": ("1/m", "cycles/m"),
    "rad/m": ("rad/m",),
}


def unit_scale(unit: str, geometry: Geometry) -> np.ndarray:
    """Return the factors z y x that turn a unit into cycles per field of view."""
    n = np.array(geometry.shape, dtype=np.float64)
    fov = np.array(geometry.fov, dtype=np.float64)
    return {
        "cycles/fov": np.ones(3),
        "cycles/pixel": n,
        "1/mm": fov,
        "rad/pixel": n / (2 * np.pi),
        "rad/mm": fov / (2 * np.pi),
        "1/m": fov / 1e3,
        "rad/m": fov / (2e3 * np.pi),
    }[unit]


def extent(largest: np.ndarray, geometry: Geometry) -> float:
    """Return the largest coordinate over n/2, over the axes that have more than one voxel."""
    n = np.array(geometry.shape)
    return float(np.max((2 * largest / n)[n > 1]))


def find_unit(
    coord: np.ndarray, geometry: Geometry, path: Path, *, stated: str | None, declared: str | None
) -> tuple[str, str]:
    """Return the unit of a trajectory, and a sentence on how it was found (empty: the header says so).

    Parameters
    ----------
    coord : float array, (n_spokes, n_samples, 3)
        z y x, finite, in the unit to be found.
    geometry : Geometry
    path : for messages
    stated : str, optional
        What the user says (``--traj-units``); believed.
    declared : str, optional
        What the file (its header, or our convention) says; believed if the radius does not contradict it.

    Raises
    ------
    RawDataError
        If nothing fits, two units fit and disagree, the header is contradicted, or all is zero.
    """
    # Of 20 spokes one may be damaged, and must not decide; check_radial finds it
    reach = np.maximum(coord.max(axis=1), -coord.min(axis=1)).astype(np.float64)
    largest = np.quantile(reach, 0.95, axis=0, method="higher")
    if not largest.any():
        raise RawDataError(
            "trajectory is all zero", file=path, field="traj", hint="give one with --trajectory"
        )
    found = {unit: extent(largest * unit_scale(unit, geometry), geometry) for unit in TRAJECTORY_UNITS}
    if stated:
        _contradicts("--traj-units says", stated, found[stated], 0.05, path)
        return stated, f"trajectory unit {stated}, as told"
    if declared:
        return _believe(declared, found, path)
    fits = [unit for unit in _GUESSED if _FITS[0] <= found[unit] <= _FITS[1]]
    radius, n = float(largest.max()), max(geometry.shape)
    if not fits:
        others = [unit for unit in TRAJECTORY_UNITS if _FITS[0] <= found[unit] <= _FITS[1]]
        hint = (
            f"--traj-units {others[0]}?" if others else "--traj-units, or check the matrix and field of view"
        )
        raise RawDataError(
            f"radius {radius:.4g} fits matrix {n} in no unit", file=path, field="traj", hint=hint
        )
    scales = [unit_scale(unit, geometry) for unit in fits]
    if any(not np.allclose(scale, scales[0], rtol=0.02) for scale in scales):
        raise RawDataError(
            f"radius {radius:.4g} fits matrix {n} in several units ({', '.join(fits)})",
            file=path,
            field="traj",
            hint=f"--traj-units {fits[0]} or another",
        )
    return fits[0], f"trajectory unit {fits[0]}, found from its largest radius {radius:.4g} at matrix {n}"


def _believe(declared: str, found: dict[str, float], path: Path) -> tuple[str, str]:
    wanted = " ".join(declared.lower().split())
    unit = next((name for name, spellings in _SPELLINGS.items() if wanted in spellings), None)
    if unit is None:
        raise RawDataError(
            f"unknown trajectory unit '{declared[:40]}' in the header",
            file=path,
            field="userParameters",
            hint=f"--traj-units, one of {', '.join(TRAJECTORY_UNITS)}",
        )
    _contradicts("it should be in", unit, found[unit], 0.3, path)
    return unit, ""


def _contradicts(who: str, unit: str, reach: float, least: float, path: Path) -> None:
    # Wide: a readout of low resolution is rare but lawful, a factor of n or 2 pi is not
    if not least <= reach <= 1.5:
        raise RawDataError(
            f"{who} {unit}, but then the trajectory reaches {reach:.3g} of the edge of k-space",
            file=path,
            field="traj",
            hint=f"--traj-units, one of {', '.join(TRAJECTORY_UNITS)}",
        )
