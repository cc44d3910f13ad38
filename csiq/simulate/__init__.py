"""A breathing patient in a scanner: anatomy, motion and acquisition, each in a file of its own.

Names are loaded when they are first used: most of them need numba.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "Patient": "anatomy",
    "Centreline": "anatomy",
    "rasterise": "anatomy",
    "heart_mask": "anatomy",
    "blood_mask": "anatomy",
    "coronary_centrelines": "anatomy",
    "Grid": "anatomy.shapes",
    "MotionState": "motion",
    "Coupling": "motion",
    "Breathing": "breathing",
    "ScanConfig": "protocol",
    "Imperfections": "imperfections",
    "Setting": "setting",
    "Truth": "truth",
    "simulate_scan": "scan",
    "simulate_navigators": "scan",
    "true_smaps": "truth",
    "write_simulated": "scan",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
