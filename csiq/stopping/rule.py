"""What a rule is, where a run stopped, and where other rules would have stopped it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

from csiq.errors import ConfigError
from csiq.history import History

#: Words for why a run that a rule stops has stopped.
REASONS = ("plateau", "max_iter", "time_limit", "nan")


@runtime_checkable
class Rule(Protocol):
    """What every rule offers: it holds numbers only, keeps no state, and decides on a history.

    ``name`` is its key in ``run.json``, ``reason`` the word of ``stop.reason``. A rule may offer more, which
    is asked for where it is there:

    - ``uses_grades`` (bool): without a grader it never fires;
    - ``why_off(history) -> str | None``: why it is switched off, for a warning;
    - ``reason_at(history) -> str``: the reason where it depends on what fired;
    - ``knowing(whole) -> Rule``: the rule of hindsight that only the whole curve makes decidable. A rule with
      this method can be looked at afterwards and never stops a run.
    """

    @property
    def name(self) -> str:
        """Key of the rule."""

    @property
    def reason(self) -> str:
        """Why a run that it stops has stopped: plateau, max_iter, time_limit or nan."""

    def fires(self, history: History) -> bool:
        """Whether the rule fires at the last iteration of ``history``."""

    def sentence(self) -> str:
        """Return the rule in words."""


Rules = Sequence[Rule] | Mapping[str, Rule]


@dataclass(frozen=True)
class Stop:
    """Where a run stopped and why: the ``stop`` entry of ``run.json``.

    Attributes
    ----------
    iteration : int
    reason : str
        plateau, max_iter, time_limit, interrupted or nan.
    rule : str, optional
        Name of the rule that fired; None when a person or a signal stopped the run.
    """

    iteration: int
    reason: str
    rule: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return the object written to ``run.json``."""
        return {"iteration": self.iteration, "reason": self.reason, "rule": self.rule}


def first_to_fire(history: History, rules: Sequence[Rule]) -> Stop | None:
    """Return the stop by the first of ``rules`` that fires at the last iteration; None to go on."""
    for rule in rules:
        if rule.fires(history):
            return Stop(history.last.iteration, reason_of(rule, history), rule.name)
    return None


def stop_iteration(history: History, rule: Rule) -> int | None:
    """Return the iteration at which a rule would have stopped a run; None if it would not have."""
    decided = cast(Any, rule).knowing(history) if needs_hindsight(rule) else rule
    return next((k for k in range(len(history)) if decided.fires(history.upto(k))), None)


def counterfactual(history: History, rules: Rules) -> dict[str, int | None]:
    """Return, by name, the iteration at which each rule would have stopped the run.

    None: it would not have stopped it within the iterations that were computed. A rule that
    :func:`needs_hindsight` is told the whole history first.

    Parameters
    ----------
    history : History
    rules : sequence of Rule, or mapping of name to Rule
    """
    return {name: stop_iteration(history, rule) for name, rule in named(rules).items()}


def named(rules: Rules) -> dict[str, Rule]:
    """Return rules by name; of equal names the last counts."""
    return dict(rules) if isinstance(rules, Mapping) else {rule.name: rule for rule in rules}


def why_off(rule: Rule, history: History) -> str | None:
    """Return why a rule is switched off, or None while it works."""
    ask = getattr(rule, "why_off", None)
    return ask(history) if ask is not None else None


def reason_of(rule: Rule, history: History) -> str:
    """Return the reason of a rule that fires at the last iteration of ``history``."""
    ask = getattr(rule, "reason_at", None)
    return ask(history) if ask is not None else rule.reason


def uses_grades(rule: Rule) -> bool:
    """Return whether a rule looks at grades: without a grader it never fires."""
    return bool(getattr(rule, "uses_grades", False))


def needs_hindsight(rule: Rule) -> bool:
    """Return whether a rule can only be looked at afterwards, since it needs the whole curve."""
    return bool(getattr(rule, "hindsight", hasattr(rule, "knowing")))


# ---------------------------------------------------------------- what rules check their numbers with


def check_at_least(field: str, value: float, least: float, *, above: bool = False) -> None:
    """Refuse a number that is not finite or too small.

    Raises
    ------
    ConfigError
        If ``value`` is below ``least``, or not above it where it must be ``above``.
    """
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not fits or value < least or (above and value == least):
        raise ConfigError(f"expected a number {'>' if above else '>='} {least:g}, got {value}", field=field)


def check_count(field: str, value: int, least: int = 1) -> None:
    """Refuse what is no whole number of at least ``least``.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(f"expected a whole number, got {value}", field=field)
    if value < least:
        raise ConfigError(f"expected at least {least}, got {value}", field=field)
