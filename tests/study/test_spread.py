"""Means, intervals and tests of a study against SciPy and published corrections."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from csiq.study.spread import exact_interval, holm, holm_tests, ratio_of_sums, share, spread


def test_spread_is_that_of_all_values(rng):
    values = rng.normal(2, 1, (30, 4))
    values[3, 1] = np.nan
    found = spread(values)
    known = values[np.isfinite(values)]
    assert found.n == 119
    assert found.mean == pytest.approx(known.mean())
    assert found.sd == pytest.approx(known.std(ddof=1))
    assert (found.least, found.most) == (known.min(), known.max())


def test_interval_draws_scans_not_images(rng):
    # four equal images of a scan say no more than one
    scans = rng.normal(0, 1, (40, 1))
    one, four = spread(scans), spread(np.repeat(scans, 4, axis=1))
    assert (one.low, one.high) == pytest.approx((four.low, four.high))
    # percentile bootstrap and normal theory: within 15 % of the width for 40 scans, 2000 draws
    width = 2 * stats.norm.ppf(0.95) * scans.std(ddof=1) / math.sqrt(40)
    assert one.high - one.low == pytest.approx(width, rel=0.15)


def test_spread_of_nothing_is_not_a_number():
    found = spread(np.full((3, 2), np.nan))
    assert found.n == 0
    assert math.isnan(found.mean)


def test_share_counts_among_cases():
    right = np.array([[True, True], [False, True]])
    among = np.array([[True, False], [True, True]])
    found = share(right, among)
    assert (found.right, found.of, found.share) == (2, 3, pytest.approx(2 / 3))
    assert 0 <= found.low <= found.share <= found.high <= 1


def test_a_share_of_all_is_as_sure_as_its_scans():
    # 1 - 0.05^(1/15): what one error in 15 scans could have been missed by, not the 60 phases in them
    every = share(np.ones((15, 4), bool))
    assert (every.share, every.high) == (1, 1)
    assert every.low == pytest.approx(0.05 ** (1 / 15))
    none = share(np.zeros((15, 4), bool))
    assert (none.low, none.high) == (0, pytest.approx(1 - 0.05 ** (1 / 15)))
    # scans without a case say nothing
    among = np.zeros((15, 4), bool)
    among[:6, 0] = True
    assert share(np.ones((15, 4), bool), among).low == pytest.approx(0.05 ** (1 / 6))
    assert math.isnan(share(np.ones((1, 4), bool)).low)
    assert math.isnan(share(np.ones((15, 4), bool), np.zeros((15, 4), bool)).low)


@pytest.mark.parametrize(("right", "of"), [(39, 69), (21, 21), (0, 5)])
def test_exact_interval_is_that_of_scipy(right, of):
    found = stats.binomtest(right, of).proportion_ci(0.90, method="exact")
    assert exact_interval(right, of) == pytest.approx((found.low, found.high))


def test_ratio_of_sums_without_cases_is_not_a_number():
    assert math.isnan(float(ratio_of_sums(np.zeros(3), np.zeros(3))))


def test_holm_is_that_of_r():
    # p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") in R; Holm 1979
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    corrected = holm([math.nan, 0.02])
    assert math.isnan(corrected[0])
    assert corrected[1] == 0.02


def test_paired_tests_are_those_of_scipy(rng):
    a = rng.normal(0.4, 1, 25)
    b, c = np.zeros(25), rng.normal(0, 1, 25)
    found = holm_tests([("a b", a, b), ("a c", a, c)])
    t = [stats.ttest_rel(a, other).pvalue for other in (b, c)]
    v = [stats.wilcoxon(a - other, method="exact").pvalue for other in (b, c)]
    assert [one.t_p for one in found] == pytest.approx(t)
    assert [one.v_p for one in found] == pytest.approx(v)
    first, last = sorted(range(2), key=lambda i: t[i])
    assert found[first].t_holm == pytest.approx(2 * t[first])
    assert found[last].t_holm == pytest.approx(max(2 * t[first], t[last]))
    assert found[0].mean == pytest.approx(a.mean())
