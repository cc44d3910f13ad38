"""What must hold for any two readers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csiq.agreement import (
    HALVES,
    agreement_counts,
    anti_bias_l1,
    bland_altman,
    bootstrap_interval,
    compare_pair,
    consensus_error,
    krippendorff_alpha,
    mae,
    pearson_r2,
    rmse,
    round_to_halves,
    spearman,
    variability_per_grade,
    weighted_kappa,
)

grade = st.sampled_from(HALVES.tolist())
continuous = st.integers(-50, 450).map(lambda hundredths: hundredths / 100)
positive = st.integers(50, 350).map(lambda hundredths: hundredths / 100)
maybe = st.one_of(continuous, st.just(math.nan))
pairs = st.lists(st.tuples(maybe, maybe), min_size=1, max_size=40).map(lambda rows: np.array(rows).T)
fast = settings(max_examples=60, deadline=None, derandomize=True)


def same(a, b):
    return a == pytest.approx(b, abs=1e-9, nan_ok=True)


@fast
@given(pairs)
def test_who_is_named_first_changes_signs_only(columns):
    one, other = compare_pair(*columns), compare_pair(*columns[::-1])
    assert one.n == other.n
    assert same(one.bias, -other.bias)
    for name in ("kappa", "alpha", "spearman", "sd", "mae", "rmse"):
        assert same(getattr(one, name), getattr(other, name)), name
    assert agreement_counts(*columns).tolist() == agreement_counts(*columns[::-1]).T.tolist()
    assert same(
        weighted_kappa(*columns, labels="used"),
        weighted_kappa(*columns[::-1], labels="used"),
    )


@fast
@given(st.lists(grade, min_size=1, max_size=30))
def test_identical_readers_agree_perfectly_or_it_cannot_be_said(column):
    pair = compare_pair(column, column)
    assert (pair.bias, pair.mae, pair.rmse) == (0, 0, 0)
    for value in (pair.kappa, pair.alpha, pair.spearman):
        assert same(value, 1.0 if len(set(column)) > 1 else math.nan)


@fast
@given(pairs)
def test_square_error_is_bias_and_spread(columns):
    found = bland_altman(*columns)
    if found.n > 1:
        assert rmse(*columns) ** 2 == pytest.approx(
            found.bias**2 + found.sd**2 * (found.n - 1) / found.n, abs=1e-9
        )
        assert mae(*columns) <= rmse(*columns) + 1e-12
    assert math.isnan(found.sd) == (found.n < 2)
    assert math.isnan(found.bias) == (found.n < 1)


@fast
@given(pairs)
def test_missing_grades_are_as_if_not_listed(columns):
    there = ~np.isnan(columns).any(axis=0)
    if there.any():
        whole, short = compare_pair(*columns), compare_pair(*columns[:, there])
        for name, value in short.as_dict().items():
            assert getattr(whole, name) == pytest.approx(value, abs=1e-12, nan_ok=True), name


@fast
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=20))
def test_rounding_is_to_the_nearest_half_and_to_the_even_one(values):
    found = round_to_halves(values)
    inside = np.clip(values, 0, 4)
    assert np.isin(found, HALVES).all()
    assert (np.abs(found - inside) <= 0.25).all()
    midway = np.abs(found - inside) == 0.25
    assert ((2 * found[midway]) % 2 == 0).all()


def test_rounding_of_what_is_midway():
    assert round_to_halves([0.25, 0.75, 1.25, 1.75, 3.75, 4.25, -0.25, math.nan]).tolist()[:-1] == (
        [0.0, 1.0, 1.0, 2.0, 4.0, 4.0, 0.0]
    )
    assert not np.signbit(round_to_halves([-0.25, -0.1])).any()


@fast
@given(st.lists(st.tuples(*[positive] * 3, maybe), min_size=3, max_size=20), st.integers(1, 4))
def test_stacks_are_rows_one_by_one(rows, repeat):
    p, a, b, _ = np.array(rows).T
    gaps = np.where(np.isnan(np.array(rows)[:, 3]), np.nan, b)
    stack = np.stack([np.roll(gaps, shift) for shift in range(repeat)])
    for statistic in (
        weighted_kappa,
        spearman,
        pearson_r2,
        rmse,
        anti_bias_l1,
        lambda x, y: weighted_kappa(x, y, labels="used"),
        lambda x, y: bland_altman(x, y).sd,
        lambda x, y: variability_per_grade(x, y).mean[..., 3],
        lambda x, y: consensus_error(p, x, y).pearson,
        lambda x, y: krippendorff_alpha(np.stack(np.broadcast_arrays(x, y), -2), "ordinal"),
        lambda x, y: krippendorff_alpha(np.stack(np.broadcast_arrays(x, y), -2), "ratio"),
    ):
        found = statistic(a, stack)
        assert found.shape == (repeat,)
        assert found == pytest.approx([float(statistic(a, row)) for row in stack], abs=1e-9, nan_ok=True)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.integers(30, 80))
def test_an_interval_holds_the_estimate(seed, n):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 4, n)
    a, b = (round_to_halves(truth + 0.5 * rng.standard_normal(n)) for _ in range(2))
    for statistic in (rmse, spearman, lambda x, y: bland_altman(x, y).bias):
        low, high = bootstrap_interval(statistic, a, b, n=300)
        assert low <= statistic(a, b) <= high
