"""The part of a study on stated intervals and the domain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from csiq.evaluation import confidence
from csiq.evaluation.cases import read_cases
from csiq.evaluation.comparison import Comparison
from csiq.evaluation.predictions import predict
from csiq.quality.assessor import Grade
from tests.evaluation.small_cohort import Brightness, make_cohort


@dataclass
class Sure(Brightness):
    """A grader with intervals of a given half width; every fifth image is outside its domain."""

    half: float | None = 0.2
    asked: int = 0

    def grade(self, volume: Any, voxel_size: Any) -> Grade:
        self.asked += 1
        value = float(np.mean(self.patch_grades(volume, voxel_size)))
        if self.asked % 5 == 0 or self.half is None:
            return Grade(value, 0.1, self.asked % 5 != 0)
        return Grade(value, 0.1, True, interval=(value - self.half, value + self.half), uncertainty=self.half)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("study")
    cases = read_cases(make_cohort(folder / "cohort"))
    return Comparison(cases, predict(cases, [Brightness()], folder))


@pytest.mark.parametrize(("half", "word"), [(4.0, "not as asked"), (0.001, "not as asked")])
def test_intervals_too_wide_or_too_narrow_are_said_so(study: Comparison, half: float, word: str) -> None:
    found = confidence.section(replace(study, graders=[Sure(half=half)]))
    assert word in found.lead[1]
    assert found.numbers["outside_domain"] == 4
    assert found.numbers["coverage"]["without"] == 4
    assert found.numbers["coverage"]["n"] == 16
    assert (found.numbers["coverage"]["coverage"] == 1.0) is (half == 4.0)


def test_coverage_is_counted_against_the_reference(study: Comparison) -> None:
    reference = study.cases.reference
    assert reference is not None
    error = np.sort(np.abs(study.predicted - reference))
    # an interval that is to hold all but two
    half = float((error[-3] + error[-2]) / 2)
    found = confidence.section(replace(study, graders=[Sure(half=half)]))
    told = confidence.told(replace(study, graders=[Sure(half=half)]))
    assert told is not None
    held = [
        g.interval[0] <= t <= g.interval[1]
        for g, t in zip(told.grades, reference, strict=True)
        if g.interval is not None
    ]
    assert found.numbers["coverage"]["coverage"] == pytest.approx(np.mean(held), abs=1e-4)
    assert 0.8 < np.mean(held) < 1
    table, picture = found.items
    assert len(picture.data) == 16
    assert dict(table.body)["images with an interval"] == "16"


def test_a_grader_without_intervals_is_said_so(study: Comparison) -> None:
    assert "grades alone" in confidence.section(replace(study, graders=[Brightness()])).lead[0]
    found = confidence.section(replace(study, graders=[Sure(half=None)]))
    assert "no calibrated confidence" in found.lead[1]
    assert found.items == ()
