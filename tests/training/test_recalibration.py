"""The line that takes a network's grades to its reader's."""

from __future__ import annotations

import math

import numpy as np
import pytest

from csiq.training.recalibration import Recalibration

PARTS = ("train3",)


def test_the_line_is_that_of_least_squares(rng: np.random.Generator) -> None:
    targets = rng.uniform(0, 4, 80)
    grades = 0.8 * targets + 0.3 + rng.normal(0, 0.2, 80)
    found = Recalibration.fit(grades, targets, PARTS)
    slope, offset = np.polyfit(grades, targets, 1)
    assert (found.slope, found.offset) == pytest.approx((slope, offset))
    assert (found.n, found.left_out) == (80, PARTS)


def test_errors_shrink_and_their_mean_goes(rng: np.random.Generator) -> None:
    targets = rng.uniform(0, 4, 400)
    noisy = targets + rng.normal(0, 0.3, 400)
    # what a cautious network says: drawn to the middle, and a little low
    grades = 2 + 0.8 * (noisy - 2) - 0.1
    found = Recalibration.fit(grades[:200], targets[:200], PARTS)
    better = found.slope * grades[200:] + found.offset
    before, after = grades[200:] - targets[200:], better - targets[200:]
    assert abs(after.mean()) < 0.05 < abs(before.mean())
    assert after.std() < before.std()


@pytest.mark.parametrize(
    "grades", [[1.0, 1.0, 1.0], [3.0, 2.0, 1.0], [1.0, 1.001, 1.002], [0.0, 100.0, 200.0]]
)
def test_no_line_through_grades_that_say_nothing(grades: list[float]) -> None:
    found = Recalibration.fit(grades, [1.0, 2.0, 3.0], PARTS)
    assert (found.slope, found.offset) == (1.0, 0.0)


def test_images_without_a_grade_have_no_part(rng: np.random.Generator) -> None:
    grades = [0.0, 1.0, 2.0, math.nan, 3.0]
    found = Recalibration.fit(grades, [0.5, 1.5, 2.5, 4.0, 3.5], PARTS)
    assert (found.slope, found.offset, found.n) == pytest.approx((1.0, 0.5, 4))
