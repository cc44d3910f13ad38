"""Order within a patient: found where it is, missed where it is not, and nothing left out quietly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from csiq.quality.vessel_distance import coronary_distance
from csiq.trust.mechanisms import MECHANISMS, ORDERING
from csiq.trust.ordering import LEAST_LEVELS, SPENT, Level, grade_levels, make_levels, order_of, ordering_of
from tests.trust.scanned_tubes import truth, tubes

VOXEL = (1.0, 1.0, 1.0)
AWAY = coronary_distance(truth().volume, truth())


def rows_of(grades: list[float], case: str = "a", mechanism: str = "blur") -> list[dict[str, object]]:
    return [
        {"case": case, "mechanism": mechanism, "level": float(n), "grade": g} for n, g in enumerate(grades)
    ]


def sharpness(volume: np.ndarray, voxel_size: object) -> float:
    """Return a grade that sees how bright vessels are before what lies 3 mm around them, and no more."""
    return float(4 * (volume[AWAY < -1].mean() - volume[(AWAY > 2) & (AWAY < 4)].mean()))


def cleanliness(volume: np.ndarray, voxel_size: object) -> float:
    """Return a grade that sees noise in the empty corner, and no more."""
    return float(4 - 20 * volume[:6, :6].std() / np.quantile(volume, 0.99))


def test_falling_grades_pass_and_rising_ones_fail() -> None:
    falling = rows_of([4, 3.5, 3, 2.5, 2, 1.5, 1, 0.5])
    found = ordering_of([*falling, *rows_of([3, 2.9, 2.7, 2.5, 2.3, 2.1, 2, 1.9], "b")])["blur"]
    assert (found.median, found.worst, found.n_judged, found.n_left_out) == (-1.0, -1.0, 2, 0)
    assert found.passed
    rising = rows_of([1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.4], "b")
    assert not ordering_of([*falling, *rising])["blur"].passed


def test_one_bad_patient_is_enough_to_fail() -> None:
    good = [row for case in "abcd" for row in rows_of([4, 3.5, 3, 2.5, 2, 1.5, 1, 0.5], case)]
    poor = rows_of([2, 3, 1, 4, 0.9, 0.6, 0.7, 0.8], "e")
    found = ordering_of([*good, *poor])["blur"]
    assert found.median == -1.0
    assert found.worst == pytest.approx(spearmanr(range(8), [2, 3, 1, 4, 0.9, 0.6, 0.7, 0.8])[0])
    assert found.worst > -0.8
    assert not found.passed


def test_a_grade_that_does_not_follow_has_no_order() -> None:
    order = order_of(rows_of([2.0] * 8))
    assert order.rho == order.rho_all == 0.0
    assert not ordering_of(rows_of([2.0] * 8))["blur"].passed
    assert order_of(rows_of([4, 3, float("nan"), 2, 1, 0.9, 0.8, 0.7])).rho == 0.0


def test_only_hopeless_levels_at_the_harsh_end_are_left_out() -> None:
    floor = order_of(rows_of([3, 2.5, 2, 1.5, 1, 0.5, 0.1, 0.2]))
    assert (floor.rho, floor.n_levels, floor.n_spent) == (-1.0, 6, 2)
    assert floor.rho_all > -1.0  # and it is told
    dip = order_of(rows_of([3, 0.1, 2.5, 2, 1.5, 1, 0.8, 0.5]))
    assert (dip.n_levels, dip.n_spent) == (8, 0)
    assert dip.rho > -0.8
    ends_in_nothing = order_of(rows_of([3, 2.5, 2, 1.5, 1, 0.5, 0.4, float("nan")]))
    assert (ends_in_nothing.n_spent, ends_in_nothing.rho) == (0, 0.0)


def test_cases_without_enough_levels_are_counted_and_do_not_pass() -> None:
    hopeless = [g for case in "abc" for g in rows_of([0.5, 0.2, 0.1, 0.1, 0.1, 0.0, 0.0, 0.0], case)]
    found = ordering_of(hopeless)["blur"]
    assert (found.n_judged, found.n_left_out, found.n_spent) == (0, 3, 21)
    assert not found.passed
    assert np.isnan(found.median)
    assert not order_of(hopeless[:8]).judged
    assert SPENT == 0.3
    assert LEAST_LEVELS == 6


def test_level_order_does_not_depend_on_the_order_of_rows(rng: np.random.Generator) -> None:
    rows = rows_of([4, 3.5, 3, 2.5, 2, 1.5, 1, 0.5])
    mixed = [rows[i] for i in rng.permutation(8)]
    assert order_of(mixed) == order_of(rows)


@pytest.fixture(scope="module")
def levels() -> dict[str, list[Level]]:
    """Return a small case at all levels of what grades have to follow."""
    case = tubes()
    return {name: list(make_levels(case, MECHANISMS[name], formula=False)) for name in ORDERING}


def test_each_mechanism_makes_what_it_says_worse(levels: dict[str, list[Level]]) -> None:
    for name, grader in (("blur", sharpness), ("motion", sharpness), ("noise", cleanliness)):
        assert order_of(grade_levels(grader, levels[name])).rho_all <= -0.95, name
    assert order_of(grade_levels(cleanliness, levels["undersampling"])).rho_all <= -0.85  # pixels of noise


def test_a_grader_blind_to_motion_is_caught(levels: dict[str, list[Level]]) -> None:
    """Neither a constant is an order, nor a grade that trembles, nor one that falls by next to nothing."""
    trembling = ordering_of(grade_levels(lambda v, size: 2 + np.sin(1e3 * v.sum()), levels["motion"]))
    assert not trembling["motion"].passed
    brightness = ordering_of(grade_levels(lambda v, size: 2 + 0.01 * sharpness(v, size), levels["motion"]))
    assert brightness["motion"].median <= -0.95
    assert not brightness["motion"].passed
    blind = ordering_of(grade_levels(lambda volume, size: 2.0, levels["motion"]))["motion"]
    assert (blind.median, blind.passed) == (0.0, False)


def test_one_thing_at_a_time(levels: dict[str, list[Level]]) -> None:
    first = {name: found[0].volume for name, found in levels.items()}
    for name in ORDERING:
        np.testing.assert_allclose(first[name], first["blur"], atol=2e-3)
    sharp = {name: np.ptp([sharpness(one.volume, VOXEL) for one in found]) for name, found in levels.items()}
    assert sharp["noise"] < 0.2 * min(sharp["blur"], sharp["motion"])


def test_rows_say_what_the_formulas_make_of_an_image() -> None:
    mechanism = replace(MECHANISMS["noise"], levels=(1, 6, 12))
    rows = grade_levels(lambda volume, size: (3.0, 0.1), make_levels(tubes(), mechanism))
    assert [row["level"] for row in rows] == list(mechanism.levels)
    assert {row["grade"] for row in rows} == {3.0}
    assert ordering_of(rows, "latent")["noise"].worst_all <= -0.95
    assert {"latent", "latent_no_deriche", "latent_sharpness_heavier", "noise"} <= set(rows[0])
