"""The probability that a reader who sees two images side by side prefers the one or the other.

A reader sees the true difference of two grades, plus noise of his own, and calls the images equal if what he
sees is smaller than a threshold t (Thurstone's model with ties, after Glenn and David):

    seen = q_a - q_b + e,   e normal with SD sigma_r
    prefers a: seen >= t,   prefers b: seen <= -t,   equal: in between

The true difference is not known, but that of the grades, d = g_a - g_b, whose error is taken for normal with
SD sigma_d (:func:`difference_sd`). With s^2 = sigma_d^2 + sigma_r^2

    p(a) = Phi((d - t) / s),   p(b) = Phi((-d - t) / s),   p(equal) = 1 - p(a) - p(b)

The threshold
    is the paper's 0.25: half of the scale's step. A reader who graded each image by itself in half grades
    would see a difference of 0.25 in half of the cases (the two fall to one side of a border, or not).

The reader's noise, side by side
    The paper's reader compared 96 pairs of phases (Figure E5). In the 21 whose grades differed by more than
    0.25 he preferred the better one every time. Let x be how far a difference lies beyond 0.25: a chance of
    Phi(x / s) each. Differences between phases were 0.4 +- 0.3 from the best to the worst (0.1 to 1.4); a
    gamma law of that mean and SD, with the two other phases anywhere between, has x nearly exponential with
    a mean of 0.23. Then 21 of 21 happens in 5 % of such studies if s = 0.10, more often with less. That upper
    limit is taken, and all of it for the reader's, although the paper's network had its share in it.

The reader's noise, two scans
    Two readings of one image, a month apart, differed by 0.01 +- 0.50 (Table 2). Each was rounded to halves,
    which adds 0.5^2 / 12 to its variance; sqrt(0.50^2 - 2 * 0.5^2 / 12) = 0.46 is left for the difference.
    So much a reader is taken to be off between two scans, whose anatomy is not the same and which are not
    seen side by side.

The error of a grade
    is its calibrated ``uncertainty`` where the model's card has a confidence (docs/confidence.md). Else it is
    the standard error over the patches that share no slice, grade_sd / sqrt(18): a lower bound, which knows
    nothing of errors that all patches share. A grade outside the training domain has no known error, and its
    pairs no probabilities.

Errors of images of one scan go together
    since they show one anatomy. How far is not published and no card tells it; :data:`CORRELATION` is an
    assumption, explained there. It is applied to calibrated errors of one scan, to no others.

References
----------
Glenn WA, David HA. Ties in paired-comparison experiments using a modified Thurstone-Mosteller model.
Biometrics 1960;16:86-109.
Piccini D, et al. Radiology: Artificial Intelligence 2020;2(3):e190123, Tables 1 and 2, Figure E5, "Quality
evolution".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from csiq.history import INDEPENDENT_PATCHES, THRESHOLD, GradeLike

#: Correlation of the errors of two grades of one scan: an assumption, about the least of what was measured on
#: simulated scans at the images that are returned (0.5 to 0.8; less in the first iterations;
#: benchmarks/phase_errors.py). More would make the probabilities surer.
CORRELATION = 0.5
#: Where the error of a grade comes from.
CALIBRATION, PATCHES = "calibration", "patches"


@dataclass(frozen=True)
class Reader:
    """Who compares two images.

    Attributes
    ----------
    noise : float
        SD of the difference that is seen about the true one, grades.
    threshold : float
        Smaller differences are called equal.
    """

    noise: float
    threshold: float = THRESHOLD


#: Images of one scan, side by side: the upper limit that Figure E5 leaves.
SIDE_BY_SIDE = Reader(0.10)
#: Images of two scans: Table 2, intraobserver, without rounding.
TWO_SCANS = Reader(0.46)


@dataclass(frozen=True)
class GradeError:
    """How far a grade may be off.

    Attributes
    ----------
    sd : float or None
        Standard deviation of a normal error; None where nothing is known of it.
    source : str or None
        "calibration" or "patches".
    """

    sd: float | None
    source: str | None


class Preference(NamedTuple):
    """What a reader would say of two images, a and b; the three add up to 1."""

    a: float
    equal: float
    b: float


def error_of(grade: GradeLike) -> GradeError:
    """Return how far a grade may be off, by its calibrated confidence or else by its patches.

    Parameters
    ----------
    grade : object with ``grade_sd``
        ``uncertainty`` and ``in_domain`` are asked for, too: a :class:`csiq.Grade` has them, whatever has
        not is taken to be in the domain and not calibrated.
    """
    return error_from(grade.grade_sd, getattr(grade, "uncertainty", None), getattr(grade, "in_domain", True))


def error_from(
    grade_sd: float, uncertainty: float | None = None, in_domain: bool | None = True
) -> GradeError:
    """Return how far a grade may be off, from plain numbers; see :func:`error_of`."""
    if in_domain is False:
        return GradeError(None, None)
    if uncertainty is not None and math.isfinite(uncertainty):
        return GradeError(float(uncertainty), CALIBRATION)
    if grade_sd is not None and math.isfinite(grade_sd):
        return GradeError(float(grade_sd) / math.sqrt(INDEPENDENT_PATCHES), PATCHES)
    return GradeError(None, None)


def difference_sd(a: GradeError, b: GradeError, *, same_scan: bool = True) -> float | None:
    """Return the SD of the error of a difference of two grades; None where one of them has none.

    sqrt(sd_a^2 + sd_b^2 - 2 c sd_a sd_b), with c = :data:`CORRELATION` for calibrated errors of one scan, and
    0 for all others.

    Parameters
    ----------
    a, b : GradeError
    same_scan : bool
        Whether both images come from one scan.
    """
    if a.sd is None or b.sd is None:
        return None
    together = same_scan and a.source == b.source == CALIBRATION
    shared = CORRELATION * a.sd * b.sd if together else 0.0
    return math.sqrt(max(a.sd**2 + b.sd**2 - 2 * shared, 0.0))


def preference(difference: float, sd: float, reader: Reader = SIDE_BY_SIDE) -> Preference:
    """Return the probabilities that a reader prefers a, finds both equal, prefers b.

    Parameters
    ----------
    difference : float
        Grade of a minus grade of b.
    sd : float
        Of its error; see :func:`difference_sd`.
    reader : Reader
    """
    spread = math.hypot(sd, reader.noise)
    a, b = (_above(side - reader.threshold, spread) for side in (difference, -difference))
    return Preference(a, max(1.0 - (a + b), 0.0), b)


def probability_below(grade: float, sd: float, least: float) -> float:
    """Return the probability that the true grade is below ``least``.

    Parameters
    ----------
    grade, sd : float
        The grade, and the SD of its error.
    least : float
    """
    return 1.0 - _above(grade - least, sd)


def _above(margin: float, spread: float) -> float:
    """Return the probability that a normal number of mean ``margin`` and SD ``spread`` is 0 or more."""
    if spread <= 0:
        return float(margin >= 0)
    return 0.5 * math.erfc(-margin / (spread * math.sqrt(2)))
