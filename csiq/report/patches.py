"""How the patches of each returned volume were graded: the paper's Figure E2."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from csiq.errors import CsiqError, ModelError
from csiq.quality.model_file import open_model
from csiq.report.charts import patch_chart
from csiq.report.facts import number
from csiq.report.record import Record, not_loaded
from csiq.report.verdict import phase_name

if TYPE_CHECKING:
    from csiq.quality.grade import Grader

#: More phases than this have no histograms.
_MOST = 12
#: Grades of one volume on two devices differ by less.
_EQUAL = 0.02


def grader_of(record: Record, model: str | Path | None = None, *, must: bool = False) -> Grader | None:
    """Return the grader of a run; None if its network is not at hand, or is not the one that graded.

    Parameters
    ----------
    record : Record
    model : str or path, optional
        Name or file in place of what ``run.json`` says; that keeps base names only.
    must : bool
        Raise in place of returning None.

    Raises
    ------
    ModelError
        If a model was named, or there must be one, and it cannot be read or is another one.
    """
    known = record.section("model")
    name = model or known.get("name")
    needed = must or model is not None
    if not name or not any(record.folder.glob("phase-*.nii.gz")):
        if needed:
            raise ModelError("no image of this run was graded", file=record.folder, field="model")
        return None
    try:
        found = open_model(str(name))
    except CsiqError as error:
        if model is None and must:  # the run's own network: nobody typed its name
            hint = "--model FILE, where that network lies"
            raise not_loaded(record.folder, str(name), error, hint) from None
        if needed:
            raise
        return None
    if found.sha256 != known.get("sha256"):
        if needed:
            raise ModelError("is not the model that graded this run", file=str(name), hint="see run.json")
        return None
    from csiq.quality.grade import Grader

    return Grader.of(found)


def patch_grades(record: Record, grader: Grader) -> dict[int, np.ndarray]:
    """Return the grade of each patch of ``phase-N.nii.gz``, by phase from 1."""
    from csiq.io.nifti import read_volume

    found = {}
    for phase in range(1, record.history.n_phases + 1):
        path = record.folder / f"phase-{phase}.nii.gz"
        if path.is_file():
            volume, voxel_size, _ = read_volume(path)
            found[phase] = np.asarray(grader.patch_grades(volume, voxel_size)).ravel()
    return found


def patches_of(record: Record, grades: Mapping[int, np.ndarray]) -> dict[str, Any] | None:
    """Return what the page shows of the patches; None if there are none, or too many phases.

    Parameters
    ----------
    record : Record
    grades : mapping of int to float array
        Grade of each patch, by phase from 1.
    """
    known = {phase: values[np.isfinite(values)] for phase, values in grades.items()}
    known = {phase: values for phase, values in known.items() if values.size}
    if not known or len(known) > _MOST:
        return None
    low = min(0.0, *(float(v.min()) for v in known.values()), 0.0)
    high = max(4.0, *(float(v.max()) for v in known.values()), 4.0)
    return {
        "n": max(v.size for v in known.values()),
        "other": any(abs(float(v.mean()) - _graded(record, p)) > _EQUAL for p, v in known.items()),
        "phases": [_panel(record, phase, values, (low, high)) for phase, values in known.items()],
    }


def _panel(record: Record, phase: int, values: np.ndarray, limits: tuple[float, float]) -> dict[str, Any]:
    name = phase_name(record.run, phase, record.history.n_phases)
    mean, spread = float(values.mean()), float(values.std())
    quarter, half, three = (number(float(q)) for q in np.quantile(values, (0.25, 0.5, 0.75)))
    return {
        "name": name[:1].upper() + name[1:],
        "phase": phase,
        "chart": patch_chart(values, phase, mean, limits),
        "words": f"SD {number(spread)}, median {half}, half of them {quarter} to {three}",
    }


def _graded(record: Record, phase: int) -> float:
    if len(record.returned) < phase:
        return math.nan
    return record.history.steps[record.returned[phase - 1]].grades[phase - 1]
