"""Rules written as text: what is read, what is refused, and that nothing is ever run."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csiq.config import load_config
from csiq.errors import ConfigError
from csiq.stopping import (
    AllOf,
    AnyOf,
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
    parse_rule,
    parse_stopping_rule,
    register,
    rule_words,
    spelled,
    unregister,
)

READ = [
    ("plateau", GradePlateau()),
    ("plateau()", GradePlateau()),
    ("plateau(tol=0.05, floor=0.5, patience=3, min_iter=4, scope=all)", GradePlateau(0.05, 0.5, 3, 4, "all")),
    ("plateau(5%, 0.5)", GradePlateau(0.05, 0.5)),
    ("scale(tol=1e-2)", ScalePlateau(0.01)),
    ("slope(window=4, per_iteration=.02)", GradeSlope(4, 0.02)),
    ("slope(6)", GradeSlope(6)),
    ("smoothed(median, 5)", SmoothedPlateau("median", 5)),
    ("resolved(noise=patches, level=90%)", ResolvedPlateau(noise="patches", level=0.9)),
    ("best(patience=4, gain=0)", BestSoFar(4, 0)),
    ("cost(tol=+2e-3)", CostPlateau(0.002)),
    ("cost-gap(0.05)", CostGap(0.05)),
    ("cost_gap", CostGap()),
    ("iterations(7)", MaxIter(7)),
    ("time(90)", TimeLimit(90)),
    ("time(90s)", TimeLimit(90)),
    ("time(1.5h)", TimeLimit(5400)),
    ("  time ( seconds = 30m )\n", TimeLimit(1800)),
    ("plateau or time(30m)", AnyOf((GradePlateau(), TimeLimit(1800)))),
    ("plateau and cost or best", AnyOf((AllOf((GradePlateau(), CostPlateau())), BestSoFar()))),
    ("plateau and (cost or best)", AllOf((GradePlateau(), AnyOf((CostPlateau(), BestSoFar()))))),
    ("((cost))", CostPlateau()),
    ("cost or best or slope", AnyOf((CostPlateau(), BestSoFar(), GradeSlope()))),
]

WRONG = [
    ("", "expected a rule, got 'the end'"),
    ("slop(window=4)", "no rule 'slop'; did you mean 'slope'?"),
    ("slope(windw=4)", "slope has no parameter 'windw'; did you mean 'window'?"),
    ("slope(scope=men)", "slope(scope=...): 'men' is no scope; did you mean 'mean'?"),
    ("slope(window=4", "expected ',' or ')', got 'the end'"),
    ("slope(window=)", "expected a value, got ')'"),
    ("slope(window=4,)", "expected a value, got ')'"),
    ("slope(4, window=5)", "slope is given 'window' twice"),
    ("slope(1, 2, 3, mean, 5)", "slope takes 4 parameters at most"),
    ("slope(window=2.5)", "slope(window=...): expected a whole number, got 2.5"),
    ("slope(window=1)", "slope(window=...): expected at least 2, got 1"),
    ("slope(window=mean)", "slope(window=...) takes a number, got mean"),
    ("slope(scope=2)", "slope(scope=...) takes a word, got 2"),
    ("slope(window=2m)", "slope(window=...) takes no duration"),
    ("time", "time needs 'seconds'"),
    ("time(30x)", "'30x' has an unknown unit"),
    ("time(-3)", "time(seconds=...): expected a number > 0, got -3"),
    ("time(9, before_s=3)", "time has no parameter 'before_s'"),
    ("cost_gap(final=3)", "cost_gap has no parameter 'final'"),
    ("cost best", "expected 'and', 'or' or the end, got 'best'"),
    ("cost or or best", "expected a rule, got 'or'"),
    ("cost)", "expected 'and', 'or' or the end, got ')'"),
    ("and cost", "expected a rule, got 'and'"),
    ("__import__('os')", "''' has no meaning here"),
    ("cost; best", "';' has no meaning here"),
    ("(" * 30 + "cost" + ")" * 30, "more than 20 parentheses"),
    ("cost or " * 200 + "cost", "longer than 1000 characters"),
]


@pytest.mark.parametrize(("text", "rule"), READ)
def test_an_expression_is_read(text, rule):
    assert parse_rule(text) == rule
    assert parse_rule(spelled(rule)) == rule


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_a_wrong_expression_says_what_is_wrong(text, message):
    with pytest.raises(ConfigError) as error:
        parse_rule(text)
    assert message in error.value.one_line()
    assert error.value.field == "--rule"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from([*"(),=;.'", "cost", "time", "30m", "and", "or", "window", "4", "x"]), max_size=12
    )
)
def test_any_text_is_a_rule_or_a_clear_error(parts):
    try:
        rule = parse_rule(" ".join(parts))
    except ConfigError:
        return
    assert spelled(parse_rule(spelled(rule))) == spelled(rule)


def test_the_configuration_refuses_a_wrong_rule_at_once():
    assert load_config(overrides={"rule": "slope or time(30m)"}).stop.rule == "slope or time(30m)"
    with pytest.raises(ConfigError, match="did you mean 'slope'"):
        load_config(overrides={"rule": "slop"})
    with pytest.raises(ConfigError, match="whole curve"):
        load_config(overrides={"rule": "cost or cost_gap"})
    with pytest.raises(ConfigError, match="whole curve"):
        parse_stopping_rule("cost_gap(0.1)")


# ---------------------------------------------------------------- rules of other packages


class EveryNth:
    """A rule as another package may write it: no parent, no state."""

    name, reason = "every_nth", "plateau"

    def __init__(self, n: int = 3, grace_s: float = 0.0) -> None:
        self.n, self.grace_s = n, grace_s

    def fires(self, history) -> bool:
        return (
            len(history) > 1 and history.last.iteration % self.n == 0 and history.last.recon_s >= self.grace_s
        )

    def sentence(self) -> str:
        return f"every iteration that {self.n} divides"


@pytest.fixture
def every_nth():
    register("every_nth", EveryNth)
    yield
    unregister("every_nth")


@pytest.mark.usefixtures("every_nth")
def test_a_registered_rule_is_like_the_others():
    from csiq.stopping import counterfactual
    from tests.stopping.curves import history_of

    assert "every_nth" in rule_words()
    rule = parse_rule("every-nth(4, grace_s=1m) or iterations(9)")
    assert (rule.parts[0].n, rule.parts[0].grace_s) == (4, 60.0)
    history = history_of([1.0] * 12)
    assert counterfactual(history, [parse_rule("every_nth(5)")]) == {"every_nth": 5}
    assert parse_rule("every_nth and iterations(2)").name == "every_nth and iterations(max_iter=2)"
    with pytest.raises(ConfigError, match="did you mean 'every_nth'"):
        parse_rule("every_nt")
    register("every_nth", EveryNth)  # again the same
    with pytest.raises(ConfigError, match="already"):
        register("every_nth", GradeSlope)
    register("every_nth", GradeSlope, replace=True)
    assert parse_rule("every_nth(5)") == GradeSlope(5)


def test_only_rules_can_be_registered_and_none_in_the_place_of_ours():
    for word in ("or", "two words", "4th", ""):
        with pytest.raises(ConfigError, match="cannot name a rule"):
            register(word, GradeSlope)
    with pytest.raises(ConfigError, match="already"):
        register("slope", EveryNth, replace=True)
    unregister("slope")
    assert parse_rule("slope") == GradeSlope()
    with pytest.raises(ConfigError, match="no rule 'every_nth'"):
        parse_rule("every_nth")


@pytest.mark.parametrize(
    ("make", "message"), [(lambda: {"a": 1}, "made no rule but dict"), (None, "no known reason: bored")]
)
def test_what_a_registered_maker_returns_is_looked_at(make, message):
    class Bored(EveryNth):
        reason = "bored"

    for nothing in (3, dict):
        with pytest.raises(ConfigError, match="nothing that can be called"):
            register("bored", nothing)
    register("bored", make or Bored)
    try:
        with pytest.raises(ConfigError, match=message):
            parse_rule("bored")
    finally:
        unregister("bored")
    with pytest.raises(ConfigError):
        parse_rule("bored")
