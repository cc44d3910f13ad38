"""The rules that every run is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from csiq.stopping.best_so_far import BestSoFar
from csiq.stopping.cost import CostGap, CostPlateau
from csiq.stopping.grade_rule import SCOPES
from csiq.stopping.plateau import GradePlateau, ScalePlateau, SmoothedPlateau
from csiq.stopping.rule import Rule, named
from csiq.stopping.trend import GradeSlope, ResolvedPlateau


def plateau_rules(rule: GradePlateau) -> tuple[Rule, ...]:
    """Return ``rule`` in each scope, its own first, then the cost plateau."""
    others = [replace(rule, scope=scope) for scope in SCOPES if scope != rule.scope]
    return (rule, *others, CostPlateau(patience=rule.patience, min_iter=rule.min_iter))


def standard_rules(rule: GradePlateau, own: Sequence[Rule] = ()) -> tuple[Rule, ...]:
    """Return the rules of which every run records what they would have done.

    :func:`plateau_rules` first, then the other kinds with their usual parameters, in the scope and from the
    first iteration of ``rule``; then ``own``, each in place of a standard one of its name.

    Parameters
    ----------
    rule : GradePlateau
        That of the run's configuration.
    own : sequence of Rule
        Further rules of the run.
    """
    where = {"scope": rule.scope, "min_iter": rule.min_iter}
    standard: list[Rule] = [
        *plateau_rules(rule),
        ScalePlateau(**where),  # type: ignore[arg-type]
        GradeSlope(**where),  # type: ignore[arg-type]
        SmoothedPlateau(**where),  # type: ignore[arg-type]
        SmoothedPlateau(how="median", **where),  # type: ignore[arg-type]
        ResolvedPlateau(**where),  # type: ignore[arg-type]
        ResolvedPlateau(noise="patches", **where),  # type: ignore[arg-type]
        BestSoFar(**where),  # type: ignore[arg-type]
    ]
    return tuple(named([*standard, *own]).values())


def hindsight_rules() -> tuple[Rule, ...]:
    """Return the rules that only a whole curve can be held against: for shadow runs and studies."""
    return (CostGap(),)
