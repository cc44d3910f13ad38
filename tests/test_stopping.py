"""The plateau rules against cases worked out by hand, and properties of the iteration handed out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csiq.errors import ConfigError, RawDataError, ShapeError
from csiq.history import COLUMNS, History, noise_floor
from csiq.stopping import (
    CostPlateau,
    GradePlateau,
    MaxIter,
    NotFinite,
    Stop,
    TimeLimit,
    counterfactual,
    first_to_fire,
    plateau_rules,
    returned_iteration,
    returned_iterations,
)

NAN = math.nan
FALLING = [100.0 * 0.8**k for k in range(30)]
many = settings(max_examples=150, deadline=None)


@dataclass(frozen=True)
class Cost:
    data: float
    penalty: float

    @property
    def total(self) -> float:
        return self.data + self.penalty


@dataclass(frozen=True)
class Grade:
    grade: float
    grade_sd: float = 0.0


def history_of(grades, costs=None, sds=None) -> History:
    """A history of one phase (numbers) or several (lists of numbers)."""
    history = History()
    for k, entry in enumerate(grades):
        phases = entry if isinstance(entry, list) else [entry]
        cost = (costs or FALLING)[k]
        sd = sds[k] if sds else 0.0
        history.add(k, Cost(0.75 * cost, 0.25 * cost), [Grade(g, sd) for g in phases], k * 1.0, k * 0.5)
    return history


def stops_at(rule, history: History) -> int | None:
    return counterfactual(history, [rule])[rule.name]


# ---------------------------------------------------------------- worked by hand


def test_the_slow_start_of_the_paper_does_not_stop_at_iteration_1():
    # A relative 2 % of a grade near 0.3 is 0.006: 0.30 -> 0.305 would be "the plateau".
    grades = [0.30, 0.305, 0.50, 0.80, 1.10, 1.35, 1.55, 1.65, 1.70, 1.71, 1.715, 1.716]
    # Small from floor 1.0: steps 1 (.005 < .02), 9 (.01 < .034), 10 (.005 < .0342); step 8 is .05 > .033.
    assert stops_at(GradePlateau(), history_of(grades)) == 10
    assert stops_at(GradePlateau(patience=1, min_iter=1), history_of(grades)) == 9


def test_exponential_rise_stops_where_the_arithmetic_says():
    grades = [0.3 + 1.4 * (1 - math.exp(-k / 2.2)) for k in range(21)]
    # Steps k: 1.4 (e^(1/2.2) - 1) e^(-k/2.2); the first below 2 % of g_(k-1) is k = 8, so two end at 9.
    assert abs(grades[7] - grades[6]) > 0.02 * grades[6]
    assert abs(grades[8] - grades[7]) < 0.02 * grades[7]
    assert stops_at(GradePlateau(), history_of(grades)) == 9
    assert stops_at(GradePlateau(patience=1), history_of(grades)) == 8


def test_flat_start_goes_on_while_the_cost_falls():
    # FAULTS D13
    grades = [0.0] * 6 + [0.5, 1.0, 1.4, 1.41, 1.41, 1.41]
    assert stops_at(GradePlateau(), history_of(grades)) == 10


def test_flat_grade_with_a_flat_cost_is_a_plateau():
    costs = [100.0, 50.0, 40.0, 39.99, 39.98, 39.97]
    # 40 -> 39.99 falls by 0.025 %: armed in step 3, which also ends two small steps.
    assert stops_at(GradePlateau(), history_of([0.0] * 6, costs)) == 3


def test_the_cost_arms_only_in_the_step_that_stands_still():
    costs = [100.0, 99.99, 80.0, 60.0, 40.0, 20.0]
    assert stops_at(GradePlateau(), history_of([0.0] * 6, costs)) is None


def test_slow_creep_arms_by_the_distance_from_the_start():
    grades = [0.019 * k for k in range(12)]  # every step is small; 6 * 0.019 = 0.114 >= 0.10
    assert stops_at(GradePlateau(), history_of(grades)) == 6


def test_minimum_iteration_is_kept():
    grades = [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert stops_at(GradePlateau(), history_of(grades)) == 3
    assert stops_at(GradePlateau(min_iter=6), history_of(grades)) == 6
    assert stops_at(GradePlateau(patience=4, min_iter=1), history_of(grades)) == 5


def test_a_step_of_exactly_the_tolerance_is_not_small():
    grades = [0.0, 1.0, 1.25, 1.5, 1.75, 2.0]
    assert (
        stops_at(GradePlateau(tol=0.25), history_of(grades)) == 4
    )  # 0.25 < .25 * 1 is false, < .25 * 1.25 true
    assert stops_at(GradePlateau(tol=0.25, patience=1, min_iter=1), history_of(grades)) == 3


def test_a_falling_grade_can_plateau_and_a_noisy_one_never_does():
    # FAULTS D15
    falling = [1.5, 1.2, 1.0, 0.95, 0.94, 0.94, 0.94]
    assert stops_at(GradePlateau(), history_of(falling)) == 5
    noisy = [0.3 + 0.1 * (-1) ** k for k in range(20)]
    assert stops_at(GradePlateau(), history_of(noisy)) is None


def test_raw_grades_outside_the_scale_are_taken_as_they_are():
    # FAULTS D12: -0.2 is below the scale, 4.3 above; the floor keeps the tolerance positive.
    assert stops_at(GradePlateau(), history_of([-0.2, -0.19, 2.0, 4.3, 4.31, 4.32])) == 5


def test_nan_switches_the_rule_off_and_says_so():
    rule = GradePlateau()
    history = history_of([0.3, 1.0, NAN, 1.0, 1.0, 1.0, 1.0])
    assert stops_at(rule, history) is None
    assert rule.why_off(history.upto(1)) is None
    assert "phase 1 has no grade at iteration 2" in (rule.why_off(history) or "")


@pytest.mark.parametrize("scope", ["mean", "best", "all"])
def test_one_phase_without_a_grade_switches_every_scope_off(scope):
    history = history_of([[0.3, NAN], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    assert stops_at(GradePlateau(scope=scope), history) is None


def test_scopes_differ_where_the_phases_do():
    best = [0.3, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    slow = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.8, 0.8, 0.8]
    history = history_of([[a, b] for a, b in zip(best, slow, strict=True)])
    # mean of both: steps 3-5 are 0.05 > 0.02 * 1.25..1.35, steps 6 and 7 are 0.
    assert counterfactual(history, plateau_rules(GradePlateau())) == {
        "grade_plateau_mean": 7,
        "grade_plateau_best": 4,
        "grade_plateau_all": 7,
        "cost_plateau": None,
    }
    assert next(r.name for r in plateau_rules(GradePlateau(scope="all"))) == "grade_plateau_all"


def test_scope_all_waits_for_a_phase_that_has_not_left_its_start():
    history = history_of([[0.0, 0.3]] + [[0.0, 1.5]] * 8)
    assert stops_at(GradePlateau(scope="all"), history) is None
    assert stops_at(GradePlateau(scope="mean"), history) == 3


def test_cost_plateau_takes_two_steps_that_stand_still():
    costs = [100.0, 50.0, 49.99, 40.0, 39.999, 39.998, 39.9]
    assert stops_at(CostPlateau(), history_of([NAN] * 7, costs)) == 5


def test_limits():
    history = history_of([0.1] * 6)
    assert stops_at(MaxIter(4), history) == 4
    # recon_s + grading_s is 1.5 k
    assert stops_at(TimeLimit(4.0), history) == 3
    assert stops_at(TimeLimit(4.0, before_s=100.0), history) == 1
    assert stops_at(NotFinite(), history_of([0.1] * 3, [3.0, 2.0, NAN])) == 2
    assert stops_at(NotFinite(), history) is None


def test_first_rule_that_fires_names_the_stop():
    history = history_of([0.3, 1.0, 1.5, 1.5, 1.5])
    rules = [NotFinite(), GradePlateau(), MaxIter(4)]
    stop = first_to_fire(history, rules)
    assert stop == Stop(4, "plateau", "grade_plateau_mean")
    assert stop.as_json() == {"iteration": 4, "reason": "plateau", "rule": "grade_plateau_mean"}
    assert first_to_fire(history.upto(3), rules) is None
    assert all(rule.sentence() for rule in rules)


@pytest.mark.parametrize(
    "bad",
    [{"tol": -1.0}, {"tol": NAN}, {"floor": math.inf}, {"patience": 0}, {"min_iter": 0}, {"scope": "men"}],
)
def test_impossible_rules_are_refused(bad):
    with pytest.raises(ConfigError):
        GradePlateau(**bad)


# ---------------------------------------------------------------- the history


def test_rows_are_those_of_curves_tsv_and_read_back():
    history = history_of([[0.3, 0.1], [1.0, NAN]], sds=[0.2, 0.1])
    rows = history.rows()
    assert tuple(rows[0]) == COLUMNS
    assert [(r["iteration"], r["phase"]) for r in rows] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert rows[2]["cost"] == rows[3]["cost"] == pytest.approx(80.0)
    assert (rows[3]["cost_data"], rows[3]["cost_penalty"]) == (pytest.approx(60.0), pytest.approx(20.0))
    assert (rows[2]["recon_s"], rows[2]["grading_s"]) == (1.0, 0.5)
    again = History.from_rows(reversed(rows))
    assert repr(again) == repr(history)


def test_a_run_without_a_model_keeps_its_phases():
    history = History()
    history.add(0, Cost(1.0, 1.0), [None, None])
    assert history.n_phases == 2
    assert not history.is_graded
    assert math.isnan(history.rows()[1]["grade"])


def test_gaps_are_refused():
    history = history_of([[0.1, 0.2]])
    with pytest.raises(ShapeError, match="expected iteration 1, got 2"):
        history.add(2, Cost(1, 1), [None, None])
    with pytest.raises(ShapeError, match="expected 2 phases, got 1"):
        history.add(1, Cost(1, 1), [None])
    rows = history_of([[0.1, 0.2], [0.1, 0.2]]).rows()
    with pytest.raises(ShapeError):
        History.from_rows(rows[2:])
    with pytest.raises(RawDataError, match="phases of iteration 0"):
        History.from_rows(rows[1:])
    with pytest.raises(RawDataError, match="row 1 lacks phase"):
        History.from_rows([{k: v for k, v in rows[0].items() if k != "phase"}])


# ---------------------------------------------------------------- the iteration handed out


def test_noise_floor_counts_independent_patches():
    assert noise_floor([0.3, 0.3]) == pytest.approx(0.3 / math.sqrt(18))
    assert noise_floor([0.2, 0.4, NAN]) == pytest.approx(0.3 / math.sqrt(18))
    assert noise_floor([5.0]) == 0.25
    assert noise_floor([NAN]) == noise_floor([]) == 0.0


def test_latest_within_the_noise_of_the_best_is_returned():
    # FAULTS D15: the best grade is at 3; 4 is within its own floor (0.424 / sqrt(18) = 0.1), 5 is not.
    grades = [0.3, 1.0, 1.5, 1.8, 1.72, 1.6]
    assert returned_iteration(history_of(grades, sds=[0.424] * 6)) == 4
    assert returned_iteration(history_of(grades)) == 3
    assert returned_iteration(history_of(grades), "last") == 5


def test_the_gridded_image_is_returned_only_if_nothing_is_sound():
    assert returned_iteration(history_of([3.0, 1.0, 1.1])) == 2
    assert returned_iteration(history_of([3.0, 1.0, 1.1], [10.0, 11.0, NAN])) == 0
    assert returned_iteration(history_of([3.0])) == 0


def test_a_cost_above_the_start_or_not_finite_disqualifies():
    grades = [0.1, 1.0, 2.0, 3.0, 3.5]
    assert returned_iteration(history_of(grades, [10.0, 8.0, 7.0, 10.1, math.inf])) == 2
    assert returned_iteration(history_of(grades, [10.0, 8.0, 7.0, 10.1, NAN]), "last") == 2
    assert returned_iteration(history_of(grades, [10.0, 8.0, 7.0, 10.0, NAN])) == 3


def test_without_grades_the_last_is_returned():
    assert returned_iteration(history_of([NAN, NAN, NAN])) == 2


def test_best_per_phase_chooses_for_each():
    history = history_of([[0.1, 0.1], [2.0, 1.0], [1.0, 2.0], [0.5, 1.0]])
    assert returned_iterations(history, "best-per-phase") == (1, 2)
    assert returned_iterations(history, "last") == (3, 3)
    assert returned_iterations(history) == (2, 2)
    with pytest.raises(ConfigError):
        returned_iteration(history, "best-per-phase")


# ---------------------------------------------------------------- properties

grade = st.one_of(st.floats(-0.5, 4.5), st.sampled_from([0.0, 1.0, 1.01]), st.just(NAN))
curves = st.integers(1, 4).flatmap(
    lambda p: st.lists(
        st.tuples(
            st.lists(grade, min_size=p, max_size=p),
            st.one_of(st.floats(0.1, 200.0), st.just(NAN)),
            st.floats(0.0, 1.0),
        ),
        min_size=1,
        max_size=15,
    )
)


def drawn(curve) -> History:
    grades, costs, sds = zip(*curve, strict=True)
    return history_of(list(grades), list(costs), list(sds))


@many
@given(curves, st.sampled_from(["mean", "best", "all"]), st.integers(1, 4), st.integers(1, 5))
def test_the_rule_fires_only_where_its_definition_holds(curve, scope, patience, min_iter):
    history = drawn(curve)
    rule = GradePlateau(scope=scope, patience=patience, min_iter=min_iter)
    combine = {"mean": lambda g: math.fsum(g) / len(g), "best": max}
    tracks = (
        [list(t) for t in zip(*[s.grades for s in history.steps], strict=True)]
        if scope == "all"
        else [[combine[scope](s.grades) for s in history.steps]]
    )
    costs = [s.cost for s in history.steps]

    def holds(k: int) -> bool:
        if (
            k < min_iter
            or k < patience
            or any(math.isnan(g) for s in history.steps[: k + 1] for g in s.grades)
        ):
            return False
        cost_arms = costs[k - 1] - costs[k] < 0.001 * costs[k - 1]
        small = [
            abs(g[j] - g[j - 1]) < 0.02 * max(g[j - 1], 1.0)
            for g in tracks
            for j in range(k - patience + 1, k + 1)
        ]
        armed = [cost_arms or any(abs(g[j] - g[0]) >= 0.10 for j in range(k + 1)) for g in tracks]
        return all(small) and all(armed)

    assert stops_at(rule, history) == next((k for k in range(len(history)) if holds(k)), None)


@many
@given(curves)
def test_one_kept_copy_is_always_the_right_one(curve):
    history = drawn(curve)
    kept = 0
    for k in range(len(history)):
        chosen = returned_iteration(history.upto(k))
        assert chosen in (kept, k)  # never an older one that was not kept
        kept = chosen
    step = history.steps[kept]
    if kept:
        assert step.cost <= history.steps[0].cost
        sound = [s for s in history.steps[1:] if s.cost <= history.steps[0].cost]
        means = [s.mean_grade for s in sound if not math.isnan(s.mean_grade)]
        assert not means or max(means) - step.mean_grade <= 0.25


@many
@given(curves, st.sampled_from([0.125, 0.5, 2.0, 2.0**20]))
def test_the_scale_of_the_cost_changes_no_decision(curve, scale):
    history = drawn(curve)
    scaled = History([replace(s, cost=scale * s.cost) for s in history.steps])
    rules = plateau_rules(GradePlateau())[:3]
    # powers of two scale without rounding, so the decisions must be the same to the bit
    assert counterfactual(history, rules) == counterfactual(scaled, rules)
    assert returned_iteration(history) == returned_iteration(scaled)


@many
@given(curves)
def test_rows_restore_the_history(curve):
    history = drawn(curve)
    assert repr(History.from_rows(history.rows())) == repr(history)
