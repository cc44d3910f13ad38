"""Training a grading network: graded volumes in, a network with its card out.

``GradedSet`` is light; what needs torch is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from csiq.training.graded_set import GradedImage, GradedSet
    from csiq.training.settings import TrainConfig
    from csiq.training.trainer import Trainer

_HOME = {
    "GradedImage": "csiq.training.graded_set",
    "GradedSet": "csiq.training.graded_set",
    "TrainConfig": "csiq.training.settings",
    "Trainer": "csiq.training.trainer",
}

__all__ = ["GradedImage", "GradedSet", "TrainConfig", "Trainer"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
