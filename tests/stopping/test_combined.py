"""Rules made of rules: boolean algebra, reasons, names that can be read back."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csiq.errors import ConfigError
from csiq.history import History
from csiq.stopping import (
    AllOf,
    AnyOf,
    BestSoFar,
    CostGap,
    CostPlateau,
    GradePlateau,
    GradeSlope,
    MaxIter,
    NotFinite,
    ResolvedPlateau,
    ScalePlateau,
    SmoothedPlateau,
    Stop,
    TimeLimit,
    counterfactual,
    first_to_fire,
    leaves,
    mapped,
    needs_hindsight,
    parse_rule,
    spelled,
    stop_iteration,
    uses_grades,
    why_off,
)
from tests.stopping.curves import NAN, curves, history_of

many = settings(max_examples=60, deadline=None)
LEAVES = [
    GradePlateau(), GradePlateau(tol=0.1, patience=1, scope="all"), ScalePlateau(0.02), GradeSlope(3, 0.05),
    SmoothedPlateau("median"), ResolvedPlateau(noise="patches"), BestSoFar(2), CostPlateau(0.01), MaxIter(6),
    TimeLimit(7.5), TimeLimit(1e6),
]  # fmt: skip
rules = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.builds(
        lambda cls, parts: cls(tuple(parts)),
        st.sampled_from([AnyOf, AllOf]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


def fired(rule, history: History) -> list[bool]:
    return [rule.fires(history.upto(k)) for k in range(len(history))]


@many
@given(curves(), st.lists(rules, min_size=1, max_size=4))
def test_or_and_are_those_of_each_iteration(history, parts):
    columns = list(zip(*(fired(part, history) for part in parts), strict=True))
    assert fired(AnyOf(tuple(parts)), history) == [any(column) for column in columns]
    assert fired(AllOf(tuple(parts)), history) == [all(column) for column in columns]
    stops = [stop_iteration(history, part) for part in parts]
    known = [k for k in stops if k is not None]
    assert stop_iteration(history, AnyOf(tuple(parts))) == min(known, default=None)
    both = stop_iteration(history, AllOf(tuple(parts)))
    assert both is None or (None not in stops and both >= max(known))


@many
@given(curves(), rules, rules, rules)
def test_boolean_algebra(history, a, b, c):
    def same(one, other):
        return fired(one, history) == fired(other, history)

    assert same(AnyOf((a, a)), a)
    assert same(AllOf((a, a)), a)
    assert same(AnyOf((a, b)), AnyOf((b, a)))
    assert same(AllOf((a, b)), AllOf((b, a)))
    assert same(AnyOf((a, AnyOf((b, c)))), AnyOf((a, b, c)))
    assert same(AllOf((a, AllOf((b, c)))), AllOf((a, b, c)))
    assert same(AllOf((a, AnyOf((a, b)))), a)
    assert same(AnyOf((a, AllOf((a, b)))), a)
    assert same(AllOf((a, AnyOf((b, c)))), AnyOf((AllOf((a, b)), AllOf((a, c)))))
    assert same(AnyOf((a, AllOf((b, c)))), AllOf((AnyOf((a, b)), AnyOf((a, c)))))


@many
@given(rules)
def test_a_name_is_an_expression_that_reads_back(rule):
    again = parse_rule(spelled(rule))
    assert spelled(again) == spelled(rule)
    history = history_of([[0.2, 0.3]] + [[1.5, 1.0 + 0.01 * k] for k in range(12)])
    assert fired(again, history) == fired(rule, history)
    if isinstance(rule, (AnyOf, AllOf)):
        assert rule.name == spelled(rule)


def test_names_reasons_and_sentences_are_composed():
    slope, time = GradeSlope(window=6), TimeLimit(1800)
    rule = AnyOf((AllOf((slope, AnyOf((CostPlateau(), MaxIter(3))))), time))
    assert rule.name == "slope(window=6) and (cost or iterations(max_iter=3)) or time(seconds=1800s)"
    assert rule.sentence() == (
        f"({slope.sentence()}, and ({CostPlateau().sentence()}, or {MaxIter(3).sentence()})), "
        f"or {time.sentence()}"
    )
    assert list(leaves(rule)) == [slope, CostPlateau(), MaxIter(3), time]
    assert rule.reason == "plateau"
    assert AnyOf((MaxIter(3), time)).reason == "max_iter"


def test_the_reason_of_an_or_is_that_of_the_part_that_fired():
    history = history_of([0.3, 1.0, 1.5, 1.5, 1.5, 1.5])
    rule = AnyOf((TimeLimit(9.0), GradePlateau()))
    assert first_to_fire(history.upto(4), [NotFinite(), rule]) == Stop(4, "plateau", rule.name)
    early = AnyOf((GradePlateau(), TimeLimit(3.0)))
    assert first_to_fire(history.upto(2), [early]) == Stop(2, "time_limit", early.name)
    nested = AnyOf((BestSoFar(9), AnyOf((MaxIter(2), TimeLimit(3.0)))))
    assert first_to_fire(history.upto(2), [nested]).reason == "max_iter"


def test_the_reason_of_an_and_is_a_plateau_if_there_is_one():
    history = history_of([0.3, 1.0, 1.5, 1.5, 1.5, 1.5])
    assert first_to_fire(history, [AllOf((MaxIter(2), GradePlateau()))]).reason == "plateau"
    assert first_to_fire(history, [AllOf((TimeLimit(1.0), MaxIter(2)))]).reason == "time_limit"
    either = AnyOf((MaxIter(2), GradeSlope()))
    # at 2 only the limit of the inner "or" holds
    assert first_to_fire(history.upto(2), [AllOf((TimeLimit(1.0), either))]).reason == "time_limit"


def test_a_missing_grade_leaves_the_other_parts():
    history = history_of([0.3, 1.0, NAN, 1.0, 1.0, 1.0, 1.0])
    for order in itertools.permutations((GradePlateau(), MaxIter(5))):
        assert stop_iteration(history, AnyOf(order)) == 5
        assert stop_iteration(history, AllOf(order)) is None
        assert "no grade at iteration 2" in why_off(AnyOf(order), history)
    assert why_off(AnyOf((MaxIter(5), CostPlateau())), history) is None


def test_what_a_rule_looks_at_passes_through():
    assert uses_grades(AnyOf((CostPlateau(), GradeSlope())))
    assert not uses_grades(AllOf((CostPlateau(), TimeLimit(3))))
    assert not needs_hindsight(AnyOf((CostPlateau(), GradeSlope())))


def test_hindsight_is_told_the_whole_curve_and_stops_nothing():
    history = history_of([NAN] * 9, [10 + 90 * 0.3**k for k in range(9)])
    gap = CostGap(0.1)
    assert needs_hindsight(gap)
    with pytest.raises(ConfigError, match="whole curve"):
        gap.fires(history)
    rule = AllOf((gap, MaxIter(4)))
    assert needs_hindsight(rule)
    assert needs_hindsight(AnyOf((rule, CostPlateau())))
    # (0.3)^2 = 0.09 of the way is left at 2
    either = AnyOf((CostPlateau(), gap))
    assert counterfactual(history, [gap, rule, either]) == {
        "cost_gap": 2,
        "cost_gap(gap=0.1) and iterations(max_iter=4)": 4,
        "cost or cost_gap(gap=0.1)": 2,
    }
    assert not needs_hindsight(gap.knowing(history))
    assert stop_iteration(history.upto(1), CostGap(0.0)) == 1
    assert stop_iteration(history_of([NAN] * 3, [3.0, 2.0, NAN]), CostGap()) is None


def test_equal_names_are_told_apart_by_a_mapping():
    history = history_of([0.3, 1.0, 1.5, 1.6, 1.65, 1.66, 1.67, 1.67])
    rules = {"strict": GradePlateau(tol=0.007), "loose": GradePlateau(tol=0.1)}
    assert counterfactual(history, rules) == {"strict": 6, "loose": 4}
    assert counterfactual(history, list(rules.values())) == {"grade_plateau_mean": 4}


def test_simple_rules_are_changed_within_others():
    rule = AnyOf((TimeLimit(9.0), AllOf((TimeLimit(4.0), MaxIter(2)))))
    changed = mapped(rule, lambda r: TimeLimit(1.0, 5.0) if isinstance(r, TimeLimit) else r)
    assert list(leaves(changed)) == [TimeLimit(1.0, 5.0), TimeLimit(1.0, 5.0), MaxIter(2)]
    assert changed.parts[1].parts[1] is rule.parts[1].parts[1]


def test_nothing_combines_to_nothing():
    for cls in (AnyOf, AllOf):
        with pytest.raises(ConfigError):
            cls(())
