"""Which rules a monitor can stop by."""

from __future__ import annotations

from collections.abc import Sequence

from csiq.errors import ConfigError
from csiq.stopping import Rule, leaves, needs_hindsight, parse_stopping_rule


def rules_of(rule: Rule | Sequence[Rule] | str | None) -> tuple[Rule, ...]:
    """Return what a monitor was given as rules.

    Raises
    ------
    ConfigError
        If a text is no rule, or a rule needs the whole curve.
    """
    if isinstance(rule, str):
        return (parse_stopping_rule(rule),)
    rules: tuple[Rule, ...] = ()
    if rule is not None:
        rules = (rule,) if isinstance(rule, Rule) else tuple(rule)
    for one in rules:
        if needs_hindsight(one):
            raise ConfigError("needs the whole curve: it cannot stop anything", field=one.name)
    return rules


def check_gaps(rules: Sequence[Rule]) -> None:
    """Refuse rules that would take the straight line between two grades for a lack of noise.

    Raises
    ------
    ConfigError
        If a rule, or a part of one, goes by the scatter of the grades.
    """
    for part in (part for rule in rules for part in leaves(rule)):
        if getattr(part, "noise", None) == "scatter":
            raise ConfigError(
                f"{part.name} goes by the scatter of the grades, and some iterations have none",
                field="rule",
                hint="grade every iteration, or take another rule",
            )
