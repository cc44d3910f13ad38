"""The rules that a configuration asks for: those that may stop a run, and those that are only compared."""

from __future__ import annotations

from dataclasses import replace

from csiq.config import Config
from csiq.quantities import seconds_of
from csiq.stopping.combine import mapped
from csiq.stopping.expression import parse_stopping_rule
from csiq.stopping.limits import MaxIter, NotFinite, TimeLimit
from csiq.stopping.plateau import GradePlateau
from csiq.stopping.rule import Rule
from csiq.stopping.standard import standard_rules


def plateau_rule(config: Config) -> GradePlateau:
    """Return the grade plateau rule of a configuration."""
    stop = config.stop
    return GradePlateau(stop.plateau_tol, stop.plateau_floor, stop.patience, stop.min_iter, stop.scope)


def own_rule(config: Config, spent: float = 0.0) -> Rule | None:
    """Return the rule of ``--rule``, if there is one; its time limits count the seconds already spent."""
    if config.stop.rule is None:
        return None

    def started(rule: Rule) -> Rule:
        return replace(rule, before_s=spent) if isinstance(rule, TimeLimit) else rule

    return mapped(parse_stopping_rule(config.stop.rule), started)


def compared_rules(config: Config, spent: float = 0.0) -> tuple[Rule, ...]:
    """Return the rules of which a run records where they would have stopped it."""
    own = own_rule(config, spent)
    return standard_rules(plateau_rule(config), [*_time_limit(config, spent), *([own] if own else [])])


def _time_limit(config: Config, spent: float) -> list[TimeLimit]:
    limit = config.solver.time_limit
    return [TimeLimit(seconds_of(limit), spent)] if limit is not None else []


def acting_rules(config: Config, spent: float) -> tuple[Rule, ...]:
    """Return the rules that may stop a run, the first to be asked first."""
    rules: list[Rule] = [NotFinite()]
    own = own_rule(config, spent)
    if not config.stop.shadow:
        rules += [plateau_rule(config)] if config.stop.stop_on_plateau else []
        rules += [own] if own is not None else []
    return (*rules, MaxIter(config.solver.max_iter), *_time_limit(config, spent))
