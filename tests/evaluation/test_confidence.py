"""The part of a study on stated intervals and the domain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from csiq.evaluation import bars, confidence
from csiq.evaluation.cases import read_cases
from csiq.evaluation.comparison import Comparison
from csiq.evaluation.predictions import predict
from csiq.quality.assessor import Grade
from tests.evaluation.small_cohort import Brightness, make_cohort


@dataclass
class Sure(Brightness):
    """A grader with intervals of a given half width; every fifth image is outside its domain."""

    half: float | None = 0.2

    def grade_with_patches(self, volume: Any, voxel_size: Any) -> tuple[Grade, np.ndarray]:
        patches = self.patch_grades(volume, voxel_size)
        value, known = float(np.mean(patches)), self.calls % 5 != 0
        if self.half is None or not known:
            return Grade(value, 0.1, known), patches
        around = (value - self.half, value + self.half)
        return Grade(value, 0.1, True, interval=around, uncertainty=self.half), patches


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("study")
    cases = read_cases(make_cohort(folder / "cohort"))
    return Comparison(cases, predict(cases, [Brightness()], folder))


@pytest.fixture
def graded_by(study: Comparison, tmp_path: Path) -> Callable[[Sure], Comparison]:
    return lambda grader: replace(study, predictions=predict(study.cases, [grader], tmp_path))


@pytest.mark.parametrize(("half", "word"), [(4.0, "not as asked"), (0.001, "not as asked")])
def test_intervals_too_wide_or_too_narrow_are_said_so(graded_by, half: float, word: str) -> None:
    found = confidence.section(graded_by(Sure(half=half)))
    assert word in found.lead[1]
    assert found.numbers["outside_domain"] == 4
    assert found.numbers["coverage"]["without"] == 4
    assert found.numbers["coverage"]["n"] == 16
    assert (found.numbers["coverage"]["coverage"] == 1.0) is (half == 4.0)


def test_coverage_is_counted_against_the_reference(study: Comparison, graded_by) -> None:
    reference = study.cases.reference
    assert reference is not None
    error = np.sort(np.abs(study.predicted - reference))
    # an interval that is to hold all but two
    half = float((error[-3] + error[-2]) / 2)
    grader = Sure(half=half)
    sure = graded_by(grader)
    found, told = confidence.section(sure), confidence.told(sure)
    assert grader.calls == len(study.cases), "one pass serves patches and intervals"
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
    (bar,) = (bar for bar in bars.bars(sure) if "references held" in bar.what)
    assert bar.value == found.numbers["coverage"]["coverage"]
    assert bar.low < bar.value < bar.high
    assert dict(table.body)["images with an interval"] == "16"


def test_images_of_one_patient_count_once_for_the_interval_of_the_share(study: Comparison, graded_by) -> None:
    sure = graded_by(Sure(half=0.1))
    told = confidence.told(sure)
    assert told is not None
    plain = told.coverage
    assert confidence._wilson(plain["coverage"], plain["n"]) == pytest.approx(
        plain["coverage_interval"], abs=1e-3
    )
    # the same images twice, of the same patients
    assert told.reference is not None
    twice = confidence.Told(2 * told.grades, np.tile(told.reference, 2), 2 * told.patients)
    assert twice.coverage["n"] == 2 * plain["n"]
    assert twice.coverage["coverage_interval"] == pytest.approx(plain["coverage_interval"], abs=1e-3)


def test_a_patient_of_many_images_counts_for_less_than_they(rng) -> None:
    """Of 30 patients three have 20 images: the share is mostly theirs, and its interval has to say so."""
    many = np.repeat([20, 1], [3, 27])
    patients = np.repeat(np.arange(30), many)
    held = 0
    for _ in range(200):
        # all images of a patient alike, nine in ten patients held
        truth = np.repeat(np.where(rng.random(30) < 0.9, 2.0, 5.0), many)
        grades = (Grade(2.0, 0.1, True, interval=(1.0, 3.0)),) * len(truth)
        low, high = confidence.Told(grades, truth, tuple(map(str, patients))).coverage["coverage_interval"]
        held += low <= 0.9 <= high
    assert held / 200 > 0.85


def test_a_grader_without_intervals_is_said_so(study: Comparison, graded_by) -> None:
    assert "grades alone" in confidence.section(study).lead[0]
    found = confidence.section(graded_by(Sure(half=None)))
    assert "no calibrated confidence" in found.lead[1]
    assert found.items == ()


def test_what_was_said_is_kept_until_weights_or_card_change(study: Comparison, tmp_path: Path) -> None:
    first, again = Sure(card={"confidence": 1}), Sure(card={"confidence": 1, "evaluation": {"n": 20}})
    kept = predict(study.cases, [first], tmp_path)
    assert predict(study.cases, [again], tmp_path).said == kept.said
    assert again.calls == 0
    other = Sure(card={"confidence": 2}, half=0.3)
    said = predict(study.cases, [other], tmp_path).said
    assert other.calls == len(study.cases)
    assert said is not None
    assert said[0].uncertainty == 0.3
