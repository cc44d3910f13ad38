"""Every parameter of every rule changes where it stops some curve, and impossible values are refused."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest

from csiq.config import Config
from csiq.errors import ConfigError
from csiq.stopping import (
    BestSoFar,
    CostGap,
    CostPlateau,
    GradePlateau,
    GradeSlope,
    MaxIter,
    ResolvedPlateau,
    ScalePlateau,
    SmoothedPlateau,
    TimeLimit,
    stop_iteration,
)
from csiq.stopping.configured import plateau_rule
from tests.stopping.curves import NAN, history_of

# levels off by steps that halve: 0.8, 0.4, 0.2 ...
HALVING = history_of([2.0 - 1.6 * 0.5**k for k in range(16)], sd=0.1)
NOISY = history_of([2.0 - 1.6 * 0.5**k for k in range(16)], sd=0.6)
# one odd iterate on the plateau, and a slow creep after it
ODD = history_of([0.3, 1.0, 1.5, 1.5, 1.5, 1.9, 1.5, 1.5, 1.5, 1.51, 1.52, 1.53, 1.54], sd=0.1)
# phase 1 is done at once, phase 2 creeps
TWO = history_of([[0.3, 0.2]] + [[2.0, min(0.2 + 0.15 * k, 1.4)] for k in range(1, 16)])
LOW = history_of([0.01 + 0.4 * (1 - 0.5**k) for k in range(16)])
COSTS = history_of([NAN] * 16, [50 + 50 * 0.4**k for k in range(16)])

#: Rule, parameter, history, then (value, where it stops) twice.
TABLE = [
    (GradePlateau(), "tol", HALVING, (0.02, 7), (0.2, 4)),
    (GradePlateau(), "floor", LOW, (1.0, 6), (0.1, 7)),
    (GradePlateau(), "patience", HALVING, (2, 7), (4, 9)),
    (GradePlateau(), "min_iter", HALVING, (3, 7), (9, 9)),
    (GradePlateau(), "scope", TWO, ("mean", 10), ("best", 3)),
    (ScalePlateau(), "tol", HALVING, (0.01, 7), (0.1, 4)),
    (ScalePlateau(), "patience", HALVING, (2, 7), (4, 9)),
    (ScalePlateau(), "min_iter", HALVING, (3, 7), (9, 9)),
    (ScalePlateau(), "scope", TWO, ("mean", 10), ("best", 3)),
    (GradeSlope(), "window", HALVING, (4, 8), (2, 7)),
    (GradeSlope(), "per_iteration", HALVING, (0.02, 8), (0.2, 5)),
    (GradeSlope(), "min_iter", HALVING, (3, 8), (11, 11)),
    (GradeSlope(), "scope", TWO, ("mean", 11), ("best", 4)),
    (SmoothedPlateau(), "how", ODD, ("exponential", 9), ("median", 5)),
    (SmoothedPlateau(), "span", HALVING, (3, 9), (1, 7)),
    (SmoothedPlateau(), "tol", HALVING, (0.02, 9), (0.2, 5)),
    (SmoothedPlateau(), "floor", LOW, (1.0, 7), (0.1, 9)),
    (SmoothedPlateau(), "patience", HALVING, (2, 9), (4, 11)),
    (SmoothedPlateau(), "min_iter", HALVING, (3, 9), (12, 12)),
    (SmoothedPlateau(), "scope", TWO, ("mean", 11), ("best", 7)),
    (ResolvedPlateau(), "tol", HALVING, (0.02, 8), (0.2, 4)),
    (ResolvedPlateau(), "floor", LOW, (1.0, 7), (0.1, 8)),
    (ResolvedPlateau(), "window", HALVING, (4, 8), (7, 10)),
    (ResolvedPlateau(), "level", HALVING, (0.95, 8), (0.9999, 10)),
    (ResolvedPlateau(), "noise", NOISY, ("scatter", 8), ("patches", 13)),
    (ResolvedPlateau(), "min_iter", HALVING, (3, 8), (12, 12)),
    (ResolvedPlateau(), "scope", TWO, ("mean", 11), ("best", 4)),
    (BestSoFar(), "patience", HALVING, (3, 9), (4, 10)),
    (BestSoFar(), "gain", HALVING, (0.02, 9), (0.2, 7)),
    (BestSoFar(), "noise", HALVING, (1.0, 9), (0.0, 12)),
    (BestSoFar(), "min_iter", HALVING, (3, 9), (10, 10)),
    (BestSoFar(), "scope", TWO, ("mean", 11), ("best", 4)),
    (CostPlateau(), "tol", COSTS, (1e-3, 9), (0.1, 4)),
    (CostPlateau(), "patience", COSTS, (2, 9), (4, 11)),
    (CostPlateau(), "min_iter", COSTS, (3, 9), (12, 12)),
    (CostGap(), "gap", COSTS, (1e-2, 6), (0.2, 2)),
    (MaxIter(), "max_iter", HALVING, (5, 5), (9, 9)),
    # 1.5 s an iteration
    (TimeLimit(4.0), "seconds", HALVING, (4.0, 3), (9.0, 6)),
    (TimeLimit(9.0), "before_s", HALVING, (0.0, 6), (5.0, 3)),
]
IDS = [f"{type(rule).__name__}-{name}" for rule, name, *_ in TABLE]


@pytest.mark.parametrize(("rule", "name", "history", "one", "other"), TABLE, ids=IDS)
def test_a_parameter_moves_the_stop(rule, name, history, one, other):
    stops = [stop_iteration(history, replace(rule, **{name: value})) for value, _ in (one, other)]
    assert stops == [one[1], other[1]]
    assert stops[0] != stops[1]
    if name != "before_s" and name != "min_iter" and name != "scope":
        words = {replace(rule, **{name: value}).sentence() for value, _ in (one, other)}
        assert len(words) == 2, "the sentence says the parameter"


def test_no_parameter_was_forgotten():
    rules = {type(rule) for rule, *_ in TABLE}
    there = {(cls, f.name) for cls in rules for f in fields(cls)} - {(CostGap, "final")}
    assert {(type(rule), name) for rule, name, *_ in TABLE} == there


def test_what_is_usual():
    """The defaults that docs/stopping.md states; the plateau's are those of the configuration."""
    rules = [GradePlateau, ScalePlateau, GradeSlope, SmoothedPlateau, ResolvedPlateau, BestSoFar, CostPlateau]
    usual = {cls: tuple(f.default for f in fields(cls)) for cls in rules}
    assert usual == {
        GradePlateau: (0.02, 1.0, 2, 3, "mean"),
        ScalePlateau: (0.01, 2, 3, "mean"),
        GradeSlope: (4, 0.02, 3, "mean"),
        SmoothedPlateau: ("exponential", 3, 0.02, 1.0, 2, 3, "mean"),
        ResolvedPlateau: (0.02, 1.0, 4, 0.95, "scatter", 3, "mean"),
        BestSoFar: (3, 0.02, 1.0, 3, "mean"),
        CostPlateau: (1e-3, 2, 3),
    }
    assert (CostGap().gap, CostGap().final, MaxIter().max_iter) == (1e-2, None, 20)
    assert plateau_rule(Config()) == GradePlateau()


