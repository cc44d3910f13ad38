"""Pairs, ties and ranks against cases worked out by hand, and properties that hold for any grades."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csiq.errors import RawDataError
from csiq.ranking import COLUMNS, SCALE, Ranking, rank, rank_numbers, words_of

many = settings(max_examples=150, deadline=None)


def ranking_of(*grades: float) -> Ranking:
    return rank([SimpleNamespace(grade=g, grade_sd=0.1) for g in grades])


def ranks(ranking: Ranking) -> list[int | None]:
    return [p.rank for p in ranking.phases]


def test_ties_share_a_rank_and_the_relation_is_not_transitive():
    # FAULTS D18. 2.0 ~ 1.8 ~ 1.6 but 2.0 and 1.6 differ by 0.4.
    ranking = ranking_of(1.8, 2.0, 1.6, 1.0)
    assert ranking.best_phase == 2
    assert ranking.top_set == (1, 2)
    assert ranks(ranking) == [1, 1, 2, 4]
    verdicts = {(p.a, p.b): p.verdict for p in ranking.pairs}
    assert verdicts == {
        (1, 2): "equal",
        (1, 3): "equal",
        (1, 4): "a",
        (2, 3): "a",
        (2, 4): "a",
        (3, 4): "a",
    }
    assert ranking.pairs[0].difference == pytest.approx(-0.2)
    assert [p.delta_to_best for p in ranking.phases] == pytest.approx([-0.2, 0.0, -0.4, -1.0])


def test_a_quarter_grade_is_a_difference():
    ranking = ranking_of(1.5, 1.75)
    assert ranking.pairs[0].verdict == "b"
    assert ranks(ranking) == [2, 1]
    assert ranking.top_set == (2,)


def test_grades_outside_the_scale_are_kept_raw():
    # FAULTS D12
    ranking = ranking_of(-0.3, 4.2)
    assert [p.grade for p in ranking.phases] == [-0.3, 4.2]
    assert ranks(ranking) == [2, 1]


def test_a_missing_grade_is_null_and_never_wins():
    # FAULTS D10
    ranking = rank_numbers([math.nan, 1.0], [math.nan, 0.2])
    assert ranking.best_phase == 2
    assert ranking.top_set == (2,)
    assert ranking.phases[0].rank is None
    assert ranking.pairs[0].verdict is None
    json.dumps(ranking.as_json(), allow_nan=False)
    nothing = rank_numbers([math.nan], [math.nan])
    assert nothing.best_phase is None
    assert nothing.top_set == ()


def test_json_has_the_keys_of_the_contract():
    content = ranking_of(1.8, 2.0, 1.0).as_json()
    contract = ["schema_version", "threshold", "best_phase", "top_set", "phases", "pairs"]
    assert list(content) == [*contract, "preference"]
    assert content["threshold"] == 0.25
    assert tuple(content["phases"][0]) == COLUMNS
    assert list(content["pairs"][0]) == ["a", "b", "difference", "verdict"]
    assert Ranking.from_json(json.loads(json.dumps(content))) == ranking_of(1.8, 2.0, 1.0)


def test_a_damaged_ranking_is_refused():
    content = ranking_of(1.0, 2.0).as_json()
    with pytest.raises(RawDataError):
        Ranking.from_json({k: v for k, v in content.items() if k != "pairs"})
    with pytest.raises(RawDataError):
        Ranking.from_json({**content, "pairs": [{"x": 1}]})


def test_table_rows_are_numbers():
    rows = ranking_of(1.8, 2.0, 1.0).rows()
    assert tuple(rows[0]) == COLUMNS
    assert [row["indistinguishable_from_best"] for row in rows] == [1, 1, 0]
    assert math.isnan(rank_numbers([math.nan], [0.1]).rows()[0]["rank"])


def test_by_rank_puts_the_best_first_and_ungraded_last():
    ranking = rank_numbers([1.0, math.nan, 2.0], [0.1] * 3)
    assert [p.phase for p in ranking.by_rank] == [3, 1, 2]


@pytest.mark.parametrize(
    ("grade", "words"),
    [
        (0.0, SCALE[0]),
        (-0.4, SCALE[0]),
        (0.25, SCALE[0]),  # a quarter rounds to the even half: 0
        (0.26, f"between '{SCALE[0]}' and '{SCALE[1]}'"),
        (0.75, SCALE[1]),  # and here to 1.0
        (1.7, f"between '{SCALE[1]}' and '{SCALE[2]}'"),
        (2.1, SCALE[2]),
        (4.6, SCALE[4]),
        (None, "not graded"),
        (math.nan, "not graded"),
    ],
)
def test_words_of_the_papers_table_1(grade, words):
    assert words_of(grade) == words


def test_no_reader_has_words_for_images_outside_the_domain():
    assert words_of(3.0, True) == SCALE[3]
    assert words_of(3.0, False) == "outside the training domain"
    assert words_of(None, False) == "not graded"


def test_the_scale_is_the_papers():
    assert SCALE[0] == "nondiagnostic"
    assert SCALE[3] == "mild blurring, good diagnostic value"
    assert len(SCALE) == 5


grades_of_a_scan = st.lists(
    st.one_of(st.floats(-1, 5), st.sampled_from([1.0, 1.25, 1.5, 2.1, 1.85]), st.just(math.nan)),
    min_size=1,
    max_size=8,
)


@many
@given(grades_of_a_scan)
def test_every_number_follows_from_its_definition(grades):
    ranking = rank_numbers(grades, [0.1] * len(grades))
    known = [(n, g) for n, g in enumerate(grades, start=1) if not math.isnan(g)]
    assert len(ranking.pairs) == len(grades) * (len(grades) - 1) // 2
    for pair in ranking.pairs:
        a, b = grades[pair.a - 1], grades[pair.b - 1]
        if math.isnan(a) or math.isnan(b):
            assert pair.verdict is None
            continue
        assert pair.difference == a - b
        assert (pair.verdict == "equal") == (abs(a - b) < 0.25)
        assert pair.verdict == "equal" or (pair.verdict == "a") == (a > b)
    for number, g in known:
        phase = ranking.phases[number - 1]
        assert phase.rank == 1 + sum(other - g >= 0.25 for _, other in known)
        assert phase.indistinguishable_from_best == (number in ranking.top_set)
        assert phase.indistinguishable_from_best == (phase.rank == 1)
    if known:
        assert grades[ranking.best_phase - 1] == max(g for _, g in known)
        assert ranking.best_phase in ranking.top_set


@many
@given(grades_of_a_scan, st.randoms())
def test_the_order_of_the_phases_changes_no_rank(grades, random):
    order = list(range(len(grades)))
    random.shuffle(order)
    before = rank_numbers(grades, [0.1] * len(grades))
    after = rank_numbers([grades[i] for i in order], [0.1] * len(grades))
    assert [p.rank for p in after.phases] == [before.phases[i].rank for i in order]
