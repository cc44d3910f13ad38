"""From the records of an ISMRMRD file to k-space, trajectory, times and geometry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from csiq.acquisition import Geometry, Navigators
from csiq.io import timing
from csiq.io.draft import Draft
from csiq.io.geometry import geometry_from_lps
from csiq.io.header import check_matrix
from csiq.io.header_xml import HEARTBEAT_FIELD, TIME_FIELD
from csiq.io.ismrmrd_trajectory import trajectory_of
from csiq.io.noise import dependent_noise
from csiq.io.raw_file import RawFile
from csiq.io.records import Samples, read_samples


@dataclass(frozen=True)
class _Clock:
    """When the imaging and navigator readouts happened: arrays over ``RawFile.timed``."""

    times: np.ndarray
    heartbeat: np.ndarray
    triggered: bool
    warnings: tuple[str, ...]


def decode(file: RawFile) -> Draft:
    """Return the scan of an open file, not yet checked for bad samples.

    Raises
    ------
    RawDataError
        If sizes disagree, there is no usable trajectory, or the geometry is impossible.
    """
    geometry, odd_geometry = _geometry(file)
    rows, odd_rows = _rows(file)
    pre, post = (int(file.heads[name][file.kinds.imaging].max()) for name in ("discard_pre", "discard_post"))
    samples = read_samples(
        file.table, file.heads, rows, {kind: _keep(file, kind, pre, post) for kind in rows}
    )
    clock = _clock(file)
    image = np.isin(file.timed, file.kinds.imaging)
    noise, said = _noise(file, samples)
    spokes = samples["imaging"]
    trajectory = trajectory_of(file, spokes, geometry, clock.heartbeat[image])
    return Draft(
        path=file.path,
        kspace=spokes.kspace,
        coord=trajectory.coord,
        times=clock.times[image],
        heartbeat=clock.heartbeat[image],
        geometry=trajectory.geometry,
        navigators=_navigators(file, samples, clock, trajectory.scale, rows),
        noise=noise,
        triggered=clock.triggered,
        system={**_system(file), "trajectory_unit": trajectory.unit},
        warnings=(*file.warnings, *odd_geometry, *odd_rows, *clock.warnings, *trajectory.warnings, *said),
    )


def _geometry(file: RawFile) -> tuple[Geometry, tuple[str, ...]]:
    encoding, heads = file.encoding, file.heads[file.kinds.imaging]
    check_matrix(encoding.shape, file.path)
    slices = np.unique(heads["idx"]["slice"])
    if len(slices) > 1:
        raise file.error(f"{len(slices)} slices; csiq reads one slice or one volume", "head/idx/slice")
    axes = np.stack([heads[0][name] for name in ("read_dir", "phase_dir", "slice_dir")])
    geometry = geometry_from_lps(encoding.shape, encoding.recon.fov, heads[0]["position"], axes)
    notes = []
    if not geometry.known:
        notes.append("orientation is missing or not orthonormal: images are written without one")
    elif np.ptp(heads["position"], axis=0).max() > 0.1:
        notes.append("the position changes during the scan; that of the first readout is used")
    if encoding.shape != encoding.recon.matrix:
        notes.append(
            f"the scanner interpolates to {encoding.recon.matrix} (z y x); the matrix is the acquired one, "
            f"{encoding.shape}"
        )
    return geometry, tuple(notes)


def _rows(file: RawFile) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return the rows to read by kind; noise is split by its number of samples, which may vary."""
    n_samples, n_coils = file.uniform("number_of_samples"), file.uniform("active_channels")
    file.uniform("trajectory_dimensions")
    rows, notes = {"imaging": file.kinds.imaging}, []
    if n_samples == 0 or n_coils == 0:
        raise file.error(f"readouts of {n_samples} samples and {n_coils} coils", "head")
    navigator = file.kinds.navigator
    heads = file.heads[navigator]
    # Pencil-beam navigators share the flags of SI spokes but have other sizes
    fits = (heads["number_of_samples"] == n_samples) & (heads["active_channels"] == n_coils)
    if fits.any():
        rows["navigator"] = navigator[fits]
    if not fits.all():
        notes.append(f"{int((~fits).sum())} navigators of other size than the imaging readouts: left out")
    noise = file.kinds.noise
    same = file.heads["active_channels"][noise] == n_coils
    if not same.all():
        notes.append(
            f"{int((~same).sum())} noise readouts of other coils than the imaging readouts: left out"
        )
    for size in dict.fromkeys(file.heads["number_of_samples"][noise[same]].tolist()):
        rows[f"noise {size}"] = noise[same][file.heads["number_of_samples"][noise[same]] == size]
        file.uniform("trajectory_dimensions", rows[f"noise {size}"])
    if "navigator" in rows:
        file.uniform("trajectory_dimensions", rows["navigator"])
    return rows, tuple(notes)


