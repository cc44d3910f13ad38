"""ISMRMRD raw files: read into an :class:`Acquisition`.

What csiq relies on, beyond the standard:

- Noise readouts carry the flag IS_NOISE_MEASUREMENT, SI spokes IS_NAVIGATION_DATA (or IS_RTFEEDBACK_DATA);
  readouts of other kinds (calibration, phase correction, dummies) are left out, and said.
- The trajectory is stored x y z; its unit is not defined by the standard. The header's user parameter
  ``trajectory_units`` says it where csiq wrote the file, else it is found (:mod:`csiq.io.units`).
- Time stamps tick every 2.5 ms, coarser than a TR. Where the user parameter ``time_field`` says so,
  ``user_int[0]`` holds whole seconds and ``user_int[1]`` microseconds since the first readout.
- The heartbeat is in ``idx.segment`` where the user parameter ``heartbeat_field`` says so; in other files it
  is found from navigators, the trigger stamps, or pauses (:mod:`csiq.io.timing`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from csiq.acquisition import Acquisition
from csiq.errors import ConfigError, RawDataError
from csiq.io import records, timing
from csiq.io.finish import finish
from csiq.io.given_trajectory import is_name
from csiq.io.hdf5 import find_dataset, find_node, groups_of, open_h5, text_of
from csiq.io.header import parse_header
from csiq.io.ismrmrd_decode import decode
from csiq.io.ismrmrd_write import write_ismrmrd
from csiq.io.options import ReadOptions, without_effect
from csiq.io.raw_file import RawFile
from csiq.io.records import Sorted
from csiq.io.sniff import RAW, check_readable

__all__ = ["read_ismrmrd", "write_ismrmrd"]

#: More lost readouts than this, and the scan is not the one that was planned.
_MOST_LOST = 0.2


def read_ismrmrd(path: str | Path, options: ReadOptions | None = None) -> Acquisition:
    """Read an ISMRMRD file.

    Parameters
    ----------
    path : path
    options : ReadOptions, optional

    Returns
    -------
    Acquisition
        Trajectory z y x in cycles per field of view, times relative to the first readout, geometry in RAS;
        what was odd is in its ``warnings``.

    Raises
    ------
    RawDataError
        If the file is damaged, or says something impossible; with file, field and what to do.
    ConfigError
        If there is no such file, or an option does not fit it.
    """
    path, options = Path(path), options or ReadOptions()
    check_readable(path, RAW)
    with open_h5(path) as file:
        draft = decode(_open(file, path, options))
    said = "the file says it"
    return finish(draft.noted(*without_effect(options, fov=said, tr=said)), options)


def is_ismrmrd(path: Path, options: ReadOptions) -> bool:
    """Return whether an HDF5 file is ISMRMRD, as far as one can tell: a damaged one may be."""
    try:
        with open_h5(path) as file:
            return find_node(file, f"{options.group or 'dataset'}/data") is not None
    except RawDataError:
        return True


def _open(file: h5py.File, path: Path, options: ReadOptions) -> RawFile:
    group = _choose_group(file, path, options.group)
    xml, table = (_dataset(file, path, group, name) for name in ("xml", "data"))
    header = parse_header(
        text_of(xml, path), path, xml.name, strict=options.strict, identifiers=options.keep_identifiers
    )
    heads = records.read_heads(table, options.max_memory_bytes)
    kinds, notes = records.sort_readouts(heads, path, table.name)
    kinds = _choose_echo(kinds, heads, path, options.echo)
    opened = RawFile(path, table, header, heads, kinds, options, (*header.warnings, *notes))
    return replace(opened, warnings=(*opened.warnings, *_count_lost(opened)))


def _dataset(file: h5py.File, path: Path, group: str, name: str) -> h5py.Dataset:
    node = find_dataset(file, f"{group}/{name}")
    if node is None:
        raise RawDataError(f"no dataset '{name}'", file=path, field=f"/{group}", hint=_advice(file))
    return node


def _choose_group(file: h5py.File, path: Path, wanted: str | None) -> str:
    names = groups_of(file)
    if wanted is not None:
        if find_node(file, wanted) is None:
            raise ConfigError(
                f"there is no group '{wanted}'", file=path, field="--group", hint=f"found: {_listed(names)}"
            )
        return wanted
    if "dataset" not in names:
        find_node(file, "dataset")  # a link of that name is refused by name
        raise RawDataError("no group 'dataset'", file=path, field="/", hint=_advice(file))
    scans = [name for name in names if find_node(file, f"{name}/data") is not None]
    if len(scans) > 1:
        # Noise that was measured apart is no scan to choose
        scans = [name for name in scans if has_images(file, name)] or scans
    if len(scans) > 1:
        raise ConfigError(
            f"holds {len(scans)} scans", file=path, field="/", hint=f"--group, one of: {_listed(scans)}"
        )
    return scans[0] if len(scans) == 1 else "dataset"


def has_images(file: h5py.File, group: str) -> bool:
    """Return whether a group has readouts other than noise; True if it cannot be told."""
    try:
        table = find_dataset(file, f"{group}/data")
        heads = None if table is None else records.read_heads(table, None)
    except RawDataError:
        return True
    return heads is None or len(records.rows_of_noise(heads)) < len(heads)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:8]) or "none"
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown


def _advice(file: h5py.File) -> str:
    if "kspace" in file:
        return "a Cartesian fastMRI file? csiq needs radial acquisitions"
    if "volumes" in file:
        return "it holds images: csiq grade and csiq convert read them"
    names = groups_of(file)
    return f"groups found: {_listed(names)}; --group names another" if names else "docs/formats.md says more"


def _choose_echo(kinds: Sorted, heads: np.ndarray, path: Path, echo: int | None) -> Sorted:
    contrast = heads["idx"]["contrast"][kinds.imaging]
    found = np.unique(contrast)
    if echo is None and len(found) > 1:
        raise ConfigError(
            f"holds {len(found)} echoes", file=path, hint=f"--echo, one of: {', '.join(map(str, found))}"
        )
    if echo is None:
        return kinds
    if echo not in found:
        raise ConfigError(
            f"there is no echo {echo}", file=path, field="--echo", hint=f"found: {', '.join(map(str, found))}"
        )
    return replace(kinds, imaging=kinds.imaging[contrast == echo])


def _count_lost(file: RawFile) -> tuple[str, ...]:
    lost, largest = timing.lost_readouts(file.heads["scan_counter"])
    if not lost:
        return ()
    share = lost / (lost + len(file.heads))
    words = f"{lost} readouts lost ({100 * share:.1f} %, largest gap {largest}), says the scan counter"
    where = f"{file.table.name}/head/scan_counter"
    if share > _MOST_LOST and not file.options.force:
        raise RawDataError(words, file=file.path, field=where, hint="--force reads on")
    named = file.options.trajectory
    if named and is_name(named):
        raise RawDataError(
            f"{words}: '{named}' would place the others wrongly",
            file=file.path,
            field=where,
            hint="give the trajectory as a file",
        )
    return (words,)
