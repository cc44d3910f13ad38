"""Radial raw scans in BART's files: ``NAME.cfl`` k-space, ``NAME_traj.cfl`` its trajectory, x y z in 1/FOV.

BART's files hold no field of view, no times and no place in the patient: ``NAME.cfl.json`` beside them says
it where csiq wrote them, options where another program did. Further files of a scan that csiq writes:
``NAME_noise``, and ``NAME_nav`` with ``NAME_nav_traj`` for SI spokes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from csiq.acquisition import Acquisition, Geometry, Navigators
from csiq.errors import RawDataError
from csiq.io.cfl import data_of, read_cfl, read_shape, write_cfl
from csiq.io.cfl_images import geometry_of_record
from csiq.io.draft import Draft
from csiq.io.finish import finish
from csiq.io.given_trajectory import given_trajectory, orient_given
from csiq.io.header_parts import without_identity
from csiq.io.nifti import sidecar_of
from csiq.io.options import ReadOptions, without_effect
from csiq.io.plain import plain_geometry, plain_times
from csiq.io.spokes import check_radial
from csiq.io.tables import read_json, write_json

#: BART's dimensions that radial k-space may have: samples, spokes, coils, and time (further spokes).
_ALLOWED = (1, 2, 3, 10)


def part_of(path: str | Path, end: str) -> Path:
    """Return the data file of a part of a scan, as in ``_traj``."""
    file = data_of(path)
    return file.with_name(f"{file.name.removesuffix('.cfl')}{end}.cfl")


def write_bart(path: str | Path, scan: Acquisition, *, sidecar: Mapping[str, Any] | None = None) -> None:
    """Write a scan: k-space, trajectory, noise and SI spokes as files of their own, and a JSON.

    Parameters
    ----------
    path : path
        Of the k-space, with ``.cfl``, ``.hdr`` or neither.
    scan : Acquisition
    sidecar : mapping, optional
        What the JSON says besides; its ``geometry`` is needed to read the scan again.
    """
    clocks: dict[str, Any] = {"times_s": scan.times, "heartbeat": scan.heartbeat, "triggered": scan.triggered}
    write_cfl(part_of(path, "_traj"), scan.coord[..., ::-1])
    if scan.noise is not None:
        write_cfl(part_of(path, "_noise"), scan.noise[:, None, :, None])
    nav = scan.navigators
    if nav is not None:
        clocks["navigators"] = {"times_s": nav.times, "heartbeat": nav.heartbeat}
        write_cfl(part_of(path, "_nav"), nav.kspace[..., None])
        if nav.coord is not None:
            write_cfl(part_of(path, "_nav_traj"), nav.coord[..., ::-1])
    # k-space comes last but for the JSON: what watches for it finds the rest
    write_cfl(path, scan.kspace[..., None])
    write_json(sidecar_of(data_of(path)), {**(sidecar or {}), **clocks})


def read_bart(path: str | Path, options: ReadOptions | None = None) -> Acquisition:
    """Read a scan; what its JSON does not say comes from the options.

    Parameters
    ----------
    path : path
    options : ReadOptions, optional
        ``fov`` is needed where there is no JSON, ``trajectory`` where there is no ``NAME_traj``.

    Raises
    ------
    RawDataError
        If files are damaged, do not fit together, or are no radial k-space.
    ConfigError
        If an option is missing.
    """
    options, file = options or ReadOptions(), data_of(path)
    kspace = _kspace(file)
    record = _record(sidecar_of(file))
    trajectory = options.trajectory or _own_trajectory(file)
    given = replace(options, trajectory=trajectory)
    geometry, notes = _geometry(file, record, given)
    # The JSON tells the geometry of the trajectory beside it, not of another
    if options.trajectory and record:
        geometry, more = orient_given(options.trajectory, geometry)
        notes += more
    times, words = plain_times(record.get("times_s"), kspace.shape[1], options, file)
    beats = _numbers(record, "heartbeat", kspace.shape[1], file)
    heartbeat = np.zeros(kspace.shape[1], np.int64) if beats is None else beats.astype(np.int64)
    coord = given_trajectory(given, kspace, geometry, heartbeat=heartbeat)
    check_radial(coord, geometry, file)
    none = "BART's files have none"
    said = record.get("system")
    system: dict[str, Any] = said if isinstance(said, dict) else {}
    if not options.keep_identifiers:
        # They stand in the JSON of whoever asked for them; that does not ask for them here
        system = without_identity(system)
    return finish(
        Draft(
            path=file,
            kspace=kspace,
            coord=coord,
            times=times,
            heartbeat=heartbeat,
            geometry=geometry,
            navigators=_navigators(file, record, kspace),
            noise=_noise(file, len(kspace)),
            triggered=record.get("triggered") is True,
            system={**system, "trajectory_unit": "cycles/fov"},
            warnings=(*notes, *words, *without_effect(options, echo=none, group=none)),
        ),
        options,
    )


def _own_trajectory(file: Path) -> str:
    beside = part_of(file, "_traj")
    if not beside.is_file():
        raise RawDataError(
            f"no trajectory: there is no {beside.name}",
            file=file,
            field="trajectory",
            hint="--trajectory NAME or FILE.cfl",
        )
    return str(beside)


def _kspace(file: Path) -> np.ndarray:
    sizes = read_shape(file)
    odd = [axis for axis, n in enumerate(sizes) if n > 1 and axis not in _ALLOWED]
    if odd or len(sizes) < 3:
        what = f"dimension {odd[0]} has {sizes[odd[0]]}" if odd else f"has {len(sizes)} dimensions"
        raise RawDataError(
            f"{what}; radial k-space is 1, samples, spokes, coils", file=file, field="dimensions"
        )
    array = read_cfl(file)
    full = (*sizes, *(1,) * (11 - len(sizes)))
    # frames (dimension 10) follow one another as spokes
    array = array.reshape(full[10], full[3], full[2], full[1])
    array = array.transpose(1, 0, 2, 3).reshape(full[3], full[10] * full[2], full[1])
    return np.ascontiguousarray(array)


def _record(path: Path) -> dict[str, Any]:
    found = read_json(path) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def _geometry(
    file: Path, record: Mapping[str, Any], options: ReadOptions
) -> tuple[Geometry, tuple[str, ...]]:
    if "geometry" not in record or options.fov is not None:
        return plain_geometry(options, file)
    try:
        z, y, x = (int(n) for n in record["geometry"]["matrix"])
    except (KeyError, TypeError, ValueError):
        raise RawDataError("no usable geometry", file=sidecar_of(file), field="geometry/matrix") from None
    return geometry_of_record(record["geometry"], (z, y, x), sidecar_of(file)), ()


def _numbers(record: Mapping[str, Any], name: str, n: int, file: Path) -> np.ndarray | None:
    if record.get(name) is None:
        return None
    try:
        found = np.array(record[name], dtype=np.float64)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.shape != (n,) or not np.isfinite(found).all():
        raise RawDataError(f"expected {n} numbers", file=sidecar_of(file), field=name)
    return found


def _noise(file: Path, n_coils: int) -> np.ndarray | None:
    part = part_of(file, "_noise")
    if not part.is_file():
        return None
    found = read_cfl(part)
    sizes = (*read_shape(part), 1, 1, 1, 1)
    if sizes[3] != n_coils:
        raise RawDataError(f"noise of {sizes[3]} coils, k-space of {n_coils}", file=part, field="dimensions")
    return np.ascontiguousarray(found.reshape(n_coils, -1))


def _navigators(file: Path, record: Mapping[str, Any], kspace: np.ndarray) -> Navigators | None:
    part, clocks = part_of(file, "_nav"), record.get("navigators")
    if not part.is_file() or not isinstance(clocks, dict):
        return None
    found = _kspace(part)
    if found.shape[0] != kspace.shape[0] or found.shape[2] != kspace.shape[2]:
        raise RawDataError("its coils or samples are not those of the scan", file=part, field="dimensions")
    times = _numbers(clocks, "times_s", found.shape[1], file)
    beats = _numbers(clocks, "heartbeat", found.shape[1], file)
    if times is None or beats is None:
        raise RawDataError("no times", file=sidecar_of(file), field="navigators")
    coord, own = None, part_of(file, "_nav_traj")
    if own.is_file():
        points = read_cfl(own).real
        if points.size != 3 * found.shape[1] * found.shape[2]:
            raise RawDataError("does not fit the navigators", file=own, field="dimensions")
        coord = np.ascontiguousarray(points.reshape(*found.shape[1:], 3)[..., ::-1], np.float32)
    return Navigators(found, times, beats.astype(np.int64), coord)
