"""The image section of the page: orthogonal slices of each phase, one window and one encoding for all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from csiq.ranking import Ranking, words_of
from csiq.report.encoding import BUDGET, Encoding, encoding_of
from csiq.report.iterates import iterate_files, slices_of_iterate
from csiq.report.record import Record
from csiq.report.slices import Slice, read_volume, slices_of, window_of_slices
from csiq.report.verdict import out_of_domain, phase_name

#: Lengths a scale bar may have, mm; the longest that fits into three tenths of the picture is taken.
_BARS = (100, 50, 20, 10, 5, 2, 1)

Phases = tuple[tuple[Slice, ...], ...]


@dataclass(frozen=True)
class Shown:
    """The slices of a run, all in the units of its image files.

    Attributes
    ----------
    voxel : str
        Size of a voxel in words; empty while there is no image file.
    phases : mapping of int to slices
        What was returned, by phase from 1; of a run that goes on, the latest iterate.
    iterates : mapping of int to slices of each phase
        By iteration, as far as they were saved.
    """

    voxel: str
    phases: Mapping[int, tuple[Slice, ...]]
    iterates: Mapping[int, Phases]


def images_of(
    record: Record, ranking: Ranking | None, budget: int = BUDGET, latest: Phases | None = None
) -> dict[str, Any] | None:
    """Return what the page shows of the volumes, None while there are none.

    Parameters
    ----------
    record : Record
    ranking : Ranking, optional
    budget : int
        Bytes that all slices together may take.
    latest : slices of each phase, optional
        What is shown while the folder has no images.
    """
    shown = read_slices(record)
    if not shown.phases and latest is not None:
        shown = replace(shown, phases=dict(enumerate(latest, start=1)))
    if not shown.phases:
        return None
    base = [one for slices in shown.phases.values() for one in slices]
    everything = base + [s for phases in shown.iterates.values() for slices in phases for s in slices]
    encoding = encoding_of(everything, window_of_slices(base), budget)
    return {
        "caption": _caption(record, shown, encoding.top),
        "oriented": base[0].letters["top"] != "?",
        "phases": [_phase(record, ranking, n, slices, encoding) for n, slices in shown.phases.items()],
        "iterations": list(shown.iterates),
        "frames": _frames(shown, encoding),
        "running": not _phase_files(record.folder),
        "latest": max(shown.iterates, default=max(len(record.history) - 1, 0)),
    }


def read_slices(record: Record) -> Shown:
    """Read the central slices of what was returned and of the saved iterates."""
    files, saved = _phase_files(record.folder), iterate_files(record.folder)
    volumes = {number: read_volume(path) for number, path in files.items()}
    returned = {number: tuple(slices_of(volume)) for number, volume in volumes.items()}
    scale = _scale(record.folder) if files else 1.0
    iterates = {}
    if scale is not None and len(saved) > (1 if files else 0):
        iterates = {k: _scaled(slices_of_iterate(path), scale) for k, path in saved.items()}
    if iterates and not returned:
        returned = dict(enumerate(iterates[max(iterates)], start=1))
    fits = {k: phases for k, phases in iterates.items() if len(phases) == len(returned)}
    first = next(iter(volumes.values()), None)
    voxel = " × ".join(f"{v:.3g}" for v in first.voxel_size) if first is not None else ""
    return Shown(voxel, returned, fits)


def _phase_files(folder: Path) -> dict[int, Path]:
    numbered = {int(p.name[6:-7]): p for p in folder.glob("phase-*.nii.gz") if p.name[6:-7].isdigit()}
    return dict(sorted(numbered.items()))


def _scale(folder: Path) -> float | None:
    """Return what iterates are multiplied by in the image files, as a sidecar says it."""
    from csiq.io.tables import read_json

    for path in sorted(folder.glob("phase-*.json")):
        content = read_json(path)
        scale = content.get("scale") if isinstance(content, dict) else None
        if isinstance(scale, int | float) and math.isfinite(scale) and scale > 0:
            return float(scale)
    return None


def _scaled(phases: Phases, scale: float) -> Phases:
    if scale == 1.0:
        return phases
    return tuple(tuple(replace(s, pixels=s.pixels * scale) for s in slices) for slices in phases)


def _frames(shown: Shown, encoding: Encoding) -> dict[str, list[str]]:
    """Return the pictures of the iterates, by phase and number of the plane, as the script takes them."""
    frames: dict[str, list[str]] = {}
    for phases in shown.iterates.values():
        for number, slices in zip(shown.phases, phases, strict=True):
            for plane, one in enumerate(slices):
                frames.setdefault(f"{number}-{plane}", []).append(encoding.uri(one))
    return frames


def _phase(
    record: Record, ranking: Ranking | None, number: int, slices: Sequence[Slice], encoding: Encoding
) -> dict[str, Any]:
    name = phase_name(record.run, number, max(record.history.n_phases, 1))
    name = name[:1].upper() + name[1:]
    grade = _grade_of(record, number)
    badge = ""
    if ranking and len(ranking.phases) > 1 and number in ranking.top_set:
        winner = "best" if len(ranking.top_set) == 1 else "highest grade"
        badge = winner if number == ranking.best_phase else "indistinguishable from the best"
    words = words_of(grade, number not in out_of_domain(record.run))
    return {
        "number": number,
        "name": name,
        "badge": badge,
        "grade": f"grade {grade:.2f}: {words}" if math.isfinite(grade) else "",
        "slices": [picture_of(one, encoding, f"{name}, {one.plane}") for one in slices],
    }


def picture_of(shown: Slice, encoding: Encoding, alt: str) -> dict[str, Any]:
    """Return a slice as the template takes it."""
    width, height = encoding.size(shown)
    return framed(shown.mm, encoding.uri(shown), (width, height), alt) | {
        "plane": shown.plane,
        "letters": shown.letters,
    }


def framed(mm: tuple[float, float], uri: str, size: tuple[int, int], alt: str) -> dict[str, Any]:
    """Return a picture with a scale bar; ``mm`` is height and width, ``size`` width and height in pixels."""
    extent = max(mm)
    bar = next((b for b in _BARS if b <= 0.3 * extent), _BARS[-1])
    return {
        "uri": uri,
        "width": size[0],
        "height": size[1],
        "alt": alt,
        "box": (round(mm[1], 2), round(mm[0], 2)),
        "extent": round(extent, 2),
        "bar": bar,
    }


def _grade_of(record: Record, number: int) -> float:
    if not record.returned or number > len(record.returned):
        return math.nan
    return record.history.steps[record.returned[number - 1]].grades[number - 1]


def _caption(record: Record, shown: Shown, top: float) -> str:
    one = next(iter(shown.phases.values()))[0]
    files = bool(shown.voxel)
    voxels = f", voxels of {shown.voxel} mm" if files else ""
    upper = f", 0 (black) to {top:.0f} (white)" if files else ""
    many = " and iterations" if shown.iterates else ""
    words = f"Central slices{voxels}; one window for all phases{many}{upper}."
    if one.letters["top"] == "?":
        return f"{words} The file gave no usable orientation: no side has a name."
    return (
        f"{words} The patient's right is on the left. "
        "R right, L left, A anterior, P posterior, H head, F feet."
    )
