"""Where a rule would have stopped a run is where it stops one: a small reconstruction, computed twice."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.acquisition import Geometry
from csiq.config import load_config
from csiq.loop import Loop
from csiq.operators import ForwardModel
from csiq.quality.assessor import as_assessor
from csiq.solvers import build_problem, solve
from csiq.stopping import (
    GradePlateau,
    MaxIter,
    NotFinite,
    TimeLimit,
    counterfactual,
    parse_rule,
    standard_rules,
)
from csiq.stopping.configured import acting_rules, compared_rules, own_rule, plateau_rule
from tests.helpers import complex_normal

LONGEST = 14


@pytest.fixture(scope="module")
def problem():
    """Two phases of blobs, 8^3, three coils."""
    rng = np.random.default_rng(8)
    grid = np.indices((8, 8, 8)) - 4.0
    truth = np.stack([np.exp(-((grid[0] - p) ** 2 + grid[1] ** 2 + grid[2] ** 2) / 4) for p in (0, 1)])
    coords = [(rng.uniform(-4, 4, (40, 8, 3))).astype(np.float32) for _ in truth]
    smaps = complex_normal(rng, (3, 8, 8, 8))
    smaps /= np.sqrt((np.abs(smaps) ** 2).sum(axis=0))
    model = ForwardModel(coords, smaps, threads=1)
    kspace = model(truth.astype(np.complex64))
    kspace += 0.05 * complex_normal(rng, kspace.shape)
    dcf = np.ones((80, 8), np.float32)
    return build_problem(model, kspace, dcf, lamda=0.02), truth


def follow(problem, rules):
    """Return the loop of a run that these rules may stop, graded by the error against the truth."""
    made, truth = problem

    def grader(volume, voxel_size):
        errors = [np.linalg.norm(volume - t) / np.linalg.norm(t) for t in truth]
        return 4.0 * max(1 - min(errors), 0.0), 0.05

    geometry = Geometry(shape=(8, 8, 8), fov=(8.0, 8.0, 8.0))
    loop = Loop(
        load_config(), geometry, as_assessor(grader), (NotFinite(), *rules, MaxIter(LONGEST)), lambda e: None
    )
    loop.follow(solve(made, "nlcg", LONGEST))
    return loop


TEXTS = [
    "slope(window=3, per_iteration=0.05)", "scale(0.02) and cost(0.01)", "best(2) or iterations(9)",
    "cost(0.02) or resolved(tol=5%)", "plateau(tol=5%) and (smoothed(median) or iterations(12))",
]  # fmt: skip
RULES = [*standard_rules(GradePlateau(scope="all")), *map(parse_rule, TEXTS)]


@pytest.fixture(scope="module")
def whole(problem):
    return follow(problem, ())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_stops_a_run_where_it_would_have(problem, whole, rule):
    expected = counterfactual(whole.history, [rule])[rule.name]
    stopped = follow(problem, (rule,))
    if expected is None or expected == LONGEST:
        assert stopped.history.last.iteration == LONGEST
        return
    assert (stopped.stop.iteration, stopped.stop.rule) == (expected, rule.name)
    assert stopped.history.last.iteration == expected
    assert [s.cost for s in stopped.history.steps] == [s.cost for s in whole.history.steps[: expected + 1]]


def test_the_rules_differ_on_this_run(whole):
    stops = counterfactual(whole.history, RULES)
    assert len({k for k in stops.values() if k is not None}) >= 4
    assert sum(k is not None for k in stops.values()) >= 10


def config_of(**options):
    return load_config(overrides=options)


def test_the_rules_of_a_configuration():
    names = [
        rule.name for rule in acting_rules(config_of(stop_on_plateau=True, rule="slope or time(9)"), 0.0)
    ]
    assert names == ["nan", "grade_plateau_mean", "slope or time(seconds=9s)", "max_iter"]
    shadow = config_of(stop_on_plateau=True, rule="slope", shadow=True, time_limit="9s")
    assert [rule.name for rule in acting_rules(shadow, 0.0)] == ["nan", "max_iter", "time_limit"]
    assert [rule.name for rule in acting_rules(config_of(), 0.0)] == ["nan", "max_iter"]


def test_time_counts_what_was_spent_before_in_every_rule():
    config = config_of(rule="time(9) or (cost and time(5))", time_limit="7s")
    own = own_rule(config, 4.0)
    assert own.parts[0] == TimeLimit(9, 4.0)
    assert own.parts[1].parts[1] == TimeLimit(5, 4.0)
    assert acting_rules(config, 4.0)[-1] == TimeLimit(7.0, 4.0)
    assert compared_rules(config, 4.0)[-1] == own
    assert acting_rules(config, 4.0)[-1] in compared_rules(config, 4.0)
    assert own_rule(config_of()) is None


def test_what_every_run_is_compared_with():
    config = config_of(scope="best", min_iter=4, patience=3, plateau_tol=0.03, plateau_floor=0.5)
    rules = {rule.name: rule for rule in compared_rules(config)}
    assert list(rules) == [
        "grade_plateau_best", "grade_plateau_mean", "grade_plateau_all", "cost_plateau",
        "grade_scale_plateau_best", "grade_slope_best", "grade_smoothed_best", "grade_smoothed_median_best",
        "grade_resolved_best", "grade_resolved_patches_best", "grade_best_so_far_best",
    ]  # fmt: skip
    assert rules["grade_plateau_best"] == plateau_rule(config) == GradePlateau(0.03, 0.5, 3, 4, "best")
    assert all(getattr(rule, "min_iter", 4) == 4 for rule in rules.values())
    own = {rule.name: rule for rule in compared_rules(config_of(rule="slope(6)"))}
    assert own["grade_slope_mean"].window == 6
    assert len(own) == len(rules)
    assert "slope or cost" in {rule.name for rule in compared_rules(config_of(rule="slope or cost"))}
