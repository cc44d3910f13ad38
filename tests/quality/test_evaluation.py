"""Figures of agreement, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.quality.evaluation import agreement, evaluate, pair_order
from csiq.quality.training_set import GradedImage


def _images(grades: list[float], patients: list[int]) -> list[GradedImage]:
    return [
        GradedImage(str(i), p, "test", "cs", g, 1.0, {})
        for i, (g, p) in enumerate(zip(grades, patients, strict=True))
    ]


def test_agreement_by_hand() -> None:
    found = agreement(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    # residual 1 of a total of 2; errors 0, 0, 1
    assert found["r2"] == pytest.approx(0.5)
    assert found["spearman"] == pytest.approx(1)
    assert found["slope"] == pytest.approx(1.5)
    assert found["bias"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["sd"] == pytest.approx(1 / np.sqrt(3), abs=1e-4)
    assert found["mae"] == pytest.approx(1 / 3, abs=1e-4)


def test_a_constant_offset_lowers_r2_but_not_spearman() -> None:
    reference = np.array([0.0, 1.0, 2.0, 3.0])
    found = agreement(reference + 1, reference)
    assert found["spearman"] == 1
    assert found["r2"] == pytest.approx(1 - 4 / 5)


@pytest.mark.parametrize("reference", [[], [2.0], [2.0, 2.0, 2.0]])
def test_undefined_is_none(reference: list[float]) -> None:
    found = agreement(np.array(reference) + 0.5, np.array(reference))
    assert found["n"] == len(reference)
    assert found["r2"] is None
    assert found["spearman"] is None


def test_pairs_count_within_a_patient_and_beyond_a_quarter_only() -> None:
    images = _images([1.0, 2.0, 2.1, 0.0], [1, 1, 1, 2])
    predicted = np.array([1.0, 0.5, 3.0, 9.0])
    # 1 against 2: wrong; 1 against 2.1: right; 2 against 2.1: too close; the other patient: not compared
    assert pair_order(images, predicted) == {"pairs": 2, "share": 0.5}
    assert pair_order(images[:1], predicted[:1]) == {"pairs": 0, "share": None}


def test_evaluation_counts_patients_and_kinds() -> None:
    images = _images([1.0, 2.0, 3.0], [1, 1, 2])
    found = evaluate(images, np.array([1.0, 2.0, 3.0]))
    assert found["patients"] == 2
    assert found["by_kind"]["cs"]["r2"] == 1
    assert found["by_voxel_size_mm"]["1"]["n"] == 3
