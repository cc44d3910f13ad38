"""From a model's grades to those a site's reader gives: a monotone map fitted to 20 to 30 graded scans.

With so few scans a free monotone fit (isotonic regression) follows every whim of the reader in flat steps. So
there are four maps of growing freedom, each strictly rising: none, a shift, a line, and a line bent at two
places whose bends are held back. They are compared leaving one patient out at a time, and the simplest is
kept whose error is within one standard error of the best. What is reported was found with that choice made
anew without the patient in question; where this is no better than no map, there is none.

References
----------
Breiman L, et al. Classification and Regression Trees. 1984, section 3.4.3 (the rule of one standard error).
Stone M. Cross-validatory choice and assessment of statistical predictions. J R Stat Soc B 1974;36:111-147.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from csiq.errors import ModelError, RawDataError

#: Graded scans of distinct patients below which nothing is fitted, and below which the fit is called rough.
LEAST, ENOUGH = 10, 20
#: Grades a map may rise per grade of the model.
SLOPES = (0.2, 5.0)
_ENDS = (0.0, 4.0)
#: How strongly two neighbouring slopes of the bent line are held together.
_STIFF = 1.0


@dataclass(frozen=True)
class SiteCalibration:
    """A strictly rising, piecewise linear map; the outer pieces go on beyond the ends.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    knots, values : tuple of float
        Grades of the model and what the site's reader calls them.
    """

    kind: str
    knots: tuple[float, ...]
    values: tuple[float, ...]

    def __call__(self, grade: float) -> float:
        """Return the grade on the reader's scale."""
        piece = self._piece(grade)
        return self.values[piece] + self._slopes[piece] * (grade - self.knots[piece])

    def slope(self, grade: float) -> float:
        """Return how much the map rises per grade at a grade of the model."""
        return self._slopes[self._piece(grade)]

    def _piece(self, grade: float) -> int:
        return int(np.searchsorted(self.knots[1:-1], grade))

    @property
    def _slopes(self) -> tuple[float, ...]:
        rise = np.diff(self.values) / np.diff(self.knots)
        return tuple(float(r) for r in rise)

    @classmethod
    def from_card(cls, card: dict[str, Any]) -> SiteCalibration | None:
        """Return the map a card holds; None if it holds none.

        Raises
        ------
        ModelError
            If what it holds is no strictly rising map.
        """
        entry = card.get("site_calibration")
        if entry is None:
            return None
        try:
            knots, values = (tuple(float(v) for v in entry[key]) for key in ("knots", "values"))
            found = cls(str(entry["kind"]), knots, values)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"no usable calibration ({error})", field="site_calibration") from error
        if len(knots) < 2 or len(knots) != len(values) or not np.isfinite([*knots, *values]).all():
            raise ModelError("no usable calibration", field="site_calibration")
        if min(np.diff(knots)) <= 0 or min(np.diff(values)) <= 0:
            raise ModelError("the map does not rise everywhere", field="site_calibration")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the map's part of the card's entry."""
        return {
            "kind": self.kind,
            "knots": [round(v, 5) for v in self.knots],
            "values": [round(v, 5) for v in self.values],
        }


Fit = Callable[[np.ndarray, np.ndarray], SiteCalibration]


def _none(grades: np.ndarray, reader: np.ndarray) -> SiteCalibration:
    return SiteCalibration("none", _ENDS, _ENDS)


def _shift(grades: np.ndarray, reader: np.ndarray) -> SiteCalibration:
    by = float(np.mean(reader - grades))
    return SiteCalibration("shift", _ENDS, (_ENDS[0] + by, _ENDS[1] + by))


def _line(grades: np.ndarray, reader: np.ndarray) -> SiteCalibration:
    middle, level = grades.mean(), reader.mean()
    spread = np.sum((grades - middle) ** 2)
    slope = float(np.sum((grades - middle) * (reader - level)) / spread) if spread > 0 else 1.0
    slope = min(max(slope, SLOPES[0]), SLOPES[1])
    low, high = (float(level + slope * (end - middle)) for end in _ENDS)
    return SiteCalibration("line", _ENDS, (low, high))


def _bent(grades: np.ndarray, reader: np.ndarray) -> SiteCalibration:
    from scipy.optimize import lsq_linear

    inner = np.quantile(grades, [1 / 3, 2 / 3])
    ends = np.array([min(_ENDS[0], inner[0] - 0.5), inner[0], max(inner[1], inner[0] + 0.1)])
    knots = np.array([*ends, max(_ENDS[1], ends[-1] + 0.5)])
    # value at the first knot, then the rise of each piece: all pieces rise within bounds
    along = np.clip(grades[:, None] - knots[:-1], None, np.diff(knots))
    along[:, 1:] = np.maximum(along[:, 1:], 0)
    along[:, -1] = np.maximum(grades - knots[-2], 0)
    design = np.concatenate([np.ones((len(grades), 1)), along], axis=1)
    hold = math.sqrt(_STIFF) * np.array([[0.0, 1, -1, 0], [0, 0, 1, -1]])
    bounds = ([-np.inf, *[SLOPES[0]] * 3], [np.inf, *[SLOPES[1]] * 3])
    found = lsq_linear(np.concatenate([design, hold]), np.append(reader, [0.0, 0.0]), bounds=bounds).x
    values = found[0] + np.append(0, np.cumsum(found[1:] * np.diff(knots)))
    return SiteCalibration("bent line", tuple(map(float, knots)), tuple(map(float, values)))


#: Maps from the simplest to the freest.
KINDS: dict[str, Fit] = {"none": _none, "shift": _shift, "line": _line, "bent line": _bent}


def calibrate_to_site(
    grades: np.ndarray, reader: np.ndarray, patients: Sequence[str]
) -> tuple[SiteCalibration, dict[str, Any]]:
    """Fit a model's grades to a reader's.

    Parameters
    ----------
    grades, reader : float array, (n,)
        Of the model, before any calibration, and of the reader.
    patients : sequence of str
        Images of one patient are left out together.

    Returns
    -------
    SiteCalibration
    dict
        ``n``, ``patients``, ``before`` and ``after`` (``bias``, ``sd``, ``mae``, ``rmse`` of model minus
        reader, ``after`` cross-validated with the choice of the map), and ``mae`` of each kind of map.

    Raises
    ------
    RawDataError
        If there are fewer than 10 patients, a grade is not finite, or the model gives all of them one grade.
    """
    grades, reader = np.asarray(grades, dtype=np.float64), np.asarray(reader, dtype=np.float64)
    who = np.array([str(patient) for patient in patients])
    if len(set(who)) < LEAST:
        raise RawDataError(
            f"{len(set(who))} graded patients, at least {LEAST} are needed", hint="20 to 30 are good"
        )
    if not (np.isfinite(grades).all() and np.isfinite(reader).all()):
        raise RawDataError("a grade is not a number")
    if np.ptp(grades) == 0:
        raise RawDataError("the model gives every scan the same grade: nothing can be fitted")
    chosen, errors = _choose(grades, reader, who)
    after = np.empty_like(grades)
    for out in _patients(who):
        kind, _ = _choose(grades[~out], reader[~out], who[~out])
        fitted = KINDS[kind](grades[~out], reader[~out])
        after[out] = [fitted(grade) for grade in grades[out]]
    if np.abs(after - reader).mean() >= np.abs(grades - reader).mean():
        # chosen anew without each patient, the maps do no better than none: they follow single scans
        chosen, after = "none", grades
    summary = {
        "n": len(grades),
        "patients": len(set(who)),
        "before": _error(grades - reader),
        "after": _error(after - reader),
        "mae": {kind: round(float(error.mean()), 4) for kind, error in errors.items()},
    }
    return KINDS[chosen](grades, reader), summary


def _choose(grades: np.ndarray, reader: np.ndarray, who: np.ndarray) -> tuple[str, dict[str, np.ndarray]]:
    """Return the simplest kind within one standard error of the best, and the errors of all, left out."""
    errors = {kind: np.empty_like(grades) for kind in KINDS}
    for out in _patients(who):
        for kind, fit in KINDS.items():
            fitted = fit(grades[~out], reader[~out])
            errors[kind][out] = np.abs([fitted(grade) for grade in grades[out]] - reader[out])
    best = min(errors.values(), key=lambda error: float(error.mean()))
    for kind, error in errors.items():
        lost = error - best
        if lost.mean() <= lost.std(ddof=1) / math.sqrt(len(lost)):
            return kind, errors
    raise AssertionError("the best is within one standard error of itself")


def _patients(who: np.ndarray) -> list[np.ndarray]:
    return [who == patient for patient in dict.fromkeys(who.tolist())]


def _error(error: np.ndarray) -> dict[str, float]:
    found = {
        "bias": error.mean(),
        "sd": error.std(ddof=1),
        "mae": np.abs(error).mean(),
        "rmse": math.sqrt(float(np.mean(error**2))),
    }
    return {key: round(float(value), 4) for key, value in found.items()}
