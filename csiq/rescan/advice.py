"""Whether a scan should be repeated while the patient is still there.

The paper's first motive: "immediate assessment of image quality during the patient examination", for "a
timely rescan when needed". The best phase is held against the least grade that was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from csiq.quality.assessor import Grade
from csiq.ranking.preference import CALIBRATION, error_of, probability_below


@dataclass(frozen=True)
class Rescan:
    """The entry ``rescan`` of ``run.json``.

    Attributes
    ----------
    min_grade : float
        What was asked for.
    phase : int or None
        From 1: the returned phase of the highest grade; of those in the training domain if there are any.
    grade : float or None
        Its grade; None if no phase has one.
    advised : bool or None
        Whether the grade is below the least one; None without a grade.
    probability : float or None
        That the noise-free reference grade of that phase is below the least one; None where the grade's error
        is not known, outside the training domain for one.
    uncertainty : float or None
        SD of the grade's error.
    uncertainty_from : str or None
        "calibration" of the model, or "patches": a lower bound, the probability is then too sure.
    in_domain : bool or None
        Whether that phase lies within the training domain of the model.
    calibrated : bool
        Whether the grade is on the scale of a site's readers, as of :class:`csiq.quality.assessor.Grade`.
    """

    min_grade: float
    phase: int | None
    grade: float | None
    advised: bool | None
    probability: float | None
    uncertainty: float | None
    uncertainty_from: str | None
    in_domain: bool | None
    calibrated: bool

    def as_json(self) -> dict[str, object]:
        """Return the entry of ``run.json``."""
        return asdict(self)

    @property
    def warning(self) -> str | None:
        """What is to be said at once; None if the grade is there and in the domain."""
        if self.grade is None:
            return f"whether a rescan is due is not known: no phase has a grade, {self.min_grade:g} asked for"
        outside = self.in_domain is False
        if self.advised:
            said = f"rescan advised: the best grade is {self.grade:.2f}, below {self.min_grade:g}"
            return (
                f"{said}, but it lies outside the training domain" if outside else f"{said}{self._chance()}"
            )
        if outside:
            return (
                f"the grade asked for, {self.min_grade:g}, is reached outside the training domain only: "
                "look at the images before the patient leaves"
            )
        return None

    def _chance(self) -> str:
        if self.probability is None or self.uncertainty_from != CALIBRATION:
            return ""  # patches alone make it too sure for a warning
        percent = round(100 * self.probability)
        return f" (with a probability of {min(max(percent, 1), 99)} %)"


def advise(min_grade: float, grades: Sequence[Grade | None]) -> Rescan:
    """Hold the best of the returned phases against the least grade that was asked for.

    The grade itself decides, its error does not: below the least grade a rescan is advised. The probability
    beside it is what a site with another price of a rescan decides by.

    Parameters
    ----------
    min_grade : float
        0 to 4.
    grades : sequence, one entry a phase
        Of the returned volumes; None for a phase that was not graded.
    """
    graded = [(p, g) for p, g in enumerate(grades, start=1) if g is not None and math.isfinite(g.grade)]
    inside = [(p, g) for p, g in graded if g.in_domain]
    if not graded:
        return Rescan(min_grade, None, None, None, None, None, None, None, False)
    phase, best = max(inside or graded, key=lambda entry: entry[1].grade)
    error = error_of(best)
    return Rescan(
        min_grade=min_grade,
        phase=phase,
        grade=best.grade,
        advised=best.grade < min_grade,
        probability=probability_below(best.grade, error.sd, min_grade) if error.sd is not None else None,
        uncertainty=error.sd,
        uncertainty_from=error.source,
        in_domain=best.in_domain,
        calibrated=best.calibrated,
    )
