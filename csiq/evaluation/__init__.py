"""A network on graded test images: predictions, every table and figure of the paper, one page.

Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "Cases": "cases",
    "read_cases": "cases",
    "Predictions": "predictions",
    "predict": "predictions",
    "Comparison": "comparison",
    "Section": "section",
    "Table": "section",
    "Picture": "section",
    "Request": "study",
    "evaluate": "study",
    "load_graders": "models",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
