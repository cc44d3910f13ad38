"""Rules made of rules: one of several, or all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from csiq.errors import ConfigError
from csiq.history import History
from csiq.stopping import rule as _rule
from csiq.stopping.rule import Rule


@dataclass(frozen=True)
class _Combined:
    """Rules that decide together, at each iteration anew; may be nested.

    Parameters
    ----------
    parts : tuple of Rule

    Raises
    ------
    ConfigError
        If there is none.
    """

    parts: tuple[Rule, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        if not self.parts:
            raise ConfigError("no rule to combine", field="rule")

    @property
    def name(self) -> str:
        """The rule as an expression."""
        from csiq.stopping.spelling import spelled

        return spelled(cast(Rule, self))

    @property
    def reason(self) -> str:
        """Plateau if a part has it, else the reason of the first."""
        return _plateau_or_first([part.reason for part in self.parts])

    @property
    def uses_grades(self) -> bool:
        """Whether a part looks at grades."""
        return any(_rule.uses_grades(part) for part in self.parts)

    @property
    def hindsight(self) -> bool:
        """Whether a part needs the whole curve."""
        return any(_rule.needs_hindsight(part) for part in self.parts)

    def knowing(self, whole: History) -> Any:
        """Return the rule whose parts know the whole curve."""

        def told(part: Rule) -> Rule:
            """Return the part, told the whole curve if it needs hindsight."""
            return cast(Any, part).knowing(whole) if _rule.needs_hindsight(part) else part

        return type(self)(tuple(told(part) for part in self.parts))

    def why_off(self, history: History) -> str | None:
        """Return why the first part that is switched off is, or None."""
        return next(filter(None, (_rule.why_off(part, history) for part in self.parts)), None)


@dataclass(frozen=True)
class AnyOf(_Combined):
    """Fires where at least one of its parts does.

    Parameters
    ----------
    parts : tuple of Rule
    """

    def fires(self, history: History) -> bool:
        """Whether a part fires at the last iteration of ``history``."""
        return any(part.fires(history) for part in self.parts)

    def reason_at(self, history: History) -> str:
        """Return the reason of the first part that fires."""
        return next(
            (_rule.reason_of(part, history) for part in self.parts if part.fires(history)), self.reason
        )

    def sentence(self) -> str:
        """Return the rule in words."""
        return ", or ".join(_within(part) for part in self.parts)


@dataclass(frozen=True)
class AllOf(_Combined):
    """Fires where all of its parts do, at one and the same iteration.

    Parameters
    ----------
    parts : tuple of Rule
    """

    def fires(self, history: History) -> bool:
        """Whether every part fires at the last iteration of ``history``."""
        return all(part.fires(history) for part in self.parts)

    def reason_at(self, history: History) -> str:
        """Return plateau if a part says so, else the reason of the first: no limit would have sufficed."""
        return _plateau_or_first([_rule.reason_of(part, history) for part in self.parts])

    def sentence(self) -> str:
        """Return the rule in words."""
        return ", and ".join(_within(part) for part in self.parts)


def _within(part: Rule) -> str:
    return f"({part.sentence()})" if isinstance(part, _Combined) and len(part.parts) > 1 else part.sentence()


def _plateau_or_first(reasons: list[str]) -> str:
    return "plateau" if "plateau" in reasons else reasons[0]


def leaves(rule: Rule) -> Iterator[Rule]:
    """Yield the rules that a rule is made of, itself if it is simple."""
    if isinstance(rule, _Combined):
        for part in rule.parts:
            yield from leaves(part)
    else:
        yield rule


def mapped(rule: Rule, change: Callable[[Rule], Rule]) -> Rule:
    """Return a rule with each of its simple rules changed."""
    if isinstance(rule, (AnyOf, AllOf)):
        return type(rule)(tuple(mapped(part, change) for part in rule.parts))
    return change(rule)
