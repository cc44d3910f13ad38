"""Labelled images compared: against a brute force, and against what must be refused."""

from __future__ import annotations

import json
import math
from itertools import combinations
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csiq.errors import ConfigError
from csiq.ranking import Ranking, compare, preference, rank, rank_numbers

many = settings(max_examples=150, deadline=None)


def grades_of(*values: float, **more: object) -> list[SimpleNamespace]:
    return [SimpleNamespace(grade=value, grade_sd=0.3, **more) for value in values]


some = st.lists(
    st.one_of(st.floats(-1, 5), st.sampled_from([1.0, 1.25, 1.5]), st.just(math.nan)), min_size=1, max_size=7
)


@many
@given(some)
def test_ranks_pairs_and_top_set_by_brute_force(values):
    labels = [f"image {i}" for i in range(len(values))]
    found = compare(labels, grades_of(*values))
    known = {label: v for label, v in zip(labels, values, strict=True) if not math.isnan(v)}
    best = next((label for label, v in known.items() if v == max(known.values())), None)
    assert found.best == best
    assert set(found.top_set) == {label for label, v in known.items() if known[best] - v < 0.25}
    assert [(p.a, p.b) for p in found.pairs] == list(combinations(labels, 2))
    for pair in found.pairs:
        if pair.a in known and pair.b in known:
            a, b = known[pair.a], known[pair.b]
            assert pair.verdict == ("equal" if abs(a - b) < 0.25 else "a" if a > b else "b")
        else:
            assert pair.verdict is None
    for image in found.images:
        better = [v for v in known.values() if v - known.get(image.label, math.nan) >= 0.25]
        assert image.rank == (1 + len(better) if image.label in known else None)


@many
@given(some)
def test_phases_are_the_special_case(values):
    numbers = range(1, len(values) + 1)
    compared, ranking = compare(numbers, grades_of(*values)), rank(grades_of(*values))
    assert [list(vars(p).values()) for p in ranking.phases] == [
        list(vars(i).values()) for i in compared.images
    ]
    assert (ranking.pairs, ranking.best_phase, ranking.top_set) == (
        compared.pairs,
        compared.best,
        compared.top_set,
    )
    assert ranking.preferences == compared.preferences


@many
@given(st.lists(st.floats(0, 4), min_size=2, max_size=5), st.randoms())
def test_the_order_of_the_labels_changes_nothing_but_the_side(values, random):
    labels = [f"image {i}" for i in range(len(values))]
    before = compare(labels, grades_of(*values, uncertainty=0.2))
    order = random.sample(range(len(values)), len(values))
    after = compare([labels[i] for i in order], grades_of(*[values[i] for i in order], uncertainty=0.2))
    sides = {(p.a, p.b): (p.p_a, p.p_equal, p.p_b) for p in before.preferences.pairs}
    sides |= {(p.b, p.a): (p.p_b, p.p_equal, p.p_a) for p in before.preferences.pairs}
    assert {(p.a, p.b): (p.p_a, p.p_equal, p.p_b) for p in after.preferences.pairs} == {
        (p.a, p.b): sides[p.a, p.b] for p in after.preferences.pairs
    }


def test_preferences_stand_beside_what_the_contract_says():
    ranking = rank_numbers([2.0, 1.5], [0.3, 0.3], [0.2, 0.2], [True, True])
    content = json.loads(json.dumps(ranking.as_json(), allow_nan=False))
    assert list(content["pairs"][0]) == ["a", "b", "difference", "verdict"]
    said = content["preference"]
    assert said["threshold"] == 0.25
    assert said["uncertainty"] == [0.2, 0.2]
    assert said["uncertainty_from"] == ["calibration"] * 2
    pair = said["pairs"][0]
    assert (pair["a"], pair["b"]) == (1, 2)
    # errors of 0.2 with a correlation of 0.5 leave 0.2 on the difference
    assert pair["difference_sd"] == pytest.approx(0.2)
    assert [pair["p_a"], pair["p_equal"], pair["p_b"]] == pytest.approx(list(preference(0.5, 0.2)))
    assert Ranking.from_json(content) == ranking


def test_files_of_earlier_versions_have_no_preferences():
    content = {k: v for k, v in rank_numbers([2.0, 1.5], [0.3, 0.3]).as_json().items() if k != "preference"}
    read = Ranking.from_json(json.loads(json.dumps(content)))
    assert read.preferences is None
    assert read.as_json() == content


def test_outside_the_domain_there_is_a_verdict_but_no_probability():
    ranking = rank_numbers([2.0, 1.5, 1.0], [0.3] * 3, [0.2, None, 0.2], [True, False, True])
    assert [p.verdict for p in ranking.pairs] == ["a", "a", "a"]
    assert [p.p_a is None for p in ranking.preferences.pairs] == [True, False, True]
    json.dumps(ranking.as_json(), allow_nan=False)


def test_a_missing_grade_has_no_probability():
    pair = rank_numbers([math.nan, 1.5], [0.3, 0.3]).preferences.pairs[0]
    assert (pair.p_a, pair.p_equal, pair.p_b, pair.difference_sd) == (None,) * 4


def test_images_of_two_scans_are_told_from_each_other_less_surely():
    grades = grades_of(2.0, 1.0, uncertainty=0.2)
    one = compare(["a", "b"], grades, scans=["x", "x"]).preferences.pairs[0]
    two = compare(["a", "b"], grades, scans=["x", "y"]).preferences.pairs[0]
    unknown = compare(["a", "b"], grades, scans=["x", None]).preferences.pairs[0]
    assert one.same_scan
    assert not two.same_scan
    assert unknown == one
    assert two.p_a < one.p_a


def test_different_models_are_not_compared():
    with pytest.raises(ConfigError, match="first and second"):
        compare(["a", "b"], grades_of(1.0, 2.0), models=["first", "second"])
    assert compare(["a", "b"], grades_of(1.0, 2.0), models=["first", "first"]).model == "first"


@pytest.mark.parametrize(
    ("labels", "more", "what"),
    [
        (["a", "a"], {}, "'a' is there twice"),
        (["a"], {}, "1 labels, but 2 grades"),
        (["a", "b"], {"models": ["one"]}, "2 labels, but 1 models"),
        (["a", "b"], {"scans": ["one"]}, "2 labels, but 1 scans"),
    ],
)
def test_what_does_not_fit_is_refused(labels, more, what):
    with pytest.raises(ConfigError, match=what):
        compare(labels, grades_of(1.0, 2.0), **more)


def test_a_single_image_is_the_best():
    found = compare(["only"], grades_of(1.0))
    assert (found.best, found.top_set, found.pairs) == ("only", ("only",), ())
