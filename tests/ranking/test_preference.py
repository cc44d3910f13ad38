"""What a reader would say: against readers who are played, and against the published study they come from."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csiq.ranking.preference import (
    CALIBRATION,
    CORRELATION,
    PATCHES,
    SIDE_BY_SIDE,
    TWO_SCANS,
    GradeError,
    Reader,
    difference_sd,
    error_from,
    error_of,
    preference,
    probability_below,
)

many = settings(max_examples=150, deadline=None)
differences = st.floats(-4, 4)
spreads = st.floats(0, 1)

#: Pairs of Figure E5 beyond 0.25, in all of which the reader preferred the better one.
AGREED = 21
#: Best minus worst phase in the paper: mean, SD, range.
SPAN = (0.4, 0.3, 0.1, 1.4)


def calibrated(sd: float) -> GradeError:
    return GradeError(sd, CALIBRATION)


@pytest.mark.parametrize("difference", [-0.6, -0.25, 0.0, 0.1, 0.3, 0.8])
@pytest.mark.parametrize(("sd_a", "sd_b"), [(0.25, 0.25), (0.1, 0.4), (0.0, 0.0)])
def test_readers_who_are_played_say_the_same(difference, sd_a, sd_b, rng):
    # true grades about the given ones with correlated errors, a reader's own noise, a threshold: no formula
    n = 200_000
    errors = rng.multivariate_normal(
        [0, 0], [[sd_a**2, CORRELATION * sd_a * sd_b], [CORRELATION * sd_a * sd_b, sd_b**2]], n, method="eigh"
    )
    true = difference + errors[:, 0] - errors[:, 1]
    seen = true + rng.normal(0, SIDE_BY_SIDE.noise, n)
    played = [np.mean(seen >= 0.25), np.mean(np.abs(seen) < 0.25), np.mean(seen <= -0.25)]
    said = preference(difference, difference_sd(calibrated(sd_a), calibrated(sd_b)))
    # 4.5 standard errors of a share of 200 000: 0.005
    assert list(said) == pytest.approx(played, abs=0.005)


def test_two_scans_are_read_apart(rng):
    n = 200_000
    seen = 0.4 + rng.normal(0, 0.2, n) - rng.normal(0, 0.3, n) + rng.normal(0, TWO_SCANS.noise, n)
    sd = difference_sd(calibrated(0.2), calibrated(0.3), same_scan=False)
    assert preference(0.4, sd, TWO_SCANS).a == pytest.approx(np.mean(seen >= 0.25), abs=0.005)


@many
@given(differences, spreads, spreads)
def test_probabilities_add_up_and_turn_with_the_pair(difference, sd, noise):
    reader = Reader(noise)
    there, back = preference(difference, sd, reader), preference(-difference, sd, reader)
    assert sum(there) == pytest.approx(1, abs=1e-12)
    assert min(there) >= 0
    assert (there.a, there.equal, there.b) == (back.b, back.equal, back.a)


@many
@given(differences, differences, spreads)
def test_a_better_grade_is_preferred_more_often(one, other, sd):
    low, high = sorted((one, other))
    assert preference(high, sd).a >= preference(low, sd).a
    assert preference(high, sd).b <= preference(low, sd).b


def test_no_difference_leaves_both_alike():
    said = preference(0.0, 0.3)
    assert said.a == said.b
    assert said.a == pytest.approx(0.5 * math.erfc(0.25 / math.hypot(0.3, 0.1) / math.sqrt(2)))
    # at the threshold itself the odds are even, whatever the noise
    assert preference(0.25, 0.3).a == 0.5


def test_without_any_noise_it_is_the_verdict():
    reader = Reader(0.0)
    assert preference(0.2499, 0.0, reader) == (0, 1, 0)
    assert preference(0.25, 0.0, reader) == (1, 0, 0)
    assert preference(-0.25, 0.0, reader) == (0, 0, 1)


def test_a_calibrated_error_goes_before_that_of_the_patches():
    found = SimpleNamespace(grade=2.0, grade_sd=0.36, uncertainty=0.3, in_domain=True)
    assert error_of(found) == GradeError(0.3, CALIBRATION)
    assert error_of(SimpleNamespace(grade=2.0, grade_sd=0.36)) == GradeError(0.36 / math.sqrt(18), PATCHES)


def test_nothing_is_known_outside_the_domain_or_without_a_spread():
    unknown = GradeError(None, None)
    assert error_from(0.3, 0.2, in_domain=False) == unknown
    assert error_from(math.nan) == unknown
    assert error_from(math.nan, math.nan) == unknown
    assert difference_sd(unknown, calibrated(0.2)) is None


def test_errors_go_together_within_a_scan_only_and_only_if_calibrated():
    a, b = calibrated(0.3), calibrated(0.4)
    assert difference_sd(a, b) == pytest.approx(math.sqrt(0.25 - 2 * CORRELATION * 0.12))
    assert difference_sd(a, b, same_scan=False) == pytest.approx(0.5)
    assert difference_sd(GradeError(0.3, PATCHES), b) == pytest.approx(0.5)
    # no rounding below zero: the same error twice, nearly cancelled
    assert difference_sd(a, a) == pytest.approx(0.3 * math.sqrt(2 * (1 - CORRELATION)))


# ---------------------------------------------------------------- where the reader's noise comes from


def excess(rng: np.random.Generator) -> np.ndarray:
    """How far differences of phases lie beyond 0.25, by what the paper says of best and worst."""
    mean, sd, least, most = SPAN
    span = rng.gamma((mean / sd) ** 2, sd**2 / mean, 400_000)
    span = span[(span >= least) & (span <= most)]
    between = rng.random((2, span.size)) * span
    phases = np.stack([span, np.zeros(span.size), *between])
    pairs = np.abs(phases[[0, 0, 0, 1, 1, 2]] - phases[[1, 2, 3, 2, 3, 3]]).ravel()
    return pairs[pairs > 0.25] - 0.25


def test_the_readers_noise_is_the_largest_that_figure_e5_allows(rng):
    beyond = excess(rng)
    assert beyond.mean() == pytest.approx(0.23, abs=0.01)

    def chance_of_21(noise: float) -> float:
        seen = beyond + rng.normal(0, noise, beyond.size)
        return float(np.mean(seen >= 0)) ** AGREED

    # 5 % at 0.10; the paper's study would be a rare one with half as much again, a common one with half
    assert chance_of_21(SIDE_BY_SIDE.noise) == pytest.approx(0.05, abs=0.015)
    assert chance_of_21(1.5 * SIDE_BY_SIDE.noise) < 0.015
    assert chance_of_21(0.5 * SIDE_BY_SIDE.noise) > 0.15


def test_the_noise_between_scans_gives_the_papers_differences_of_two_readings(rng):
    # Table 2: 0.01 +- 0.50, readings in halves; true grades anywhere
    true = rng.uniform(1, 3, 200_000)
    one, two = (
        np.round(2 * (true + rng.normal(0, TWO_SCANS.noise / math.sqrt(2), true.size))) / 2 for _ in range(2)
    )
    # both 0.50 and 0.46 are rounded to two digits
    assert (one - two).std() == pytest.approx(0.50, abs=0.01)


def test_a_reader_of_half_grades_sees_a_quarter_in_half_of_the_cases(rng):
    one = rng.uniform(0, 4, 100_000)
    seen = np.round(2 * (one + 0.25)) > np.round(2 * one)
    assert seen.mean() == pytest.approx(0.5, abs=0.01)


# ---------------------------------------------------------------- a single grade


def test_the_probability_of_being_below(rng):
    true = 1.8 + rng.normal(0, 0.3, 200_000)
    assert probability_below(1.8, 0.3, 2.0) == pytest.approx(np.mean(true < 2.0), abs=0.005)
    assert probability_below(2.0, 0.3, 2.0) == 0.5
    assert probability_below(2.0, 0.0, 2.0) == 0.0
    assert probability_below(1.9, 0.0, 2.0) == 1.0
