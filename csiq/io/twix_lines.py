"""Which readouts of a Siemens scan make the image: one echo, one size, each line once, navigators apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from csiq.errors import ConfigError, RawDataError
from csiq.io.given_trajectory import spokes_in_file
from csiq.io.options import ReadOptions
from csiq.io.twix_header import Protocol
from csiq.io.twix_layout import Readouts

#: So many repeated lines may be the SI spokes of a phyllotaxis.
_RECURRING = 12

#: Where fewer lines than this share are measured twice, the second ones are no part of the image
#: (spectra, repeats); where more are, the scan repeats its lines by design.
_SURPLUS = 0.05


@dataclass(frozen=True)
class TwixScan:
    """What was read: readouts of the image, of flagged navigators (or None) and of noise, and the protocol.

    ``readouts`` is the layout of the file; its imaging readouts are those of ``image``, in order.
    """

    image: Any
    navigator: Any
    noise: Any
    readouts: Readouts
    protocol: Protocol
    dicom: dict[str, Any]


def choose_echo(scan: TwixScan, path: Path, echo: int | None) -> int:
    """Return the echo to read.

    Raises
    ------
    ConfigError
        If there are several and none was named, or not this one.
    """
    found = [int(e) for e in np.unique(scan.image.Eco)]
    listed = ", ".join(map(str, found))
    if echo is None and len(found) > 1:
        raise ConfigError(f"holds {len(found)} echoes", file=path, hint=f"--echo, one of: {listed}")
    if echo is not None and echo not in found:
        raise ConfigError(f"there is no echo {echo}", file=path, field="--echo", hint=f"found: {listed}")
    return found[0] if echo is None else echo


def usual_size(scan: TwixScan, rows: np.ndarray, path: Path, notes: list[str]) -> np.ndarray:
    """Return the readouts as long as most are; spectra share the scan with image lines.

    Raises
    ------
    RawDataError
        If many are of another size.
    """
    sizes_of_all = scan.readouts.n_samples[scan.readouts.is_image]
    sizes, counts = np.unique(sizes_of_all[rows], return_counts=True)
    usual = int(sizes[np.argmax(counts)])
    # pymapvbvd reads every readout with the size of the first
    if usual != int(scan.image.NCol):
        raise RawDataError(
            f"the first readout has {int(scan.image.NCol)} samples, most have {usual}", file=path
        )
    odd = len(rows) - int(counts.max())
    if odd > _SURPLUS * len(rows):
        raise RawDataError(f"{odd} of {len(rows)} readouts are not of {usual} samples", file=path)
    if odd:
        others = ", ".join(str(size) for size in sizes if size != usual)
        notes.append(f"{odd} of {len(rows)} readouts left out: {others} samples, not {usual} (spectra?)")
    return rows[sizes_of_all[rows] == usual]


def choose_lines(scan: TwixScan, rows: np.ndarray, options: ReadOptions, notes: list[str]) -> np.ndarray:
    """Return the readouts that make the image, in order: the first of each line.

    Raises
    ------
    RawDataError
        If they are of several slices.
    """
    image = scan.image
    slices = np.unique(image.Sli[rows])
    if len(slices) > 1:
        raise RawDataError(f"{len(slices)} slices; csiq reads one slice or one volume", field="Sli")
    lines = np.stack([image.Par[rows], image.Lin[rows]], axis=1)
    _, first = np.unique(lines, axis=0, return_index=True)
    surplus = len(rows) - len(first)
    wanted = spokes_in_file(options.trajectory) if options.trajectory else None
    if not surplus or wanted == len(rows):
        return rows
    if options.trajectory == "phyllotaxis" and surplus >= _RECURRING:
        # SI spokes may all be numbered as one line; what heads an interleave is looked for in the samples
        return rows
    if surplus > _SURPLUS * len(rows) and wanted != len(first):
        notes.append(f"the scan repeats its {len(first)} lines; all {len(rows)} readouts are used")
        return rows
    notes.append(f"{surplus} of {len(rows)} readouts left out: they repeat a line")
    return rows[np.sort(first)]


def flagged_navigators(scan: TwixScan, notes: list[str]) -> np.ndarray:
    """Return where in the file the flagged navigators lie that are as long and have the coils of the image.

    Pencil-beam navigators share the flag of SI spokes but have other sizes: they are left out, and said.

    Returns
    -------
    int64 array, (n_navigators,)
        Places among all readouts; empty if there is none.
    """
    found, image = scan.readouts, scan.readouts.is_image
    places = np.flatnonzero(found.is_feedback)
    if not places.size:
        return places
    like = np.flatnonzero(image)[0]
    fits = (found.n_samples[places] == int(scan.image.NCol)) & (
        found.n_channels[places] == found.n_channels[like]
    )
    if not fits.all():
        # pymapvbvd reads all of them with the size of the first
        notes.append(f"{int((~fits).sum())} navigators of other size than the imaging readouts: left out")
    return places if fits.all() else places[:0]
