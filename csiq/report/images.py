"""The image section of the page: orthogonal slices of each phase, one window for all."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from csiq.ranking import Ranking, words_of
from csiq.report.record import Record
from csiq.report.slices import Volume, read_iterate, read_volume, slices_of, window_of
from csiq.report.verdict import phase_name


def images_of(record: Record, ranking: Ranking | None) -> dict[str, Any] | None:
    """Return what the page shows of the volumes, None while there are none."""
    paths = _phase_files(record.folder)
    if not paths:
        return None
    volumes = {number: read_volume(path) for number, path in paths.items()}
    top = window_of(list(volumes.values()))
    # many phases get smaller pictures: the page stays below its limit
    side = 320 if len(volumes) <= 8 else 160
    phases = [_phase(record, ranking, n, volume, top, side) for n, volume in volumes.items()]
    return {
        "caption": _caption(list(volumes.values()), top),
        "phases": [*_gridded(record, ranking, side), *phases],
    }


def _phase_files(folder: Path) -> dict[int, Path]:
    numbered = {int(p.name[6:-7]): p for p in folder.glob("phase-*.nii.gz") if p.name[6:-7].isdigit()}
    return dict(sorted(numbered.items()))


def _phase(
    record: Record, ranking: Ranking | None, number: int, volume: Volume, top: float, side: int
) -> dict[str, Any]:
    name = phase_name(record.run, number, max(record.history.n_phases, 1))
    grade = _grade_of(record, number)
    badge = ""
    if ranking and len(ranking.phases) > 1 and number in ranking.top_set:
        winner = "best" if len(ranking.top_set) == 1 else "highest grade"
        badge = winner if number == ranking.best_phase else "indistinguishable from the best"
    return {
        "number": number,
        "name": name[:1].upper() + name[1:],
        "badge": badge,
        "grade": f"grade {grade:.2f}: {words_of(grade)}" if math.isfinite(grade) else "",
        "slices": slices_of(volume, top, side),
    }


def _grade_of(record: Record, number: int) -> float:
    if not record.returned or number > len(record.returned):
        return math.nan
    return record.history.steps[record.returned[number - 1]].grades[number - 1]


def _gridded(record: Record, ranking: Ranking | None, side: int) -> list[dict[str, Any]]:
    """Return the gridded image of the best phase, if the iterates were saved: where the iterations began."""
    path = record.folder / "iterates" / "iter-000.h5"
    if not path.is_file():
        return []
    number = ranking.best_phase if ranking and ranking.best_phase else 1
    volume = read_iterate(path, number - 1)
    grade = record.history.steps[0].grades[number - 1] if len(record.history) else math.nan
    return [
        {
            "number": 0,
            "name": f"Before: phase {number} at iteration 0, the gridded image (its own window)",
            "badge": "",
            "grade": f"grade {grade:.2f}: {words_of(grade)}" if math.isfinite(grade) else "",
            "slices": slices_of(volume, window_of([volume]), side),
        }
    ]


def _caption(volumes: list[Volume], top: float) -> str:
    voxel = " × ".join(f"{v:.3g}" for v in volumes[0].voxel_size)
    shown = (
        f"Central slices, voxels of {voxel} mm; one window for all phases, 0 (black) to {top:.3g} (white)."
    )
    if volumes[0].oriented:
        return (
            f"{shown} The patient's right is on the left; "
            "R right, L left, A anterior, P posterior, S superior (head), I inferior (feet)."
        )
    return f"{shown} The file gave no usable orientation, so no anatomical letters are shown."
