"""Each rule against a brute-force statement of its definition, on drawn curves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from csiq.history import History, Step, noise_floor
from csiq.stopping import (
    BestSoFar,
    CostGap,
    CostPlateau,
    GradePlateau,
    GradeSlope,
    ResolvedPlateau,
    ScalePlateau,
    SmoothedPlateau,
    Track,
    stop_iteration,
    tracks,
)
from csiq.stopping.trend import Line
from tests.stopping.curves import NAN, curves, history_of

many = settings(max_examples=80, deadline=None)
scopes = st.sampled_from(["mean", "best", "all"])
starts = st.integers(1, 6)


def lines_of(history: History, scope: str) -> list[list[tuple[float, float]]]:
    """Return (grade, noise floor) along the iterations of each line that a scope looks at."""
    if scope == "mean":
        return [[(math.fsum(s.grades) / len(s.grades), noise_floor(s.grade_sds)) for s in history.steps]]
    each = [
        [(s.grades[p], noise_floor([s.grade_sds[p]])) for s in history.steps] for p in range(n_of(history))
    ]
    return (
        each
        if scope == "all"
        else [[max(pairs, key=lambda pair: pair[0]) for pairs in zip(*each, strict=True)]]
    )


def n_of(history: History) -> int:
    return len(history.steps[0].grades)


def first(history: History, scope: str, earliest: int, still, seen_as=lambda line: line) -> int | None:
    """Return the first iteration from ``earliest`` on where every line is armed and ``still(line)``."""
    for k in range(earliest, len(history)):
        seen = history.steps[: k + 1]
        if any(not math.isfinite(g) for s in seen for g in s.grades):
            return None
        before, now = seen[-2].cost, seen[-1].cost
        cost_arms = math.isfinite(before) and math.isfinite(now) and before - now < 1e-3 * before
        lines = [seen_as(line) for line in lines_of(History(seen), scope)]
        armed = [cost_arms or any(abs(g - line[0][0]) >= 0.1 for g, _ in line) for line in lines]
        if all(armed) and all(still(line) for line in lines):
            return k
    return None


def small_steps(grades, patience: int, bound) -> bool:
    n = len(grades)
    return all(abs(grades[j] - grades[j - 1]) < bound(grades[j - 1]) for j in range(n - patience, n))


@many
@given(
    curves(),
    st.sampled_from([0.0, 0.02, 0.1]),
    st.sampled_from([0.5, 1.0]),
    st.integers(1, 4),
    starts,
    scopes,
)
def test_plateau(history, tol, floor, patience, min_iter, scope):
    rule = GradePlateau(tol, floor, patience, min_iter, scope)
    expected = first(
        history, scope, max(min_iter, patience),
        lambda line: small_steps([g for g, _ in line], patience, lambda old: tol * max(old, floor)),
    )  # fmt: skip
    assert stop_iteration(history, rule) == expected


@many
@given(curves(), st.sampled_from([0.0, 0.005, 0.05]), st.integers(1, 4), starts, scopes)
def test_scale(history, tol, patience, min_iter, scope):
    rule = ScalePlateau(tol, patience, min_iter, scope)
    expected = first(
        history, scope, max(min_iter, patience),
        lambda line: small_steps([g for g, _ in line], patience, lambda old: tol * 4),
    )  # fmt: skip
    assert stop_iteration(history, rule) == expected


@many
@given(curves(), st.integers(2, 6), st.sampled_from([0.005, 0.05, 0.2]), starts, scopes)
def test_slope(history, window, bound, min_iter, scope):
    rule = GradeSlope(window, bound, min_iter, scope)

    def still(line) -> bool:
        slope = np.polyfit(np.arange(window), [g for g, _ in line[-window:]], 1)[0]
        return abs(slope) < bound

    assert stop_iteration(history, rule) == first(history, scope, max(min_iter, window - 1), still)


@many
@given(
    curves(), st.sampled_from(["exponential", "median"]), st.integers(1, 5), st.sampled_from([0.02, 0.1]),
    st.sampled_from([0.5, 1.0]), st.integers(1, 3), starts, scopes,
)  # fmt: skip
def test_smoothed(history, how, span, tol, floor, patience, min_iter, scope):
    rule = SmoothedPlateau(how, span, tol, floor, patience, min_iter, scope)

    def smooth(line):
        grades = [g for g, _ in line]
        if how == "median":
            return [(float(np.median(grades[max(0, k - span + 1) : k + 1])), 0.0) for k in range(len(line))]
        # the closed form: weights (1 - a)^j a, what is left on the first
        a = 2 / (span + 1)
        return [
            (sum(a * (1 - a) ** j * grades[k - j] for j in range(k)) + (1 - a) ** k * grades[0], 0.0)
            for k in range(len(line))
        ]

    expected = first(
        history, scope, max(min_iter, patience),
        lambda line: small_steps([g for g, _ in line], patience, lambda old: tol * max(old, floor)),
        smooth,
    )  # fmt: skip
    assert stop_iteration(history, rule) == expected


@many
@given(
    curves(), st.sampled_from([0.02, 0.1]), st.sampled_from([0.5, 1.0]), st.integers(3, 5),
    st.sampled_from([0.6, 0.95]), st.sampled_from(["scatter", "patches"]), starts, scopes,
)  # fmt: skip
def test_resolved(history, tol, floor, window, level, noise, min_iter, scope):
    rule = ResolvedPlateau(tol, floor, window, level, noise, min_iter, scope)

    def still(line) -> bool:
        grades = [g for g, _ in line]
        bound = tol * max(grades[-1], floor)
        for w in range(window, len(line) + 1):
            x = np.arange(w) - (w - 1) / 2
            slope, middle = np.polyfit(x, grades[-w:], 1)
            left = np.sum((grades[-w:] - middle - slope * x) ** 2)
            reach = stats.t.ppf(level, w - 2) * math.sqrt(left / (w - 2) / np.sum(x**2))
            if noise == "patches":
                error = np.linalg.norm(x * [s for _, s in line[-w:]]) / np.sum(x**2)
                reach = stats.norm.ppf(level) * error
            if abs(slope) + reach < bound:
                return True
        return False

    assert stop_iteration(history, rule) == first(history, scope, max(min_iter, window - 1), still)


@many
@given(
    curves(), st.integers(1, 4), st.sampled_from([0.0, 0.02, 0.2]), st.sampled_from([0.0, 1.0, 2.0]), starts,
    scopes,
)  # fmt: skip
def test_best_so_far(history, patience, gain, noise, min_iter, scope):
    rule = BestSoFar(patience, gain, noise, min_iter, scope)

    def still(line) -> bool:
        bests = [0]
        for k, (grade, floor) in enumerate(line):
            if grade - line[bests[-1]][0] > max(gain, noise * floor):
                bests.append(k)
        return len(line) - 1 - bests[-1] >= patience

    assert stop_iteration(history, rule) == first(history, scope, max(min_iter, patience), still)


@many
@given(curves(), st.sampled_from([1e-3, 0.1]), st.integers(1, 4), starts)
def test_cost(history, tol, patience, min_iter):
    costs = [s.cost for s in history.steps]
    expected = next(
        (
            k
            for k in range(max(min_iter, patience), len(costs))
            if all(costs[j - 1] - costs[j] < tol * costs[j - 1] for j in range(k - patience + 1, k + 1))
        ),
        None,
    )
    assert stop_iteration(history, CostPlateau(tol, patience, min_iter)) == expected


@many
@given(curves(), st.sampled_from([0.0, 0.01, 0.3]))
def test_cost_gap(history, gap):
    costs = np.array([s.cost for s in history.steps])
    near = np.flatnonzero(costs - costs[-1] <= gap * (costs[0] - costs[-1]))
    assert stop_iteration(history, CostGap(gap)) == (int(near[0]) if near.size else None)


# ---------------------------------------------------------------- what holds for all of them

RULES = [
    GradePlateau(), ScalePlateau(), GradeSlope(), SmoothedPlateau(), SmoothedPlateau("median"),
    ResolvedPlateau(), ResolvedPlateau(noise="patches"), BestSoFar(),
]  # fmt: skip
grade_rules = st.sampled_from(RULES)


@many
@given(curves(missing=False), curves(missing=False), grade_rules, scopes)
def test_what_comes_after_changes_no_decision(history, other, rule, scope):
    rule = replace(rule, scope=scope)
    n = n_of(history)
    later = [
        replace(s, iteration=len(history) + i, grades=(s.grades * 3)[:n], grade_sds=(s.grade_sds * 3)[:n])
        for i, s in enumerate(other.steps)
    ]
    longer = History([*history.steps, *later])
    stop = stop_iteration(history, rule)
    assert stop_iteration(longer, rule) == stop or (
        stop is None and stop_iteration(longer, rule) >= len(history)
    )


@many
@given(curves(missing=False), grade_rules, scopes, st.data())
def test_a_grade_that_is_no_number_never_stops_a_run(history, rule, scope, data):
    rule = replace(rule, scope=scope, min_iter=1)
    hole = data.draw(st.integers(0, len(history) - 1))
    bad = data.draw(st.sampled_from([math.nan, math.inf, -math.inf]))
    steps = list(history.steps)
    steps[hole] = replace(steps[hole], grades=(*steps[hole].grades[:-1], bad))
    stop = stop_iteration(History(steps), rule)
    assert stop is None or stop < hole
    assert f"no grade at iteration {hole}" in rule.why_off(History(steps))
    assert rule.why_off(history) is None


@many
@given(curves(), grade_rules, scopes, st.sampled_from([0.25, 2.0, 2.0**10]))
def test_the_scale_of_the_cost_changes_no_decision(history, rule, scope, scale):
    rule = replace(rule, scope=scope)
    # powers of two scale without rounding, so that decisions are the same to the bit
    scaled = History([replace(s, cost=scale * s.cost) for s in history.steps])
    assert stop_iteration(history, rule) == stop_iteration(scaled, rule)


@many
@given(curves(missing=False), grade_rules)
def test_one_phase_is_the_same_in_every_scope(history, rule):
    alone = history.of_phase(0)
    stops = {stop_iteration(alone, replace(rule, scope=scope)) for scope in ("mean", "best", "all")}
    assert len(stops) == 1


@many
@given(curves(missing=False), st.sampled_from(["scatter", "patches"]))
def test_resolved_fires_only_where_the_slope_is_small_too(history, noise):
    """Noise makes the rule wait: it never fires where a line through some window is not flat enough."""
    rule = ResolvedPlateau(noise=noise)
    stop = stop_iteration(history, rule)
    if stop is None:
        return
    grades = [s.mean_grade for s in history.steps[: stop + 1]]
    bound = rule.tol * max(grades[-1], rule.floor)
    slopes = [abs(np.polyfit(np.arange(w), grades[-w:], 1)[0]) for w in range(4, stop + 2)]
    assert min(slopes) < bound


def test_resolved_waits_until_the_noise_cannot_hide_a_slope():
    """With noise s on each of w grades the slope's error is s / sqrt(w (w^2 - 1) / 12)."""
    grades = [0.3] + [2.0] * 30
    for sd in (0.1, 0.3, 0.6):
        s = noise_floor([sd])
        wait = next(
            w for w in range(4, 40) if stats.norm.ppf(0.95) * s / math.sqrt(w * (w * w - 1) / 12) < 0.04
        )
        # w grades from iteration 1 on end at iteration w
        assert stop_iteration(history_of(grades, sd=sd), ResolvedPlateau(noise="patches")) == wait
    # scatter: noise of 0.05 hides a slope of 0.04 in four grades, and is resolved by more
    rng = np.random.default_rng(3)
    noisy = [0.3, *(2.0 + 0.05 * rng.standard_normal(30))]
    assert stop_iteration(history_of(noisy), GradeSlope(4, 0.04)) < stop_iteration(
        history_of(noisy), ResolvedPlateau()
    )


