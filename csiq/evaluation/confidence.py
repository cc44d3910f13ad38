"""How far the intervals and the domain of a model's card keep their word on the images of a test."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from csiq.evaluation.comparison import Comparison
from csiq.evaluation.drawing import BLUE, ORANGE, PAGE, RED, blank, grade_axis, plain, styled
from csiq.evaluation.section import Picture, Section, Table, shown, span
from csiq.quality.assessor import Grade
from csiq.quality.confidence_folds import kept_word

#: Coverage that is asked of a stated interval of 90 %.
ASKED = (0.85, 0.95)


@dataclass(frozen=True)
class Told:
    """What a grader says of the images of a test besides their grades.

    Attributes
    ----------
    grades : tuple of Grade
    reference : float64 array, (n,), or None
    patients : tuple of str
        Whose image it is.
    """

    grades: tuple[Grade, ...]
    reference: np.ndarray | None
    patients: tuple[str, ...]

    @property
    def coverage(self) -> dict[str, Any] | None:
        """How many references the intervals hold; None without intervals or references."""
        intervals = [one.interval for one in self.grades]
        if self.reference is None or not any(intervals):
            return None
        found = kept_word(intervals, self.reference)
        given = [p for p, i, t in zip(self.patients, intervals, self.reference, strict=True) if i and t == t]
        if len(set(given)) < len(given):
            found["coverage_interval"] = _wilson(found["coverage"], _images_of_patients(given))
        return found

    @property
    def outside(self) -> int:
        """How many images are called outside the domain."""
        return sum(not one.in_domain for one in self.grades)


def _images_of_patients(patients: Sequence[str]) -> float:
    """Return how many independent images tell as much as those of patients, each all alike (Kish).

    As many as there are patients if all have equally many images, fewer otherwise: it is n squared over the
    sum of the squares of each patient's.

    References
    ----------
    Kish L. Survey sampling. Wiley, 1965 (effective size of a sample of unequal weights).
    """
    each = np.array(list(Counter(patients).values()), np.float64)
    return float(each.sum() ** 2 / (each**2).sum())


def _wilson(share: float, n: float) -> list[float]:
    """Return the 90 % interval (Wilson) of a share as if of ``n`` images."""
    z = 1.6448536
    extra = z * z / n
    middle = (share + extra / 2) / (1 + extra)
    half = z * math.sqrt(share * (1 - share) / n + extra / (4 * n)) / (1 + extra)
    return [round(max(middle - half, 0.0), 4), round(min(middle + half, 1.0), 4)]


def section(study: Comparison) -> Section:
    """Return the part on confidence: coverage of the stated intervals, images called outside the domain."""
    found = told(study)
    if found is None:
        return Section("Confidence", ("This grader gives grades alone, no interval and no domain.",))
    n, coverage = len(found.grades), found.coverage
    lead = [f"{found.outside} of {n} images are called outside the domain of the training set."]
    numbers: dict[str, Any] = {"n": n, "outside_domain": found.outside, "coverage": coverage}
    if coverage is None:
        lead.append(_why_none(found))
        return Section("Confidence", tuple(lead), (), (), numbers, "confidence")
    lead.append(_verdict(coverage))
    items: list[Table | Picture] = [_table(coverage), _picture(study, found)]
    return Section("Confidence", tuple(lead), items, (), numbers, "confidence")


def told(study: Comparison) -> Told | None:
    """Return what the main grader said of the images; None if it had no more than grades of patches."""
    said = study.predictions.said
    return None if said is None else Told(said, study.cases.reference, study.cases.patients)


def _why_none(found: Told) -> str:
    if found.reference is None:
        return "Without a noise-free reference it cannot be said how many of them the intervals hold."
    return "The model's card holds no calibrated confidence, so there are no intervals."


def _verdict(coverage: dict[str, Any]) -> str:
    share, (low, high) = coverage["coverage"], coverage["coverage_interval"]
    word = "as asked" if ASKED[0] <= share <= ASKED[1] else "not as asked"
    return (
        f"The stated 90 % intervals hold the noise-free reference of {shown(100 * share, 0)} % of the images "
        f"(90 % interval of this share {span(100 * low, 100 * high, 0)} %), {word} "
        f"({100 * ASKED[0]:.0f} to {100 * ASKED[1]:.0f} %); they are {shown(coverage['mean_width'])} grades "
        "wide in the mean."
    )


def _table(coverage: dict[str, Any]) -> Table:
    rows = (
        ("images with an interval", str(coverage["n"])),
        ("without one", str(coverage["without"])),
        ("share of references held", shown(coverage["coverage"], 3)),
        ("in the narrower half of the intervals", shown(coverage["coverage_narrower_half"], 3)),
        ("in the wider half", shown(coverage["coverage_wider_half"], 3)),
        ("mean width, grades", shown(coverage["mean_width"], 2)),
    )
    data = [{key: value for key, value in coverage.items() if key != "coverage_interval"}]
    note = "Intervals of grades by the model's card (conformal, from networks that did not see the image)."
    return Table("confidence", "Stated intervals of 90 %", ("", "here"), rows, data, note)


def _picture(study: Comparison, found: Told) -> Picture:
    assert found.reference is not None
    data = [
        {"image": name, "grade": g.grade, "low": g.interval[0], "high": g.interval[1], "reference": float(t)}
        for name, g, t in zip(study.cases.volumes, found.grades, found.reference, strict=True)
        if g.interval is not None
    ]
    caption = (
        "Intervals of the images in the order of their grades (blue dots); orange: noise-free reference "
        "within, red: outside the interval."
    )
    alt = "Intervals of all test images with the noise-free reference of each"
    return Picture("confidence", intervals_figure(data), alt, caption, data)


@styled
def intervals_figure(data: list[dict[str, Any]]) -> Figure:
    """Draw the interval and the reference of each image, sorted by grade."""
    ordered = sorted(data, key=lambda row: row["grade"])
    grade, low, high, truth = (
        np.array([row[key] for row in ordered]) for key in ("grade", "low", "high", "reference")
    )
    x, held = np.arange(1, len(ordered) + 1), (low <= truth) & (truth <= high)
    figure = blank(PAGE, 2.6)
    axes = figure.add_subplot()
    plain(axes)
    grade_axis(axes, "grade", along="y", low=float(grade.min()), high=float(grade.max()))
    axes.vlines(x, low, high, color=BLUE, alpha=0.35, lw=2.0)
    axes.plot(x, grade, ".", color=BLUE, ms=4)
    axes.plot(x[held], truth[held], "o", color=ORANGE, ms=3, mew=0)
    axes.plot(x[~held], truth[~held], "D", color=RED, ms=3.4, mew=0)
    axes.set_xlabel("image, in the order of grades")
    axes.set_xlim(0, len(ordered) + 1)
    return figure
