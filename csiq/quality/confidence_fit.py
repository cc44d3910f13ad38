"""The calibration of :mod:`csiq.quality.confidence` on grades of images that the network did not see.

Both the scale's model and the quantiles are cross-fitted: each error is divided by a scale that was fitted
without it, and the coverage that is reported is of images that had no part in their own interval.

References
----------
Vovk V. Cross-conformal predictors. Ann Math Artif Intell 2015;74:9-28.
Gneiting T, Raftery AE. Strictly proper scoring rules. J Am Stat Assoc 2007;102:359-378 (interval score).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from csiq.errors import ShapeError
from csiq.quality.confidence import LEVEL, Confidence
from csiq.quality.evidence import INPUTS, Evidence, design_of

#: Cases without which nothing is calibrated: below, the quantiles would be the largest errors.
LEAST = 40
_T = TypeVar("_T")
_FOLDS, _RIDGE, _LEAST_ERROR = 6, 0.02, 1e-3


def fit_confidence(
    evidence: Sequence[Evidence],
    reference: np.ndarray,
    *,
    level: float = LEVEL,
    groups: Sequence[object] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the ``confidence`` entry of a model card, calibrated on images the network did not see.

    One scale for all and a scale by the evidence are compared by their cross-fitted interval score; the one
    scale is kept unless the other is better by more than the standard error of the difference.

    Parameters
    ----------
    evidence : sequence of Evidence
        Of grades out of fold: given by a network that was not trained on the image.
    reference : float array, (n,)
        Noise-free reference grades.
    level : float
    groups : sequence, optional
        Patient of each image: images of one patient fall into one fold.
    seed : int
        Of the folds.

    Returns
    -------
    dict
        What :meth:`Confidence.from_card` reads, and ``n``, ``coverage`` and ``mean_width`` of images whose
        fold had no part in their interval, and the interval ``score`` of both scales.

    Raises
    ------
    ShapeError
        If there are fewer than 40 pairs of finite numbers, or the lengths differ.
    """
    truth = np.asarray(reference, dtype=np.float64)
    if truth.shape != (len(evidence),):
        raise ShapeError(f"{len(evidence)} grades, references of shape {truth.shape}", field="reference")
    grades = np.array([e.grade for e in evidence])
    usable = np.isfinite(grades) & np.isfinite(truth)
    if usable.sum() < LEAST:
        raise ShapeError(f"{usable.sum()} graded images with a reference, at least {LEAST} needed")
    kept = _some(evidence, usable)
    truth = truth[usable]
    who = _some(groups, usable) if groups is not None else list(range(len(kept)))
    folds = _folds(who, np.random.default_rng(seed))
    everything = design_of(kept, tuple(INPUTS))
    known = tuple(
        name for name, column in zip(INPUTS, everything.T, strict=True) if np.isfinite(column).all()
    )
    one, many = (_cross_fitted(kept, truth, folds, names, level) for names in ((), known))
    gain = one.score - many.score
    better = gain.mean() > gain.std(ddof=1) / math.sqrt(len(gain))
    chosen = many if better else one
    entry = Confidence(level, *_fit(kept, truth, known if better else ()), chosen.quantiles(level)).as_dict()
    return entry | {
        "n": len(kept),
        "groups": len(set(who)),
        "coverage": round(float(chosen.held.mean()), 4),
        "mean_width": round(float(chosen.width.mean()), 4),
        "score": {
            "one scale": round(float(one.score.mean()), 4),
            "by evidence": round(float(many.score.mean()), 4),
        },
    }


@dataclass(frozen=True)
class _CrossFitted:
    """Errors over scales of images whose fold had no part in either, and what intervals did with them."""

    errors: np.ndarray
    held: np.ndarray
    width: np.ndarray
    score: np.ndarray

    def quantiles(self, level: float) -> tuple[float, float]:
        """Return the two errors, in scales, between which a new one falls at this level."""
        return _conformal(self.errors, level)


def _cross_fitted(
    evidence: Sequence[Evidence], truth: np.ndarray, folds: np.ndarray, names: tuple[str, ...], level: float
) -> _CrossFitted:
    n = len(truth)
    middle, scale = np.empty(n), np.empty(n)
    for fold in range(_FOLDS):
        out = folds == fold
        fitted = Confidence(level, *_fit(_some(evidence, ~out), truth[~out], names), (0, 1))
        bounds = np.array([fitted.bounds(one) for one in _some(evidence, out)])
        middle[out], scale[out] = bounds[:, 0], bounds[:, 1] - bounds[:, 0]
    errors = (truth - middle) / scale
    low, high = np.empty(n), np.empty(n)
    for fold in range(_FOLDS):
        out = folds == fold
        ends = _conformal(errors[~out], level)
        low[out], high[out] = (middle[out] + scale[out] * end for end in ends)
    beyond = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    return _CrossFitted(errors, beyond == 0, high - low, high - low + 2 / (1 - level) * beyond)


def _conformal(errors: np.ndarray, level: float) -> tuple[float, float]:
    """Return the order statistics between which a further error falls with at least this probability."""
    ordered, n = np.sort(errors), len(errors)
    # 100 * 0.05 is a hair below 5
    tail = max(math.floor((n + 1) * (1 - level) / 2 + 1e-9), 1)
    return float(ordered[tail - 1]), float(ordered[n - tail])


def _fit(
    evidence: Sequence[Evidence], truth: np.ndarray, names: tuple[str, ...]
) -> tuple[tuple[float, float], tuple[str, ...], tuple[float, ...]]:
    """Return centre, inputs and weights: a line through the errors, and a Laplace scale about it."""
    from scipy.optimize import minimize

    grades = np.array([e.grade for e in evidence])
    line = np.stack([np.ones_like(grades), grades - 2], axis=1)
    centre = np.linalg.lstsq(line, truth - grades, rcond=None)[0]
    sizes = np.abs(truth - grades - line @ centre) + _LEAST_ERROR
    raw = design_of(evidence, names)
    mean, spread = raw.mean(axis=0), raw.std(axis=0) + 1e-6
    design = np.concatenate([np.ones((len(raw), 1)), (raw - mean) / spread], axis=1)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the Laplace likelihood's loss with a ridge, and its slope by the weights."""
        log_scale = design @ weights
        ratio = sizes * np.exp(-log_scale)
        value = float(np.mean(ratio + log_scale) + _RIDGE * np.sum(weights[1:] ** 2))
        slope = design.T @ (1 - ratio) / len(ratio) + 2 * _RIDGE * np.append(0, weights[1:])
        return value, slope

    start = np.zeros(design.shape[1])
    start[0] = math.log(sizes.mean())
    found = minimize(loss, start, jac=True, method="L-BFGS-B").x
    slopes = found[1:] / spread
    weights = (float(found[0] - slopes @ mean), *(float(w) for w in slopes))
    return (float(centre[0]), float(centre[1])), names, weights


def _folds(groups: Sequence[object], rng: np.random.Generator) -> np.ndarray:
    """Return the fold of each case; a group falls into one."""
    distinct = list(dict.fromkeys(groups))
    of_group = dict(zip(distinct, rng.permutation(len(distinct)) % _FOLDS, strict=True))
    return np.array([of_group[group] for group in groups])


def _some(items: Sequence[_T], chosen: np.ndarray) -> list[_T]:
    return [item for item, keep in zip(items, chosen, strict=True) if keep]
