"""The coronary section of the page: arteries along given centrelines, straightened, and on one surface."""

from __future__ import annotations

from typing import Any

import numpy as np

from csiq.errors import RawDataError
from csiq.io.nifti import read_volume
from csiq.report.bubble import MAIN, Viewpoint, bubble, viewpoint
from csiq.report.centrelines import Centrelines
from csiq.report.encoding import picture_uri
from csiq.report.images import framed
from csiq.report.record import Record
from csiq.report.reformat import Flat, Scene, straightened
from csiq.report.verdict import phase_name

#: So many are straightened, longest first, where none has the name of a main artery.
_MOST = 4
#: The brightest part of a picture that may saturate.
_SATURATED = 0.003
#: Pixels a millimetre, quality.
_STRAIGHT_SCALE, _BUBBLE_SCALE, _QUALITY = 5.0, 3.0, 82


def vessels_of(record: Record, lines: Centrelines, file: str) -> dict[str, Any] | None:
    """Return what the page shows of the coronary arteries; None while there are no images.

    Parameters
    ----------
    record : Record
    lines : Centrelines
    file : str
        Base name of the file that they come from.

    Raises
    ------
    RawDataError
        If no centreline runs through the images.
    """
    n_phases = max(record.history.n_phases, 1)
    straight: dict[str, list[tuple[int, Flat]]] = {}
    bubbles: list[tuple[int, Flat]] = []
    view: Viewpoint | None = None
    for phase in range(1, n_phases + 1):
        path = record.folder / f"phase-{phase}.nii.gz"
        if not path.is_file():
            continue
        vessels = lines.of(phase, n_phases)
        volume, _, affine = read_volume(path)
        scene = Scene.around(volume, affine, np.concatenate([v.points for v in vessels.values()]))
        if not any(np.any(scene.at(v.points)) for v in vessels.values()):
            raise RawDataError("no centreline runs through the image", file=path, hint="expected mm in RAS")
        for name in _chosen({n: v.length for n, v in vessels.items()}):
            straight.setdefault(name, []).append((phase, straightened(scene, vessels[name])))
        view = view or viewpoint(vessels)
        bubbles.append((phase, bubble(scene, vessels, view)))
    if not bubbles:
        return None
    top = _top([flat for found in straight.values() for _, flat in found])
    return {
        "file": file,
        "left_out": sorted(set(lines.of(1, n_phases)) - set(view.names if view is not None else ())),
        "straight": [
            {
                "vessel": name,
                "phases": [_entry(record, n_phases, one, top, f"{name} straightened") for one in found],
            }
            for name, found in straight.items()
        ],
        "bubbles": [
            _entry(record, n_phases, one, top, "coronary arteries on one surface") for one in bubbles
        ],
    }


def _chosen(lengths: dict[str, float]) -> list[str]:
    """Return the main arteries, or the longest of those there are."""
    main = [name for name in MAIN[:3] if name in lengths]
    return main or sorted(lengths, key=lambda name: -lengths[name])[:_MOST]


def _top(flats: list[Flat]) -> float:
    every = np.concatenate([flat.pixels.ravel() for flat in flats])
    top = float(np.quantile(every, 1 - _SATURATED))
    return top if top > 0 else 1.0


def _entry(record: Record, n_phases: int, found: tuple[int, Flat], top: float, what: str) -> dict[str, Any]:
    phase, flat = found
    name = phase_name(record.run, phase, n_phases)
    rows, columns = flat.pixels.shape
    scale = flat.sample * (_BUBBLE_SCALE if flat.marks else _STRAIGHT_SCALE)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    grey = np.clip(flat.pixels / top * 255, 0, 255).astype(np.uint8)
    mm = (rows * flat.sample, columns * flat.sample)
    picture = framed(mm, picture_uri(grey, size, _QUALITY), size, f"{what}, {name}")
    marks = {name: (right * scale, down * scale) for name, (down, right) in flat.marks.items()}
    return {"phase": phase, "name": name[:1].upper() + name[1:], "picture": picture, "marks": marks}
