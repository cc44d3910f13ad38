"""Whether a rescan is advised, and what is said where the grade cannot be trusted."""

from __future__ import annotations

import json
import math

import pytest

from csiq.quality.assessor import Grade
from csiq.ranking.preference import probability_below
from csiq.rescan import advise


def grade(value: float, *, inside: bool = True, uncertainty: float | None = None, sd: float = 0.36) -> Grade:
    return Grade(value, sd, inside, uncertainty=uncertainty)


def test_the_best_phase_decides():
    assert advise(2.0, [grade(1.9), grade(2.1), None]).advised is False
    found = advise(2.0, [grade(1.5), grade(1.9), grade(math.nan)])
    assert (found.advised, found.phase, found.grade) == (True, 2, 1.9)
    # below, the contract says: at the least grade itself none is advised
    assert advise(2.0, [grade(2.0)]).advised is False


def test_the_probability_is_that_of_the_true_grade_being_below():
    found = advise(2.0, [grade(1.9, uncertainty=0.25)])
    assert found.probability == pytest.approx(probability_below(1.9, 0.25, 2.0))
    assert (found.uncertainty, found.uncertainty_from) == (0.25, "calibration")
    # a lower bound where the card has no confidence
    found = advise(2.0, [grade(1.9, sd=0.36)])
    assert (found.uncertainty, found.uncertainty_from) == (pytest.approx(0.36 / math.sqrt(18)), "patches")
    assert advise(2.0, [grade(1.9, sd=math.nan)]).probability is None


@pytest.mark.parametrize("value", [1.0, 1.9, 1.99, 2.01, 2.5])
def test_advice_and_probability_agree(value):
    found = advise(2.0, [grade(value, uncertainty=0.3)])
    assert found.advised == (found.probability > 0.5)


def test_phases_in_the_domain_are_asked_first():
    # a foreign image with a high grade does not hide that nothing that is known of is good enough
    found = advise(2.0, [grade(3.5, inside=False), grade(1.0)])
    assert (found.advised, found.phase, found.in_domain) == (True, 2, True)


def test_outside_the_domain_it_is_said_without_a_probability():
    low = advise(2.0, [grade(1.0, inside=False)])
    assert (low.advised, low.probability, low.in_domain) == (True, None, False)
    assert low.warning.startswith("rescan advised")
    assert "outside the training domain" in low.warning
    high = advise(2.0, [grade(3.0, inside=False)])
    assert high.advised is False
    assert "look at the images before the patient leaves" in high.warning


def test_without_a_grade_nothing_is_advised_and_that_is_said():
    found = advise(2.0, [None, grade(math.nan)])
    assert (found.advised, found.grade, found.phase, found.probability) == (None,) * 4
    assert "not known" in found.warning


def test_warnings_have_numbers_and_never_certainty():
    assert advise(2.0, [grade(2.5, uncertainty=0.2)]).warning is None
    said = advise(3.5, [grade(1.0, uncertainty=0.2)]).warning
    assert said == "rescan advised: the best grade is 1.00, below 3.5 (with a probability of 99 %)"
    # patches alone are too sure
    assert "probability" not in advise(3.5, [grade(1.0)]).warning


def test_it_is_strict_json():
    for grades in ([None], [grade(1.0)], [grade(1.0, inside=False)]):
        content = json.loads(json.dumps(advise(2.0, grades).as_json(), allow_nan=False))
        assert list(content) == [
            "min_grade",
            "phase",
            "grade",
            "advised",
            "probability",
            "uncertainty",
            "uncertainty_from",
            "in_domain",
            "calibrated",
        ]
