"""Whether a volume is one that csiq simulated, as the files beside it say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from csiq.errors import RawDataError
from csiq.io.nifti import sidecar_of
from csiq.io.tables import read_json


def is_simulated(path: str | Path) -> bool:
    """Return whether files say that a volume is simulated; False where nothing is known.

    Asked are the sidecar beside it (``simulated``, or what a cohort of csiq measured of its patient), and the
    ``run.json`` of the run folder it lies in, whose scan was written by ``csiq simulate``.

    Parameters
    ----------
    path : path
        A volume; a folder of one.
    """
    path = Path(path)
    beside = _read(sidecar_of(path))
    if isinstance(beside.get("simulated"), bool):
        return bool(beside["simulated"])
    patient = beside.get("patient")
    if isinstance(patient, dict) and "seed" in patient and "measured_by" in beside:
        return True
    for folder in (path.parent, path.parent.parent):
        scan = _read(folder / "run.json").get("scan")
        if isinstance(scan, dict):
            return (scan.get("system") or {}).get("vendor") == "simulated"
    return False


def _read(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path) if path.is_file() else {}
    except RawDataError:
        return {}
    return found if isinstance(found, dict) else {}
