"""The trajectory of an ISMRMRD file's imaging spokes: stored with them, or given."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from csiq.acquisition import Geometry
from csiq.io.given_trajectory import given_trajectory, orient_given
from csiq.io.raw_file import RawFile
from csiq.io.records import Samples
from csiq.io.spokes import check_radial
from csiq.io.units import find_unit, unit_scale


@dataclass(frozen=True)
class Trajectory:
    """Coordinates of the imaging spokes.

    Attributes
    ----------
    coord : float32 array, (n_spokes, n_samples, 3)
    geometry : Geometry
        Its orientation is not known if the trajectory does not say how it lies in the patient.
    unit : str
        Of the trajectory in the file, or ``given``.
    scale : float64 array, (3,), optional
        What turned the file's unit into ours, z y x; None if the trajectory was given.
    warnings : tuple of str
    """

    coord: np.ndarray
    geometry: Geometry
    unit: str
    scale: np.ndarray | None
    warnings: tuple[str, ...]


def trajectory_of(file: RawFile, spokes: Samples, geometry: Geometry, heartbeat: np.ndarray) -> Trajectory:
    """Return the trajectory that was asked for, else the one in the file.

    Parameters
    ----------
    file : RawFile
    spokes : Samples
        Of the imaging readouts.
    geometry : Geometry
    heartbeat : int array, (n_spokes,)

    Raises
    ------
    RawDataError
        If there is none, it is not finite, not radial, or its unit cannot be told.
    """
    stored = spokes.traj.shape[-1]
    if file.options.trajectory:
        return _given_trajectory(file, spokes, geometry, heartbeat)
    if not stored:
        kind = "a Cartesian scan" if file.encoding.trajectory == "cartesian" else "no trajectory in the file"
        raise file.error(
            f"{kind}; csiq needs radial spokes",
            "traj",
            "--trajectory phyllotaxis, golden2d, golden3d, stack-of-stars or FILE",
        )
    return _stored_trajectory(file, spokes, geometry)


def _given_trajectory(
    file: RawFile, spokes: Samples, geometry: Geometry, heartbeat: np.ndarray
) -> Trajectory:
    centre = file.uniform("center_sample") - int(file.heads["discard_pre"][file.kinds.imaging].max())
    options = file.options
    if file.kinds.navigator.size:
        # Where navigators are flagged, what is not flagged is the image
        options = replace(options, si_spokes="none")
    coord = given_trajectory(
        options, spokes.kspace, geometry, centre=centre if centre > 0 else None, heartbeat=heartbeat
    )
    check_radial(coord, geometry, file.path)
    notes: tuple[str, ...] = ()
    if spokes.traj.shape[-1]:
        notes = ("the trajectory in the file is not used: another was given",)
    if not _same_directions(coord, spokes.traj):
        geometry, more = orient_given(file.options.trajectory or "", geometry)
        notes += more
    return Trajectory(coord, geometry, "given", None, notes)


def _same_directions(coord: np.ndarray, traj: np.ndarray) -> bool:
    """Return whether most spokes of a given trajectory point where the stored ones do."""
    if traj.shape[-1] != 3 or not np.isfinite(traj).all():
        return False
    a, b = (k[:, -1] - k[:, 0] for k in (coord, traj[..., ::-1]))
    cosine = np.sum(a * b, axis=-1) / np.maximum(
        np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1), 1e-12
    )
    return bool(np.median(cosine) > 0.95)


def _stored_trajectory(file: RawFile, spokes: Samples, geometry: Geometry) -> Trajectory:
    bad = np.argwhere(~np.isfinite(spokes.traj))
    if bad.size:
        spoke, sample, axis = (int(i) for i in bad[0])
        raise file.error(f"not finite: spoke {spoke}, sample {sample}, axis {'xyz?'[min(axis, 3)]}", "traj")
    coord, notes = _zyx(file, spokes.traj, geometry)
    unit, words = find_unit(
        coord,
        geometry,
        file.path,
        stated=file.options.traj_units,
        declared=file.header.user.get("trajectory_units"),
    )
    scale = unit_scale(unit, geometry)
    coord = np.ascontiguousarray(coord * scale.astype(np.float32))
    if spokes.traj.shape[-1] == 2 and geometry.shape[0] > 1:
        coord[..., 0] = _partitions(file)[:, None]
    check_radial(coord, geometry, file.path)
    said = (words,) if words else ()
    return Trajectory(coord, geometry, unit, scale, (*notes, *said, *_check_centre(file, coord)))


def _zyx(file: RawFile, traj: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, list[str]]:
    """Return a stored trajectory (x first) as z y x; what is no coordinate is left out, and said."""
    n_dims, flat, notes = traj.shape[-1], geometry.shape[0] == 1, []
    if n_dims < 2:
        raise file.error(f"{n_dims} coordinate a sample, expected 2 or 3", "traj")
    if n_dims == 3 and flat and np.any(traj[..., 2]):
        notes.append("a third trajectory column in a 2D scan (weights?) is not used")
    if n_dims > 3:
        notes.append("trajectory columns after the third (weights?) are not used")
    if n_dims == 2 or flat:
        traj = np.concatenate([traj[..., :2], np.zeros_like(traj[..., :1])], axis=-1)
    return traj[..., 2::-1], notes


def _partitions(file: RawFile) -> np.ndarray:
    """Return kz of each spoke in cycles per field of view, where only its number is stored."""
    encoding = file.encoding
    step = file.heads["idx"]["kspace_encode_step_2"][file.kinds.imaging].astype(np.float64)
    if np.ptp(step) == 0:
        raise file.error(
            f"2 coordinates a sample and one partition, but {encoding.shape[0]} slices in the matrix", "traj"
        )
    centre = encoding.partition_centre
    if centre is None:
        centre = encoding.encoded.matrix[0] // 2
    return (step - centre) * encoding.recon.fov[0] / encoding.encoded.fov[0]


def _check_centre(file: RawFile, coord: np.ndarray) -> list[str]:
    centres = np.unique(file.heads["center_sample"][file.kinds.imaging])
    if len(centres) > 1 or centres[0] == 0:
        return []
    stated = int(centres[0]) - int(file.heads["discard_pre"][file.kinds.imaging].max())
    some = coord[:: max(len(coord) // 256, 1)]
    passed = int(np.argmin(np.median(np.linalg.norm(some, axis=-1), axis=0)))
    if abs(stated - passed) <= 2:
        return []
    return [f"center_sample is {stated}, but the trajectory passes the centre at sample {passed}"]
