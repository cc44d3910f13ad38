"""The paper's study: raw scans reconstructed with every iterate graded, and what follows from the numbers.

``scans`` and ``measure`` make plain numbers, one folder for each scan and solver; everything after that works
from these numbers alone. Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "StudyRequest": "request",
    "Curves": "curves",
    "read_curves": "curves",
    "run_study": "study",
    "report_study": "study",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
