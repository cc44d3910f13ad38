"""The reference grade: known answers, and monotone in what it measures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from csiq.errors import ShapeError
from csiq.quality import formula


@pytest.fixture
def truth(rng: np.random.Generator) -> np.ndarray:
    z, y, x = np.mgrid[:48, :48, :48] - 24
    chambers = (z**2 + (y - 6) ** 2 + x**2 < 100) * 1.0 + (z**2 + (y + 9) ** 2 + (x - 3) ** 2 < 30) * 0.7
    return gaussian_filter(0.2 + chambers, 0.7).astype(np.float32)


@pytest.fixture
def heart() -> np.ndarray:
    z, y, x = np.mgrid[:48, :48, :48] - 24
    return z**2 + y**2 + x**2 < 18**2


def test_truth_itself_is_perfect(truth: np.ndarray, heart: np.ndarray) -> None:
    found = formula.reference(truth, truth, heart)
    assert found.error == pytest.approx(0, abs=1e-7)
    assert found.sharpness == pytest.approx(1)
    assert found.grade == pytest.approx(4)


def test_scale_and_global_phase_do_not_matter(truth: np.ndarray, heart: np.ndarray) -> None:
    image = gaussian_filter(truth, 1.0)
    first = formula.reference(image, truth, heart).grade
    assert 0 < first < 4
    assert formula.reference(image * 37 * np.exp(1.3j), truth, heart).grade == pytest.approx(first)


def test_known_answers() -> None:
    assert formula.grade_of(0.0, 1.0) == 4
    assert formula.grade_of(formula.E_HALF, 1.0) == pytest.approx(2)
    assert formula.grade_of(2 * formula.E_HALF, 1.0) == pytest.approx(4 / 17)
    assert formula.grade_of(0.0, formula.S_FULL / 4) == pytest.approx(2)
    assert formula.grade_of(0.0, -0.1) == 0
    assert formula.grade_of(0.0, 1.7) == 4  # sharper than the truth is no better


def test_monotone_in_error_and_sharpness() -> None:
    errors = np.linspace(0, 3, 50)
    by_error = [formula.grade_of(e, 0.8) for e in errors]
    assert np.all(np.diff(by_error) < 0)
    by_sharpness = [formula.grade_of(0.3, s) for s in np.linspace(0.0, formula.S_FULL, 50)]
    assert np.all(np.diff(by_sharpness) > 0)


def test_known_error_of_added_noise(truth: np.ndarray, heart: np.ndarray, rng: np.random.Generator) -> None:
    noise = rng.standard_normal(truth.shape) * 0.05
    found = formula.reference(truth + noise, truth, heart)
    # small against the signal, so no Rician bias; 24 000 voxels give 1 %
    assert found.error == pytest.approx(0.05 / truth[heart].std(), rel=0.03)
    assert found.sharpness == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("kind", ["noise", "blur", "motion"])
def test_worse_images_get_lower_grades(
    truth: np.ndarray, heart: np.ndarray, rng: np.random.Generator, kind: str
) -> None:
    noise = rng.standard_normal(truth.shape)
    grades = []
    for amount in (0.0, 0.5, 1.0, 2.0, 4.0):
        if kind == "noise":
            image = truth + 0.1 * amount * noise
        elif kind == "blur":
            image = gaussian_filter(truth, amount)
        else:
            image = sum(
                np.roll(truth, s, axis=0) for s in np.round(1.5 * amount * np.array([-1, 0, 1])).astype(int)
            )
        grades.append(formula.reference(image, truth, heart).grade)
    assert np.all(np.diff(grades)[1:] < 0)
    assert grades[-1] < 2 < 3.99 < grades[0]


def test_what_lies_outside_the_heart_does_not_count(truth: np.ndarray, heart: np.ndarray) -> None:
    # the gradient reaches one voxel beyond the mask
    far = np.mgrid[:48, :48, :48][0] > 44
    spoiled = np.where(far, 9.0, truth)
    assert formula.reference(spoiled, truth, heart).grade == formula.reference(truth, truth, heart).grade


def test_impossible_inputs(truth: np.ndarray, heart: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="differ"):
        formula.reference(truth[1:], truth, heart)
    with pytest.raises(ShapeError, match="contrast"):
        formula.reference(truth, truth, np.zeros_like(heart))
    assert formula.reference(np.zeros_like(truth), truth, heart).grade == 0


def test_statement_carries_the_constants() -> None:
    said = formula.statement()
    assert f"E_HALF = {formula.E_HALF}" in said
    assert "4 / (1 + (e / E_HALF)^4)" in said
