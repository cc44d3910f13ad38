"""Eq. 1 by hand, against the statistics of agreement, and as the mean over batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from csiq.agreement import anti_bias_l1
from csiq.training.loss import batch_loss, class_weights, classes_of


def test_eq_1_by_hand() -> None:
    # grade 1 holds errors 1 and 2, grade 3.5 holds 0.5: (1.5 + 0.5) / 2; plain L1 would be 3.5 / 3
    error = np.array([1.0, 2.0, 0.5])
    assert (class_weights([1.0, 1.0, 3.5]) * error).mean() == pytest.approx(1.0)


def test_a_grade_without_a_scan_is_left_out_of_g() -> None:
    # two of nine grades: each weighs a half, whatever the other seven
    assert class_weights([0.0, 0.0, 0.0, 4.0]).tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])


def test_grades_between_two_halves_belong_to_the_nearest() -> None:
    assert classes_of([0.1, 0.3, 2.26, 3.9, 0.75]).tolist() == [0, 1, 5, 8, 2]


def test_a_whole_set_gives_what_the_statistics_give(rng: np.random.Generator) -> None:
    grades = rng.choice([0, 0.5, 1, 1.5, 3, 4], p=[0.4, 0.2, 0.2, 0.1, 0.05, 0.05], size=60)
    patches = grades[:, None, None] + rng.standard_normal((60, 2, 3))
    weights = np.broadcast_to(class_weights(grades)[:, None, None], patches.shape)
    found = batch_loss(*(torch.tensor(np.array(part)) for part in (patches, grades, weights)))
    expected = anti_bias_l1(patches.ravel(), np.repeat(grades, 6))
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("draws", [4000])
def test_batches_are_unbiased_where_forming_g_anew_is_not(rng: np.random.Generator, draws: int) -> None:
    grades = np.array([0.0] * 20 + [2.0] * 9 + [4.0])
    error = np.where(grades == 4, 3.0, np.where(grades == 2, 1.0, 0.2))
    exact = float(anti_bias_l1(grades + error, grades))
    assert exact == pytest.approx((0.2 + 1 + 3) / 3)
    ours, anew = [], []
    for _ in range(draws):
        chosen = rng.permutation(30)[:5]
        ours.append(float((class_weights(grades)[chosen] * error[chosen]).mean()))
        anew.append(float((class_weights(grades[chosen]) * error[chosen]).mean()))
    away = np.std(ours) / np.sqrt(draws)
    assert np.mean(ours) == pytest.approx(exact, abs=4 * away)
    assert abs(np.mean(anew) - exact) > 20 * away
