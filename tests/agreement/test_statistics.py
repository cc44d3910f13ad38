"""Errors by grade, at the ends, against a consensus; and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from csiq.agreement import (
    agreement_counts,
    anti_bias_l1,
    bland_altman,
    compare_readers,
    consensus_error,
    errors_at_ends,
    intraclass_correlation,
    krippendorff_alpha,
    linear_fit,
    mae,
    paired_tests,
    spearman,
    variability_per_grade,
    weighted_kappa,
)
from csiq.errors import ConfigError, ShapeError

NAN = math.nan


def test_anti_bias_l1_gives_every_grade_the_same_weight():
    grades = [0, 0, 0, 0, 2, 4]
    predicted = [0.1, 0.1, 0.1, 0.1, 3, 4]
    assert anti_bias_l1(predicted, grades) == pytest.approx((0.1 + 1 + 0) / 3)
    assert mae(predicted, grades) == pytest.approx((4 * 0.1 + 1 + 0) / 6)
    # a reference between halves counts with the nearest, at its own distance
    assert anti_bias_l1([1, 1, 2], [0.9, 1.2, 2.5]) == pytest.approx(((0.1 + 0.2) / 2 + 0.5) / 2)
    assert math.isnan(anti_bias_l1([1, NAN], [NAN, 1]))


def test_variability_and_bias_of_each_grade():
    found = variability_per_grade([1, 2, 1.5, 4, 0], [1, 1, 1, 3.5, NAN])
    assert found.n.tolist() == [0, 0, 3, 0, 0, 0, 0, 1, 0]
    assert found.mean[2] == pytest.approx(0.5)
    assert found.sd[2] == pytest.approx(0.5)
    assert found.bias[2] == pytest.approx(0.5)
    assert (found.mean[7], found.bias[7]) == (0.5, 0.5)
    assert np.isnan([found.sd[7], found.mean[0], found.bias[0]]).all()


def test_ends_of_the_scale():
    reference = np.array([0, 0.5, 2, 3.5, 4, 1])
    found = errors_at_ends(0.8 * reference + 0.4, reference)
    assert (found.n_low, found.n_high) == (2, 2)
    assert found.low == pytest.approx(0.35)
    assert found.high == pytest.approx(-0.35)
    assert found.slope == pytest.approx(0.8)


def test_error_against_consensus_and_where_readers_disagree():
    one, two = np.array([1, 2, 3, 0.0, NAN]), np.array([1, 3, 3.5, 2.0, 1])
    apart = np.array([0, 1, 0.5, 2])
    error = np.array([1, -1, 1, -1]) * (0.1 * apart + 0.05)
    predicted = np.array([1, 2.5, 3.25, 1, 4]) + np.append(error, 0)
    found = consensus_error(predicted, one, two)
    assert found.n == 4
    assert (found.spearman, found.pearson) == (pytest.approx(1), pytest.approx(1))
    assert (found.bias, found.sd) == (pytest.approx(error.mean()), pytest.approx(error.std(ddof=1)))
    assert (found.mae, found.rmse) == (
        pytest.approx(np.abs(error).mean()),
        pytest.approx(math.sqrt(np.mean(error**2))),
    )


def test_pairs_come_in_the_order_of_the_columns():
    columns = {"1a": [0, 1, 2], "1b": [0, 1, 3], "2": [NAN, 1, 2.5]}
    found = compare_readers(columns, level="nominal", labels="used")
    assert [(p.a, p.b, p.n) for p in found] == [("1a", "1b", 3), ("1a", "2", 2), ("1b", "2", 2)]
    assert found[0].bias == pytest.approx(-1 / 3)
    assert found[0].kappa == weighted_kappa(columns["1a"], columns["1b"], labels="used")
    keys = ["a", "b", "n", "kappa", "alpha", "alpha_level", "spearman", "bias", "sd", "mae", "rmse"]
    assert list(found[0].as_dict()) == keys
    assert found[0].alpha_level == "nominal"


def test_kappa_rounds_and_clips_and_alpha_does_not():
    rough = [0.25, 0.75, 4.6, -0.3]
    assert weighted_kappa(rough, [0, 1, 4, 0]) == 1.0
    assert krippendorff_alpha([rough, [0, 1, 4, 0]]) < 1
    assert np.trace(agreement_counts(rough, [0, 1, 4, 0])) == 4


def test_what_is_undefined_is_nan():
    constant = [0.1] * 7  # its mean is not 0.1 to the bit
    assert math.isnan(weighted_kappa(constant, constant))
    for level in ("nominal", "ordinal", "interval", "ratio"):
        assert math.isnan(krippendorff_alpha([constant, constant], level)), level
        assert math.isnan(krippendorff_alpha([[1, NAN], [NAN, 2]], level)), level
    assert math.isnan(spearman(constant, range(7)))
    assert math.isnan(linear_fit(constant, range(7)).slope)
    assert linear_fit(range(7), constant).slope == 0
    assert math.isnan(intraclass_correlation([constant, constant]))
    nothing = bland_altman([], [])
    assert nothing.n == 0
    assert math.isnan(nothing.bias)
    empty = paired_tests([1.0, 2.0], [1.0, 2.0])
    assert math.isnan(empty.t)
    assert math.isnan(empty.v_p)


@pytest.mark.parametrize("level", ["interval", "ordinal"])
def test_alpha_of_a_lone_rating_leaves_it_out(level):
    whole = krippendorff_alpha([[1, 2, 3, 4], [1, 2.5, 3, NAN]], level)
    assert whole == krippendorff_alpha([[1, 2, 3], [1, 2.5, 3]], level)


def test_intraclass_correlation_leaves_incomplete_units_out():
    ratings = [[1, 2, 3, 4], [1, 2.5, 3, NAN], [2, 2, 3, 1]]
    assert intraclass_correlation(ratings) == pytest.approx(
        intraclass_correlation(np.array(ratings)[:, :3]), abs=1e-12
    )


def test_what_is_refused():
    with pytest.raises(ShapeError, match="same patients"):
        weighted_kappa([1, 2, 3], [1])
    with pytest.raises(ShapeError, match="same patients"):
        bland_altman(1.0, 2.0)
    with pytest.raises(ShapeError, match="do not fit"):
        spearman(np.zeros((2, 5)), np.zeros((3, 5)))
    with pytest.raises(ShapeError, match="infinite"):
        mae([1, math.inf], [1, 2])
    with pytest.raises(ShapeError, match="infinite"):
        krippendorff_alpha([[1, math.inf], [1, 2]])
    with pytest.raises(ShapeError, match="n_raters"):
        krippendorff_alpha([1, 2])
    with pytest.raises(ShapeError, match="0 and more"):
        krippendorff_alpha([[1, -1], [1, 2]], "ratio")
    with pytest.raises(ConfigError, match="did you mean 'interval'"):
        krippendorff_alpha([[1, 2], [1, 2]], "intervall")
    with pytest.raises(ShapeError, match="two raters"):
        intraclass_correlation([[1, 2, 3]])
    with pytest.raises(ShapeError, match="n_patients"):
        paired_tests([[1, 2]], [[1, 2]])