def test_noise_of_the_tolerance_never_resolves_a_plateau_in_a_short_run():
    """A curve that rises by three tolerances an iteration, with as much noise: steps look small by luck."""
    rng = np.random.default_rng(0)
    fooled = {"plateau": 0, "resolved": 0}
    n = 200
    for _ in range(n):
        grades = list(0.5 + 0.06 * np.arange(9) + 0.06 * rng.standard_normal(9))
        history = history_of(grades)
        fooled["plateau"] += stop_iteration(history, GradePlateau()) is not None
        fooled["resolved"] += stop_iteration(history, ResolvedPlateau()) is not None
    assert fooled["resolved"] <= 0.02 * n
    assert fooled["plateau"] > 0.05 * n


def test_each_scope_has_the_grades_and_noise_of_its_phases():
    steps = [
        Step(0, 9.0, 9.0, 0.0, (1.0, 2.0, 1.5), (0.1, 0.2, 0.6)),
        Step(1, 8.0, 8.0, 0.0, (2.5, 2.0, 1.5), (0.1, 0.2, NAN)),
    ]
    root = math.sqrt(18)
    history = History(steps)
    assert tracks(history, "all") == [
        Track((1.0, 2.5), (0.1 / root, 0.1 / root)),
        Track((2.0, 2.0), (0.2 / root, 0.2 / root)),
        Track((1.5, 1.5), (0.6 / root, 0.0)),
    ]
    assert tracks(history, "best") == [Track((2.0, 2.5), (0.2 / root, 0.1 / root))]
    (mean,) = tracks(history, "mean")
    assert mean.grades == (1.5, 2.0)
    assert mean.noise == pytest.approx((0.3 / root, 0.15 / root))


@pytest.mark.parametrize("n", [2, 3, 7])
def test_a_line_is_that_of_least_squares(n, rng):
    grades = rng.uniform(0, 4, n)
    fit = np.polyfit(np.arange(n), grades, 1)
    left = np.sum((grades - np.polyval(fit, np.arange(n))) ** 2)
    line = Line.through(list(grades))
    assert line.slope == pytest.approx(fit[0])
    assert np.dot(line.weights, grades) == pytest.approx(fit[0])
    if n == 2:
        assert math.isnan(line.residual)
    else:
        assert line.residual == pytest.approx(math.sqrt(left / (n - 2)))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_flat_start_with_a_falling_cost_is_no_plateau(rule):
    history = history_of([0.05] * 8 + [2.0] * 14)
    assert stop_iteration(history, rule) >= 9
    assert stop_iteration(history_of([0.05] * 8, [50.0] * 8), rule) is not None  # the cost stands still, too
