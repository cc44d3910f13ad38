"""Small statistics that all parts of a study use: means, ranges, intervals over scans, tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from csiq.agreement import bootstrap_interval, paired_tests

#: Of intervals over scans, and the P value below which the paper calls a difference significant.
LEVEL, ALPHA = 0.90, 0.05


@dataclass(frozen=True)
class Spread:
    """How numbers lie; nan where there are too few.

    Attributes
    ----------
    n : int
    mean, sd : float
        The SD with n - 1.
    least, most : float
    low, high : float
        90 % bootstrap interval of the mean, scans drawn as a whole.
    """

    n: int
    mean: float
    sd: float
    least: float
    most: float
    low: float = math.nan
    high: float = math.nan


def spread(values: ArrayLike, *, interval: bool = True) -> Spread:
    """Return how numbers lie.

    Parameters
    ----------
    values : float array, (n_scans, ...)
        nan: missing. Numbers of one scan are drawn together for the interval.
    interval : bool
        Whether to draw.
    """
    array = np.asarray(values, float)
    known = array[np.isfinite(array)]
    if not known.size:
        return Spread(0, math.nan, math.nan, math.nan, math.nan)
    sd = float(known.std(ddof=1)) if known.size > 1 else math.nan
    found = float(known.mean()), sd, float(known.min()), float(known.max())
    rows = array.reshape(len(array), -1)
    sums, counts = np.nansum(rows, axis=1), np.isfinite(rows).sum(axis=1)
    # one scan says nothing about others
    if not interval or np.count_nonzero(counts) < 2:
        return Spread(known.size, *found)
    return Spread(known.size, *found, *ratio_interval(sums, counts))


def ratio_interval(numerator: ArrayLike, denominator: ArrayLike, level: float = LEVEL) -> tuple[float, float]:
    """Return the bootstrap interval of a ratio of sums over scans.

    Parameters
    ----------
    numerator, denominator : float array, (n_scans,)
    level : float
    """
    return bootstrap_interval(ratio_of_sums, numerator, denominator, level=level)


def ratio_of_sums(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return the ratio of two sums along the last axis; nan where the second is 0."""
    below = np.asarray(denominator, float).sum(axis=-1)
    above = np.asarray(numerator, float).sum(axis=-1)
    return np.divide(above, below, out=np.full_like(below, math.nan), where=below > 0)


@dataclass(frozen=True)
class Share:
    """A share of cases, with its 90 % interval over scans; nan of none.

    Where all cases are right, or none, every drawing of scans gives the same share: the interval is then the
    exact one of that many scans (:func:`exact_interval`), each of them right, or wrong, as a whole.
    """

    right: int
    of: int
    low: float = math.nan
    high: float = math.nan

    @property
    def share(self) -> float:
        """Right over all."""
        return self.right / self.of if self.of else math.nan


def share(right: ArrayLike, among: ArrayLike | None = None) -> Share:
    """Return the share of cases that are right.

    Parameters
    ----------
    right : bool array, (n_scans, ...)
    among : bool array of the same shape, optional
        Which cases count; all by default.
    """
    yes = np.asarray(right, bool)
    if not yes.size:
        return Share(0, 0)
    cases = np.ones_like(yes) if among is None else np.asarray(among, bool)
    yes = (yes & cases).reshape(len(yes), -1).sum(axis=1)
    cases = cases.reshape(len(cases), -1).sum(axis=1)
    right_of, scans = (int(yes.sum()), int(cases.sum())), int(np.count_nonzero(cases))
    if len(yes) < 2 or not scans:
        return Share(*right_of)
    if right_of[0] in (0, right_of[1]):
        return Share(*right_of, *exact_interval(scans if right_of[0] else 0, scans))
    return Share(*right_of, *ratio_interval(yes, cases))


def exact_interval(right: int, of: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval of a share of independent cases.

    Parameters
    ----------
    right, of : int
    level : float

    References
    ----------
    Clopper CJ, Pearson ES. The use of confidence or fiducial limits illustrated in the case of the binomial.
    Biometrika 1934;26:404-413.
    """
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, right, of - right + 1)) if right else 0.0
    high = float(stats.beta.ppf(1 - tail, right + 1, of - right)) if right < of else 1.0
    return low, high


def holm(p_values: Sequence[float]) -> list[float]:
    """Return P values corrected for their number by Holm's method; nan stays and does not count.

    References
    ----------
    Holm S. A simple sequentially rejective multiple test procedure. Scand J Stat 1979;6:65-70.
    """
    known = sorted((p, i) for i, p in enumerate(p_values) if math.isfinite(p))
    corrected, largest = [math.nan] * len(p_values), 0.0
    for place, (p, index) in enumerate(known):
        largest = max(largest, min((len(known) - place) * p, 1.0))
        corrected[index] = largest
    return corrected


@dataclass(frozen=True)
class Test:
    """One paired comparison among several.

    Attributes
    ----------
    name : str
    n : int
    mean : float
        Of a - b.
    t_p, v_p : float
        P of Student's paired t and of Wilcoxon's signed ranks.
    t_holm, v_holm : float
        Corrected for the number of comparisons made together.
    """

    #: pytest takes what is called Test for one of its own otherwise
    __test__ = False

    name: str
    n: int
    mean: float
    t_p: float
    v_p: float
    t_holm: float
    v_holm: float

    @property
    def significant(self) -> bool:
        """Whether both corrected P values are at most .05."""
        return self.t_holm <= ALPHA and self.v_holm <= ALPHA


def holm_tests(pairs: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> list[Test]:
    """Test several paired differences together.

    Parameters
    ----------
    pairs : sequence of (name, a, b)
        Columns (n_scans,).
    """
    found = [(name, paired_tests(a, b), _mean_difference(a, b)) for name, a, b in pairs]
    t, v = holm([one.t_p for _, one, _ in found]), holm([one.v_p for _, one, _ in found])
    return [
        Test(name, one.n, mean, one.t_p, one.v_p, t[i], v[i]) for i, (name, one, mean) in enumerate(found)
    ]


def _mean_difference(a: np.ndarray, b: np.ndarray) -> float:
    return spread(np.asarray(a, float) - np.asarray(b, float), interval=False).mean


def phase_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis, nan where one is missing."""
    return np.asarray(values, float).mean(axis=-1)
