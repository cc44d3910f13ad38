"""A rule written as an expression that :func:`csiq.stopping.parse_rule` reads back."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from csiq.stopping.combine import AllOf, AnyOf
from csiq.stopping.registry import _MAKERS, is_duration, parameters_of
from csiq.stopping.rule import Rule


def spelled(rule: Rule) -> str:
    """Return a rule as an expression, with the parameters that are not the usual ones.

    Parameters
    ----------
    rule : Rule
        One that no expression can make is called by its name.
    """
    rule = _unwrapped(rule)
    if isinstance(rule, AnyOf):
        return " or ".join(_nested(part, (AnyOf,)) for part in rule.parts)
    if isinstance(rule, AllOf):
        return " and ".join(_nested(part, (AnyOf, AllOf)) for part in rule.parts)
    word = next((word for word, make in _MAKERS.items() if make is type(rule)), None)
    if word is None or not is_dataclass(rule):
        return rule.name
    known = parameters_of(word)
    given = [
        f"{f.name}={_value(f.name, getattr(rule, f.name))}"
        for f in fields(rule)
        if f.name in known and (f.default is MISSING or getattr(rule, f.name) != f.default)
    ]
    return f"{word}({', '.join(given)})" if given else word


def _unwrapped(rule: Rule) -> Rule:
    """Return what a combination of one rule is the same as."""
    while isinstance(rule, (AnyOf, AllOf)) and len(rule.parts) == 1:
        rule = rule.parts[0]
    return rule


def _nested(part: Rule, within: tuple[type, ...]) -> str:
    return f"({spelled(part)})" if isinstance(_unwrapped(part), within) else spelled(part)


def _value(name: str, value: Any) -> str:
    return f"{value:g}s" if is_duration(name) else str(value)
