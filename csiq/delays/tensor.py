"""Gradient delays as a tensor: what is estimated, told and applied.

A spoke whose gradients are late is displaced: ``k' = k + S v``, where v is the step from one sample to the
next, z y x in cycles per field of view, and S a symmetric 3 x 3 tensor in samples. S is diagonal in the frame
of the scanner's gradients and has cross terms in that of an oblique slab.

Sign: as ``bart estdelay`` prints and ``bart traj -q`` takes. Gradients that are late by d samples (or a
receiver that starts d samples early) have S = -d; ``csiq simulate --gradient-delay`` counts late as positive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from csiq.errors import ConfigError

#: Entries of the tensor as people write them, and where they stand in it (axes z y x).
ENTRIES = {"x": (2, 2), "y": (1, 1), "z": (0, 0), "xy": (2, 1), "xz": (2, 0), "yz": (1, 0)}
MODES = ("off", "warn", "estimate")

_LARGEST = 20.0  # samples
_HINT = "off, warn, estimate, X,Y,Z or X,Y,Z,XY,XZ,YZ in samples, or x:y:xy as bart estdelay prints"


@dataclass(frozen=True)
class Delays:
    """Gradient delays of a scan.

    Attributes
    ----------
    tensor : float64 array, (3, 3)
        S in samples, axes z y x, symmetric.
    sd : float64 array, (3, 3)
        Standard error of each entry; NaN where it was given, not estimated, 0 where there is nothing to find.
    trusted : bool
        Whether an estimate may be applied.
    reason : str
        Why not, in words; empty if it may.
    explained : float
        Share of the signal's energy near the centre that one smooth k-space explains, 0 to 1; NaN if given.
    n_spokes : int
        Spokes the estimate rests on; 0 if given.
    applied : bool
        Whether the trajectory has been corrected by them.
    """

    tensor: np.ndarray
    sd: np.ndarray = field(default_factory=lambda: np.full((3, 3), np.nan))
    trusted: bool = True
    reason: str = ""
    explained: float = float("nan")
    n_spokes: int = 0
    applied: bool = False

    @classmethod
    def from_entries(cls, **entries: float) -> Delays:
        """Return given delays, e.g. ``Delays.from_entries(x=-0.61, y=-0.65, xy=0.0)``, in samples."""
        tensor = np.zeros((3, 3))
        for name, value in entries.items():
            row, column = ENTRIES[name]
            tensor[row, column] = tensor[column, row] = value
        return cls(tensor)

    @property
    def largest(self) -> float:
        """Largest displacement of any spoke, samples: the spectral norm of the tensor."""
        return float(np.abs(np.linalg.eigvalsh(self.tensor)).max())

    @property
    def largest_sd(self) -> float:
        """Largest standard error of an entry, samples; NaN if the delays were given."""
        return float(self.sd.max())

    def entries(self) -> dict[str, float]:
        """Return the six entries by name, samples."""
        return {name: float(self.tensor[at]) for name, at in ENTRIES.items()}

    def as_json(self) -> dict[str, Any]:
        """Return what ``run.json`` says of them; None stands for what is not known."""
        estimated = self.n_spokes > 0
        return {
            "samples": self.entries(),
            "sd": {name: float(self.sd[at]) for name, at in ENTRIES.items()} if estimated else None,
            "source": "estimated" if estimated else "given",
            "applied": self.applied,
            "trusted": self.trusted,
            "reason": self.reason or None,
            "explained": self.explained if estimated else None,
            "n_spokes": self.n_spokes or None,
        }

    def sentence(self) -> str:
        """Return the entries in one line, ``x -0.61 +- 0.01, y -0.65 +- 0.01 samples``."""
        known = self.n_spokes > 0
        shown = [n for n, at in ENTRIES.items() if self.sd[at] > 0] if known else list(ENTRIES)
        if not known:
            shown = [n for n in shown if len(n) == 1 or self.tensor[ENTRIES[n]]]
        parts = [
            f"{n} {self.tensor[ENTRIES[n]]:+.3f}" + (f" +- {self.sd[ENTRIES[n]]:.3f}" if known else "")
            for n in shown
        ]
        return f"{', '.join(parts)} samples"

    def words(self) -> str:
        """Return the entries and what became of them, for people."""
        if self.applied:
            return f"{self.sentence()}: corrected"
        return f"{self.sentence()}: not corrected" + (f" ({self.reason})" if self.reason else "")


def parse_delays(text: str) -> Delays | str:
    """Return what ``--delays`` asks for: one of :data:`MODES`, or the delays it gives.

    Parameters
    ----------
    text : str
        ``off``, ``warn``, ``estimate``; ``X,Y,Z`` or ``X,Y,Z,XY,XZ,YZ`` in samples; ``x:y:xy`` as
        ``bart estdelay`` prints for a plane.

    Raises
    ------
    ConfigError
        If it is none of these.
    """
    if text in MODES:
        return text
    separator, names = (":", ("x", "y", "xy")) if ":" in text else (",", tuple(ENTRIES))
    words = text.split(separator)
    number = r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*"
    if len(words) not in (3, len(names)) or not all(re.fullmatch(number, word) for word in words):
        raise ConfigError(f"cannot read '{text}'", field="--delays", hint=_HINT)
    values = [float(word) for word in words]
    if max(abs(value) for value in values) > _LARGEST:
        raise ConfigError(
            f"{max(values, key=abs):g} samples are no gradient delay",
            field="--delays",
            hint=f"at most {_LARGEST:g}; the unit is one sample of the readout",
        )
    return Delays.from_entries(**dict(zip(names, values, strict=False)))
