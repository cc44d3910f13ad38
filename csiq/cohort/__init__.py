"""The digital cohort: drawn patients, their volumes, simulated readers, splits and the manifest.

Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "CohortPatient": "patients",
    "Difficulty": "patients",
    "draw_patients": "patients",
    "split_patients": "splits",
    "Preference": "readers",
    "Readings": "readers",
    "read": "readers",
    "redraws": "readers",
    "GradedScan": "manifest",
    "CohortScan": "manifest",
    "read_manifest": "manifest",
    "write_manifest": "manifest",
    "read_cohort": "manifest",
    "write_cohort": "manifest",
    "StudyConfig": "cohort_folder",
    "make_volumes": "database",
    "init_cohort": "study",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
