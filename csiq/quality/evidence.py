"""What is seen of an error while a grade is given, and the numbers that a predicted scale is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Evidence:
    """What is known of an error when a grade is given.

    Attributes
    ----------
    grade : float
    patch_sd : float
        Standard deviation over patches.
    orientation_sd : float
        Standard deviation of the means of the three orientations.
    distance : float
        Distance from the training set over its threshold; ``nan`` if the model has no domain.
    ensemble_sd : float
        Standard deviation over the members of an ensemble; ``nan`` if there is but one network.
    """

    grade: float
    patch_sd: float
    orientation_sd: float
    distance: float = math.nan
    ensemble_sd: float = math.nan

    @classmethod
    def of(cls, patch_grades: np.ndarray, distance: float = math.nan) -> Evidence:
        """Return the evidence of one volume.

        Parameters
        ----------
        patch_grades : float array, (3, k, k, k) or (n_members, 3, k, k, k)
            Patches that are not finite count for nothing.
        distance : float
        """
        members = np.asarray(patch_grades, dtype=np.float64)
        members = members[None] if members.ndim == 4 else members
        patches = members.mean(axis=0)
        kept = np.isfinite(patches)
        flat = [part[keep] for part, keep in zip(patches, kept, strict=True)]
        means = [part.mean() if part.size else math.nan for part in flat]
        each = [member[kept].mean() for member in members] if kept.any() else [math.nan]
        spread = float(np.std(each, ddof=1)) if len(each) > 1 else math.nan
        seen = np.concatenate(flat)
        grade, sd = (float(seen.mean()), float(seen.std())) if seen.size else (math.nan, math.nan)
        return cls(grade, sd, float(np.std(means)), distance, spread)


#: How an input of the scale's model is made of the evidence.
INPUTS: dict[str, Callable[[Evidence], float]] = {
    "grade": lambda e: (e.grade - 2) / 2,
    "grade squared": lambda e: ((e.grade - 2) / 2) ** 2,
    "log patch_sd": lambda e: math.log(max(e.patch_sd, 0) + 0.05),
    "log orientation_sd": lambda e: math.log(max(e.orientation_sd, 0) + 0.02),
    "distance": lambda e: min(e.distance, 3.0) if math.isfinite(e.distance) else math.nan,
    "log ensemble_sd": lambda e: math.log(max(e.ensemble_sd, 0) + 0.01),
}


def design_of(evidence: Sequence[Evidence], names: tuple[str, ...]) -> np.ndarray:
    """Return the inputs of the scale, (n, n_inputs)."""
    return np.array([[INPUTS[name](e) for name in names] for e in evidence], dtype=np.float64).reshape(
        len(evidence), len(names)
    )
