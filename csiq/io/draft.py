"""A scan as decoded, before it is checked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from csiq.acquisition import Geometry, Navigators


@dataclass(frozen=True)
class Draft:
    """A scan as decoded, not yet checked; the fields are those of :class:`Acquisition`."""

    path: Path
    kspace: np.ndarray
    coord: np.ndarray
    times: np.ndarray
    heartbeat: np.ndarray
    geometry: Geometry
    navigators: Navigators | None = None
    noise: np.ndarray | None = None
    triggered: bool = False
    system: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def noted(self, *more: str, **changes: Any) -> Draft:
        """Return the draft with changes and further warnings."""
        return replace(self, warnings=(*self.warnings, *more), **changes)
