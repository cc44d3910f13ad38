"""How far a grade may be off: an interval that holds the noise-free reference in a stated share of cases.

A scale of the error is predicted from what is seen while grading: the spread over patches, how far the three
orientations disagree, the grade, the distance from the training set and, where there is one, the spread of an
ensemble. Errors of grades on images the network did not see, divided by that scale, give two quantiles
(:mod:`csiq.quality.confidence_fit`); the interval is the grade, recentred, plus each quantile times the scale
(conformal prediction). The quantiles, not the scale's model, make the coverage: a poor model gives wide
intervals, not wrong ones.

References
----------
Papadopoulos H, et al. Inductive confidence machines for regression. ECML 2002:345-356.
Lei J, et al. Distribution-free predictive inference for regression. J Am Stat Assoc 2018;113:1094-1111.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from csiq.errors import ModelError
from csiq.quality.evidence import INPUTS, Evidence, design_of

#: Share of cases that an interval is to hold.
LEVEL = 0.90
#: Ends of the scale; the reference lies between them.
WORST, BEST = 0.0, 4.0


@dataclass(frozen=True)
class Confidence:
    """A calibrated interval, as a model card holds it.

    Attributes
    ----------
    level : float
        Share of cases the interval is to hold.
    centre : (float, float)
        Mean error at grade 2 and its slope per grade: reference minus grade.
    inputs : tuple of str
        Of the scale's model; none if the scale is one number.
    weights : tuple of float
        Intercept and one weight an input, of the logarithm of the scale.
    quantiles : (float, float)
        Of the recentred error over the scale.
    """

    level: float
    centre: tuple[float, float]
    inputs: tuple[str, ...]
    weights: tuple[float, ...]
    quantiles: tuple[float, float]

    def bounds(self, evidence: Evidence) -> tuple[float, float]:
        """Return the ends of the interval, not cut to the scale of grades; NaN where an input is missing."""
        middle = evidence.grade + self.centre[0] + self.centre[1] * (evidence.grade - 2)
        scale = float(
            np.exp(self.weights[0] + design_of([evidence], self.inputs)[0] @ np.array(self.weights[1:]))
        )
        return middle + scale * self.quantiles[0], middle + scale * self.quantiles[1]

    def interval(self, evidence: Evidence) -> tuple[float, float] | None:
        """Return the interval within the scale of grades; None where an input is missing."""
        low, high = self.bounds(evidence)
        if not (math.isfinite(low) and math.isfinite(high)):
            return None
        return min(max(low, WORST), BEST), min(max(high, WORST), BEST)

    def uncertainty(self, evidence: Evidence) -> float:
        """Return the standard deviation of a normal error whose interval would be as wide."""
        low, high = self.bounds(evidence)
        return (high - low) / (2 * NormalDist().inv_cdf(0.5 + self.level / 2))

    @classmethod
    def from_card(cls, card: dict[str, Any]) -> Confidence | None:
        """Return what a card says; None if it says nothing.

        Raises
        ------
        ModelError
            If what it says cannot be used.
        """
        entry = card.get("confidence")
        if entry is None:
            return None
        try:
            pairs = [(float(a), float(b)) for a, b in (entry["centre"], entry["quantiles"])]
            inputs, weights = tuple(entry["inputs"]), tuple(float(w) for w in entry["weights"])
            found = cls(float(entry["level"]), pairs[0], inputs, weights, pairs[1])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"model card lacks a usable confidence ({error})", field="confidence") from error
        numbers = [found.level, *found.centre, *found.weights, *found.quantiles]
        if (
            not set(inputs) <= set(INPUTS)
            or len(weights) != len(inputs) + 1
            or not np.isfinite(numbers).all()
        ):
            raise ModelError("model card lacks a usable confidence", field="confidence")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of the model card."""
        return {
            "method": "conformal quantiles of the error over a predicted scale, cross-fitted",
            "level": self.level,
            "centre": [round(v, 5) for v in self.centre],
            "inputs": list(self.inputs),
            "weights": [round(v, 5) for v in self.weights],
            "quantiles": [round(v, 5) for v in self.quantiles],
        }
