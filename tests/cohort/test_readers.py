"""Simulated readers: their expected statistics by quadrature, and their draws against that."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, norm, spearmanr

from csiq.cohort.readers import (
    LEAN,
    NOISE,
    Preference,
    grades_of,
    read,
    reader_rng,
    redraws,
    uncertainty,
)
from csiq.errors import ShapeError

GRADES = np.arange(9) / 2
PAIRS = ((0, 1), (0, 2), (1, 2))
PREFERENCE = Preference(50.0, 10.0, -0.2, 0.1, 1.2)


def database(n: int) -> np.ndarray:
    """Return qualities that span the scale unevenly: even quantiles of a beta distribution."""
    return 4 * beta.ppf((np.arange(n) + 0.5) / n, 1.1, 1.5)


def probabilities(quality: np.ndarray, lean: np.ndarray, reader: int) -> np.ndarray:
    """Return how likely each grade is, from the normal distribution; no draw is made."""
    u = uncertainty(quality)
    weight = -LEAN if reader == 2 else LEAN
    bounds = (np.arange(8) / 2 + 0.25 - (quality + u * weight * lean)[..., None]) / (u * NOISE[reader])[
        ..., None
    ]
    below = norm.cdf(bounds)
    ends = np.zeros((*below.shape[:-1], 1))
    return np.diff(np.concatenate([ends, below, ends + 1], axis=-1), axis=-1)


@pytest.fixture(scope="module")
def joint() -> dict[tuple[int, int], np.ndarray]:
    """Return the expected agreement counts of each pair, as shares, (9, 9)."""
    quality, lean = np.meshgrid(database(201), norm.ppf((np.arange(41) + 0.5) / 41), indexing="ij")
    tables = [probabilities(quality, lean, reader) for reader in range(3)]
    return {(a, b): np.einsum("qzi,qzj->ij", tables[a], tables[b]) / quality.size for a, b in PAIRS}


def bias_and_sd(table: np.ndarray) -> tuple[float, float]:
    difference = GRADES[:, None] - GRADES
    bias = float(np.sum(table * difference))
    return bias, float(np.sqrt(np.sum(table * difference**2) - bias**2))


def weighted_kappa(table: np.ndarray) -> float:
    distance = np.abs(GRADES[:, None] - GRADES)
    chance = np.outer(table.sum(1), table.sum(0))
    return 1 - float(np.sum(table * distance) / np.sum(chance * distance))


def interval_alpha(table: np.ndarray) -> float:
    square = (GRADES[:, None] - GRADES) ** 2
    pool = (table.sum(0) + table.sum(1)) / 2
    return 1 - float(np.sum(table * square) / np.sum(np.outer(pool, pool) * square))


def test_expected_differences_are_those_of_the_paper(joint):
    found = {pair: bias_and_sd(table) for pair, table in joint.items()}
    # constants have two digits: 0.003
    assert [found[pair][1] for pair in PAIRS] == pytest.approx([0.50, 0.57, 0.61], abs=0.003)
    assert np.abs([found[pair][0] for pair in PAIRS]).max() < 0.005
    first = joint[0, 1].sum(1)
    assert np.sqrt(first @ GRADES**2 - (first @ GRADES) ** 2) == pytest.approx(1.10, abs=0.02)


def test_kappa_and_alpha_come_out_near_the_paper(joint):
    # nothing was fitted to these; a kappa of 100 scans has a standard error of about 0.04
    assert [weighted_kappa(joint[pair]) for pair in PAIRS] == pytest.approx([0.70, 0.67, 0.66], abs=0.02)
    assert interval_alpha(joint[0, 2]) == pytest.approx(0.87, abs=0.01)
    difference = np.abs(GRADES[:, None] - GRADES)
    assert float(np.sum(joint[0, 2] * difference)) == pytest.approx(0.42, abs=0.01)


def test_own_noise_of_a_reading_is_the_difference_over_root_two():
    quality, lean = np.meshgrid(database(201), norm.ppf((np.arange(41) + 0.5) / 41), indexing="ij")
    own = []
    for reader in range(3):
        p = probabilities(quality, lean, reader)
        mean = p @ GRADES
        own.append(np.sqrt(np.mean(p @ GRADES**2 - mean**2)))
    assert own == pytest.approx([0.32, 0.385, 0.354], abs=0.005)
    assert np.sqrt(np.mean(np.square(own[:2]))) == pytest.approx(0.50 / np.sqrt(2), abs=0.003)


def test_draws_follow_the_expectation(joint):
    n = 400
    quality = database(n)
    lean = np.random.default_rng(5).permutation(norm.ppf((np.arange(n) + 0.5) / n))
    drawn = redraws(quality, lean, range(1, n + 1), seed=3, n_draws=200)[1:]
    assert drawn.shape == (200, n, 3)
    for a, b in PAIRS:
        bias, sd = bias_and_sd(joint[a, b])
        difference = drawn[..., a] - drawn[..., b]
        # 80 000 differences: standard errors 0.002, and 0.0015 of the SD
        assert difference.mean() == pytest.approx(bias, abs=0.01)
        assert difference.std() == pytest.approx(sd, abs=0.012)
    correlation = np.mean([spearmanr(draw[:, 0], draw[:, 2]).statistic for draw in drawn[:40]])
    assert correlation == pytest.approx(0.87, abs=0.02)  # paper: 0.88


def test_intermediate_grades_are_the_least_certain(joint):
    table = joint[0, 1]
    square = (GRADES[:, None] - GRADES) ** 2
    rms = np.sqrt(np.sum(table * square, axis=1) / table.sum(axis=1))
    assert 3 <= int(rms.argmax()) <= 5
    assert np.all(np.diff(rms[:4]) > 0)
    assert np.all(np.diff(rms[5:]) < 0)
    assert rms[4] > 1.25 * max(rms[0], rms[8])


def test_preferences_are_stable_and_opposite():
    n = 4000
    quality, lean = np.full(n, 2.0), np.full(n, 1.5)
    grades = redraws(quality, lean, range(n), seed=0, n_draws=0)[0].mean(axis=0)
    # standard error 0.006
    assert grades == pytest.approx([2 + 1.5 * LEAN, 2 + 1.5 * LEAN, 2 - 1.5 * LEAN], abs=0.03)


def test_grades_are_halves_within_the_scale():
    grades = redraws(np.linspace(-1, 5, 300), np.zeros(300), range(300), seed=1, n_draws=5)
    assert set(np.unique(grades)) == set(GRADES)
    assert not np.signbit(grades).any()


def test_half_way_goes_to_the_even_half():
    silent = np.zeros((1, 3))
    for quality, expected in ((0.25, 0.0), (0.75, 1.0), (1.25, 1.0), (3.75, 4.0)):
        assert set(grades_of(np.array([quality]), np.zeros(1), silent)[0]) == {expected}


def test_more_patients_leave_the_readings_of_others_alone():
    quality, lean = database(20), np.zeros(20)
    few = redraws(quality[:10], lean[:10], range(1, 11), seed=4, n_draws=3)
    many = redraws(quality, lean, range(1, 21), seed=4, n_draws=3)
    assert np.array_equal(many[:, :10], few)
    assert not np.array_equal(many, redraws(quality, lean, range(1, 21), seed=5, n_draws=3))


def test_draw_zero_is_what_read_returns():
    sharpness, cleanliness = 61.0, -0.15
    lean = PREFERENCE.leaning(np.array([sharpness]), np.array([cleanliness]))
    one = read(2.2, sharpness, cleanliness, reader_rng(9, 7), PREFERENCE)
    drawn = redraws(np.array([2.2]), lean, [7], seed=9, n_draws=2)[0, 0]
    assert drawn.tolist() == [one.reader1a, one.reader1b, one.reader2]


def test_leaning_is_standardised_on_the_patients_it_was_fitted_to(rng):
    quality = rng.uniform(0, 4, 500)
    sharpness = 12 * quality + rng.normal(0, 6, 500)
    cleanliness = 0.1 * quality + rng.normal(0, 0.08, 500)
    lean = Preference.fit(sharpness, cleanliness).leaning(sharpness, cleanliness)
    assert lean.mean() == pytest.approx(0, abs=0.02)
    assert lean.std() == pytest.approx(1, abs=0.03)  # limited to +-2.5
    assert np.abs(lean).max() <= 2.5


@pytest.mark.parametrize(("quality", "lean"), [(np.nan, 0.0), (2.0, np.inf)])
def test_what_is_not_finite_is_refused(quality, lean):
    with pytest.raises(ShapeError, match="finite"):
        grades_of(np.array([quality]), np.array([lean]), np.zeros((1, 3)))


def test_scores_that_do_not_vary_are_refused():
    with pytest.raises(ShapeError, match="vary"):
        Preference.fit(np.ones(5), np.arange(5.0))
    with pytest.raises(ShapeError, match="same of every image"):
        Preference.fit(np.arange(5.0), np.arange(5.0))