def _keep(file: RawFile, kind: str, pre: int, post: int) -> slice:
    if kind.startswith("noise"):
        return slice(None)
    n_samples = file.uniform("number_of_samples")
    if n_samples - pre - post < 2:
        raise file.error(f"discards {pre} + {post} of {n_samples} samples", "head/discard_pre")
    return slice(pre, n_samples - post)


def _clock(file: RawFile) -> _Clock:
    rows, user = file.timed, file.header.user
    heads, notes = file.heads[rows], []
    if user.get("time_field") == TIME_FIELD:
        times = heads["user_int"][:, 0] + 1e-6 * heads["user_int"][:, 1]
        times = times - times[0]
    else:
        times, words = _stamped(file, heads["acquisition_time_stamp"])
        notes += words
    if np.any(np.diff(times) < 0):
        notes.append(f"time stamps go backwards at readout {int(rows[np.argmax(np.diff(times) < 0) + 1])}")
    if user.get("heartbeat_field") == HEARTBEAT_FIELD:
        heartbeat = heads["idx"]["segment"].astype(np.int64)
    else:
        is_navigator = ~np.isin(rows, file.kinds.imaging)
        heartbeat = timing.heartbeats(times, is_navigator, heads["physiology_time_stamp"][:, 0])
    said = user.get("triggered", "").lower()
    triggered = said in ("1", "true") if said else timing.is_triggered(times, heartbeat)
    return _Clock(times, heartbeat, triggered, tuple(notes))


def _stamped(file: RawFile, ticks: np.ndarray) -> tuple[np.ndarray, list[str]]:
    if np.ptp(ticks) > 0 or len(ticks) == 1:
        return timing.ticks_to_seconds(ticks), []
    step = file.header.system.get("TR_s")
    words = f"TR, {1e3 * step:.3g} ms" if step else "3 ms, there is no TR either"
    return np.arange(len(ticks)) * (step or 3e-3), [f"no time stamps: readouts are taken to be {words} apart"]


def _navigators(
    file: RawFile,
    samples: dict[str, Samples],
    clock: _Clock,
    scale: np.ndarray | None,
    rows: dict[str, np.ndarray],
) -> Navigators | None:
    found = samples.get("navigator")
    if found is None:
        return None
    at = np.searchsorted(file.timed, rows["navigator"])
    coord = None
    if scale is not None and found.traj.shape[-1] == 3 and np.isfinite(found.traj).all():
        coord = np.ascontiguousarray(found.traj[..., ::-1] * scale, dtype=np.float32)
    return Navigators(found.kspace, clock.times[at], clock.heartbeat[at], coord)


def _noise(file: RawFile, samples: dict[str, Samples]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return the noise of the scan, else that of the measurement it depends on, and what to say."""
    found = [s.kspace.reshape(len(s.kspace), -1) for kind, s in samples.items() if kind.startswith("noise")]
    if found:
        return np.concatenate(found, axis=1), ()
    if file.options.noise is not None:
        return None, ()
    group = file.table.name.strip("/").rpartition("/")[0]
    dwell, limit = _system(file).get("dwell_s"), file.options.max_memory_bytes
    noise, said = dependent_noise(file.table.file, file.header, group, dwell, limit)
    n_coils = file.uniform("active_channels")
    if noise is not None and len(noise) != n_coils:
        return None, (f"its noise is of {len(noise)} coils, the scan has {n_coils}: not used",)
    return noise, said


def _system(file: RawFile) -> dict[str, Any]:
    dwell = float(file.heads["sample_time_us"][file.kinds.imaging[0]]) * 1e-6
    measured = {"dwell_s": dwell} if np.isfinite(dwell) and dwell > 0 else {}
    return {**file.header.system, **measured}
