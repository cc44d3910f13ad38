"""The reference quality of an image of a simulated patient: a stated formula in place of a reader.

Each feature (:mod:`csiq.quality.features`) becomes a score between 0 and 1, one half at its physical scale,

    score = x / (x + scale)      for what is better when larger: sharpness, visible length, contrast
    score = scale / (x + scale)  for noise and streaks

and is 0.01 at least.

The latent quality is their weighted power mean of exponent one half, ``(sum w sqrt(score))^2``, 0 to 1: it
lies between the arithmetic mean, by which a clean background would make up for vessels that are not there,
and the geometric one, by which one lost feature would lose all. Sharpness counts over the whole length of
RCA, LAD and LCX; what is not seen has none. The grade is a logistic curve of the latent quality q, cut to its
ends,

    grade = 4 (s(q) - s(0)) / (s(top) - s(0)), at most 4,   s(q) = 1 / (1 + exp((middle - q) / width))

so that hopeless images are all near 0, and all from ``top`` on have the best grade. Weights and scales come
from what readers are asked (Piccini et al. 2020, Table 1 and Methods: blurring, artefacts, vessel sharpness,
noise) and from sizes in mm and SNR. Only ``CALIBRATION`` is set by images, those of training patients; it
orders no two images anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

import numpy as np

from csiq.quality import centreline, residual, sharpness
from csiq.quality.features import Features, HeartTruth, QualityError, Vessel, measure

__all__ = [
    "ALTERNATIVES",
    "CALIBRATION",
    "WEIGHTS",
    "Calibration",
    "Features",
    "HeartTruth",
    "QualityError",
    "Vessel",
    "formula_sha256",
    "grade",
    "latent",
    "measure",
    "scores",
    "statement",
]

#: Best grade of the scale.
BEST = 4.0
#: Value at which a score is one half: %/mm, %, share, -, share of blood, share of blood.
SCALES = MappingProxyType(
    {
        "edge_sharpness": 30.0,
        "deriche": 40.0,
        "visible_share": 0.25,
        "cnr": 4.0,
        "noise": 0.10,
        "streaks": 0.08,
    }
)
#: Share of each score in the latent quality.
WEIGHTS = MappingProxyType(
    {
        "edge_sharpness": 0.35,
        "deriche": 0.15,
        "visible_share": 0.15,
        "cnr": 0.10,
        "noise": 0.15,
        "streaks": 0.10,
    }
)
_SMALLER_IS_BETTER = ("noise", "streaks")
#: Least score: readers lean on logarithms of scores.
LEAST_SCORE = 0.01
_SHARP = ("edge_sharpness", "deriche", "visible_share")


@dataclass(frozen=True)
class Calibration:
    """The curve from latent quality to grade.

    Attributes
    ----------
    middle : float
        Latent quality of half the curve's height.
    width : float
        Change of latent quality that makes a factor e of the odds.
    top : float
        Latent quality from which an image has the best grade.
    """

    middle: float
    width: float
    top: float


#: Set on 18 graded volumes and 7 reconstructions of patients who train; see docs/reference-quality.md.
CALIBRATION = Calibration(middle=0.68, width=0.11, top=0.65)


def _scaled(change: dict[str, float]) -> MappingProxyType[str, float]:
    raw = {name: weight * change.get(name, 1.0) for name, weight in WEIGHTS.items()}
    total = sum(raw.values())
    return MappingProxyType({name: weight / total for name, weight in raw.items()})


#: Other formulas, to see how far results hang on this one: sharpness against noise by 50 %, one feature less.
ALTERNATIVES = MappingProxyType(
    {
        "sharpness_heavier": _scaled({name: 1.5 if name in _SHARP else 0.5 for name in WEIGHTS}),
        "no_deriche": _scaled({"deriche": 0.0}),
    }
)


def scores(features: Features) -> dict[str, float]:
    """Return the score of each feature, 0.01 to 1, in the order of ``WEIGHTS``."""
    values = {
        "edge_sharpness": features.whole_sharpness,
        "deriche": features.whole_deriche,
        "visible_share": features.visible_share,
        "cnr": max(features.cnr, 0.0),
        "noise": features.noise,
        "streaks": features.streaks,
    }
    found = {}
    for name, value in values.items():
        scale = SCALES[name]
        better = scale if name in _SMALLER_IS_BETTER else value
        found[name] = max(better / (value + scale), LEAST_SCORE)
    return found


def latent(features: Features, weights: Mapping[str, float] = WEIGHTS) -> float:
    """Return the latent quality, ``(sum w sqrt(score))^2``, 0 to 1.

    Parameters
    ----------
    features : Features
    weights : mapping of str to float
        ``WEIGHTS`` or one of ``ALTERNATIVES``.
    """
    found = scores(features)
    return float(sum(weight * np.sqrt(found[name]) for name, weight in weights.items())) ** 2


def grade(
    features: Features, weights: Mapping[str, float] = WEIGHTS, calibration: Calibration = CALIBRATION
) -> float:
    """Return the reference grade, 0 to 4, not rounded."""
    return grade_of(latent(features, weights), calibration)


def grade_of(quality: float, calibration: Calibration = CALIBRATION) -> float:
    """Return the grade of a latent quality."""

    def curve(q: float) -> float:
        return float(1 / (1 + np.exp((calibration.middle - q) / calibration.width)))

    return BEST * min((curve(quality) - curve(0.0)) / (curve(calibration.top) - curve(0.0)), 1.0)


def statement() -> str:
    """Return the formula in words and symbols with its constants, for cards and documents."""
    parts = [(module.__doc__ or "").strip() for module in (sharpness, residual)]
    constants = [
        f"scales: {', '.join(f'{k} {v:g}' for k, v in SCALES.items())}",
        f"weights: {', '.join(f'{k} {v:g}' for k, v in WEIGHTS.items())}",
        f"calibration: middle {CALIBRATION.middle:g}, width {CALIBRATION.width:g}, top {CALIBRATION.top:g}",
        f"centrelines moved by at most {centreline.LARGEST_SHIFT:g} mm; windows of {sharpness.WINDOW:g} mm; "
        f"seen from {sharpness.SEEN_CONTRAST:g} of blood and {sharpness.SEEN_NOISE:g} SD on",
    ]
    return "\n\n".join([(__doc__ or "").strip(), *parts, "\n".join(constants)])


def formula_sha256() -> str:
    """Return the SHA-256 of the files that make the formula, names and bytes in their order."""
    found = hashlib.sha256()
    for name in ("centreline.py", "features.py", "reference.py", "residual.py", "sharpness.py"):
        found.update(name.encode())
        found.update((resources.files("csiq.quality") / name).read_bytes())
    return found.hexdigest()
