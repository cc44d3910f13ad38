"""Is the scan good enough, while the patient is still there: advice, and grades of its first heartbeats.

The public names; each is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from csiq.rescan.advice import Rescan, advise
    from csiq.rescan.fractions import COLUMNS, Part, first_heartbeats, grades_by_fraction

_HOME = {
    "Rescan": "csiq.rescan.advice",
    "advise": "csiq.rescan.advice",
    "COLUMNS": "csiq.rescan.fractions",
    "Part": "csiq.rescan.fractions",
    "first_heartbeats": "csiq.rescan.fractions",
    "grades_by_fraction": "csiq.rescan.fractions",
}

__all__ = ["COLUMNS", "Part", "Rescan", "advise", "first_heartbeats", "grades_by_fraction"]


def __getattr__(name: str) -> Any:
    # the loop asks for advice, and the fractions ask for the pipeline: loaded late, neither is a circle
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'csiq.rescan' has no attribute '{name}'")
