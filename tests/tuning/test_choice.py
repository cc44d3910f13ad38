"""The choice cannot be gamed: bounds, ties, domain, and no look at the truth."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from csiq.errors import ModelError
from csiq.tuning import LEAST_DIFFERENCE, Point, Sweep, choose, truth_of
from tests.tuning.points import LAMDAS, point, sweep_of


def test_a_flat_grader_leaves_the_weight_of_the_configuration():
    choice = choose(sweep_of([2.0] * 7))
    assert choice.lamda == choice.best == choice.home == 0.02
    assert choice.top_set == LAMDAS
    assert (choice.at_edge, choice.warnings) == (None, ())
    assert "configuration's own weight is graded best" in choice.why


def test_a_difference_that_no_reader_sees_moves_nothing():
    """0.24 at the far end: below the paper's 0.25."""
    choice = choose(sweep_of([2.0, 2.04, 2.08, 2.12, 2.16, 2.2, 2.36]))
    assert choice.best == 0.2
    assert choice.lamda == 0.02
    assert choice.warnings == ()
    assert "no weight is better than 0.02 by what a reader would see" in choice.why


def test_nor_does_one_below_the_error_of_the_grades():
    """Calibrated errors of 0.5 of one scan go together by a half: the difference has an SD of 0.5."""
    grades = [1.0, 1.0, 1.0, 1.0, 1.1, 1.4, 1.0]
    sure = choose(sweep_of(grades, uncertainties=(0.1,) * 4))
    unsure = choose(sweep_of(grades, uncertainties=(0.5,) * 4))
    assert sure.lamda == 0.093
    assert unsure.lamda == 0.02


def test_of_those_not_told_apart_the_nearest_to_the_configuration_is_taken():
    right = choose(sweep_of([1.0, 1.0, 1.0, 1.0, 1.5, 1.7, 1.6]))
    assert (right.best, right.lamda, right.at_edge) == (0.093, 0.043, None)
    assert right.top_set == (0.043, 0.093, 0.2)
    left = choose(sweep_of([1.6, 1.7, 1.5, 1.0, 1.0, 1.0, 1.0]))
    assert (left.best, left.lamda) == (0.0043, 0.0093)
    for choice in (left, right):
        assert "nearest to the configuration's 0.02" in choice.why


@pytest.mark.parametrize(("sign", "end", "edge"), [(1, 0.2, "high"), (-1, 0.002, "low")])
def test_a_grade_that_only_rises_ends_at_a_bound_and_says_so(sign, end, edge):
    choice = choose(sweep_of([2.0 + 0.3 * sign * (k - 3) for k in range(7)]))
    assert (choice.lamda, choice.at_edge, choice.best_at_edge) == (end, edge, edge)
    assert "a bound, not an optimum" in choice.warnings[0]
    assert choice.as_json()["at_edge"] == edge


def test_a_best_at_the_end_is_told_even_if_another_is_advised():
    choice = choose(sweep_of([1.0, 1.0, 1.0, 1.0, 1.1, 1.24, 1.35]))
    assert (choice.best, choice.lamda, choice.at_edge) == (0.2, 0.093, None)
    assert "greatest weight that was allowed, a bound" in choice.warnings[0]


def test_phases_that_became_one_image_are_left_out_however_well_graded():
    sweep = sweep_of([1.0, 1.0, 1.0, 1.0, 1.1, 1.4, 3.9])
    home = sweep.at(0.02).phase_difference
    for share, left_out in ((0.9 * LEAST_DIFFERENCE, True), (1.1 * LEAST_DIFFERENCE, False)):
        last = replace(sweep.points[-1], phase_difference=share * home)
        choice = choose(Sweep((*sweep.points[:-1], last), 0.02))
        assert (0.2 in choice.excluded) == left_out
        assert choice.lamda == (0.093 if left_out else 0.2)
        # the end of what was left is a bound, too
        assert choice.at_edge == "high"
    assert choice.bounds == (0.002, 0.2)


def test_outside_the_domain_counts_only_where_nothing_is_inside():
    inside = sweep_of([1.0, 1.0, 1.0, 1.0, 1.1, 1.6, 1.2])
    stranger = replace(inside.points[5], in_domain=False)
    choice = choose(Sweep((*inside.points[:5], stranger, inside.points[6]), 0.02))
    assert choice.lamda == 0.02
    assert "outside the training domain" in choice.excluded[0.093]
    assert choose(sweep_of([1.0, 1.0, 1.0, 1.0, 1.1, 1.6, 1.2], in_domain=False)).lamda == 0.093


def test_what_failed_or_has_no_grade_is_left_out():
    sweep = sweep_of([1.0, 1.0, 1.0, 1.0, math.nan, 3.0, 1.0])
    broken = replace(sweep.points[5], stop_reason="nan")
    choice = choose(Sweep((*sweep.points[:5], broken, sweep.points[6]), 0.02))
    assert choice.lamda == 0.02
    assert choice.excluded == {0.043: "a phase has no grade", 0.093: "the cost was not finite"}


def test_without_any_grade_there_is_no_choice():
    with pytest.raises(ModelError, match="no weight has a grade") as error:
        choose(sweep_of([math.nan] * 7))
    assert error.value.exit_code == 4


def test_the_truth_is_told_and_never_chosen_by():
    plain = sweep_of([1.0, 1.0, 1.0, 1.0, 1.5, 1.7, 1.4])
    errors, qualities = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7), (3, 2.5, 2, 1.5, 1, 0.5, 0)
    told = [
        replace(p, nrmse=(e,) * 4, reference=(q,) * 4)
        for p, e, q in zip(plain.points, errors, qualities, strict=True)
    ]
    known = Sweep(tuple(told), 0.02)
    choice = choose(known)
    assert replace(choice, compared=None) == replace(choose(plain), compared=None)
    found = truth_of(known, choice)
    assert (found["nrmse_best_lamda"], found["reference_best_lamda"]) == (0.002, 0.002)
    assert math.isclose(found["nrmse_lost"], 0.5 / 0.1 - 1)
    assert math.isclose(found["reference_lost"], 2.0)
    assert truth_of(plain, choose(plain)) is None


def test_a_point_comes_back_from_its_file():
    made = point(0.043, 1.5, nrmse=(0.1, 0.2, 0.3, math.nan), uncertainties=(0.2,) * 4)
    back = Point.from_json({**made.as_json(), "nrmse": [0.1, 0.2, 0.3, None]})
    assert back.nrmse[:3] == made.nrmse[:3]
    assert math.isnan(back.nrmse[3])
    assert replace(back, nrmse=()) == replace(made, nrmse=())