def test_every_scope_is_its_own_rule():
    stops = {scope: stop_iteration(TWO, GradePlateau(scope=scope)) for scope in ("mean", "best", "all")}
    # phase 2 takes its last step of 0.15 at 8, so 10 ends two small ones; the mean follows it
    assert stops == {"mean": 10, "best": 3, "all": 10}
    assert {GradeSlope(scope=s).name for s in stops} == {f"grade_slope_{s}" for s in stops}


BAD = [
    (GradePlateau, {"tol": -1.0}), (GradePlateau, {"tol": NAN}), (GradePlateau, {"floor": math.inf}),
    (GradePlateau, {"patience": 0}), (GradePlateau, {"patience": 1.5}), (GradePlateau, {"min_iter": 0}),
    (GradePlateau, {"scope": "men"}), (ScalePlateau, {"tol": -0.1}), (ScalePlateau, {"patience": 0}),
    (GradeSlope, {"window": 1}), (GradeSlope, {"per_iteration": -1}), (GradeSlope, {"window": True}),
    (SmoothedPlateau, {"how": "mode"}), (SmoothedPlateau, {"span": 0}), (SmoothedPlateau, {"tol": "2"}),
    (SmoothedPlateau, {"floor": -1}), (SmoothedPlateau, {"patience": 0}),
    (ResolvedPlateau, {"window": 2}), (ResolvedPlateau, {"level": 0.4}), (ResolvedPlateau, {"level": 1.0}),
    (ResolvedPlateau, {"noise": "hiss"}), (ResolvedPlateau, {"tol": NAN}), (ResolvedPlateau, {"floor": -1}),
    (BestSoFar, {"patience": 0}), (BestSoFar, {"gain": -1}), (BestSoFar, {"noise": -1}),
    (CostPlateau, {"tol": -1}), (CostPlateau, {"patience": 0}), (CostPlateau, {"min_iter": 0}),
    (CostGap, {"gap": -1}), (MaxIter, {"max_iter": 0}), (TimeLimit, {"seconds": 0}),
]  # fmt: skip


@pytest.mark.parametrize(("cls", "bad"), BAD, ids=lambda value: getattr(value, "__name__", str(value)))
def test_impossible_values_are_refused_by_name(cls, bad):
    with pytest.raises(ConfigError) as error:
        cls(**bad)
    assert error.value.field == next(iter(bad))
