"""When to stop, and which iteration to hand out: rules over a :class:`csiq.history.History`.

A rule looks at a history and says whether it fires at the last iteration there. It holds numbers only and
keeps no state, so the same rule decides a running reconstruction and, afterwards, where it would have
stopped one that went on. ``docs/stopping.md`` says what each rule means.
"""

from csiq.history import History
from csiq.stopping.best_so_far import BestSoFar
from csiq.stopping.combine import AllOf, AnyOf, leaves, mapped
from csiq.stopping.cost import ARMING_COST, CostGap, CostPlateau
from csiq.stopping.expression import parse_rule, parse_stopping_rule
from csiq.stopping.grade_rule import ARMING_GRADE, SCOPES, GradeRule, Scope, Track, tracks
from csiq.stopping.limits import MaxIter, NotFinite, TimeLimit
from csiq.stopping.plateau import GradePlateau, ScalePlateau, SmoothedPlateau
from csiq.stopping.registry import register, rule_words, unregister
from csiq.stopping.returned import Return, returned_iteration, returned_iterations
from csiq.stopping.rule import (
    REASONS,
    Rule,
    Rules,
    Stop,
    counterfactual,
    first_to_fire,
    named,
    needs_hindsight,
    stop_iteration,
    uses_grades,
    why_off,
)
from csiq.stopping.spelling import spelled
from csiq.stopping.standard import hindsight_rules, plateau_rules, standard_rules
from csiq.stopping.trend import GradeSlope, ResolvedPlateau

__all__ = [
    "ARMING_COST",
    "ARMING_GRADE",
    "REASONS",
    "SCOPES",
    "AllOf",
    "AnyOf",
    "BestSoFar",
    "CostGap",
    "CostPlateau",
    "GradePlateau",
    "GradeRule",
    "GradeSlope",
    "History",
    "MaxIter",
    "NotFinite",
    "ResolvedPlateau",
    "Return",
    "Rule",
    "Rules",
    "ScalePlateau",
    "Scope",
    "SmoothedPlateau",
    "Stop",
    "TimeLimit",
    "Track",
    "counterfactual",
    "first_to_fire",
    "hindsight_rules",
    "leaves",
    "mapped",
    "named",
    "needs_hindsight",
    "parse_rule",
    "parse_stopping_rule",
    "plateau_rules",
    "register",
    "returned_iteration",
    "returned_iterations",
    "rule_words",
    "spelled",
    "standard_rules",
    "stop_iteration",
    "tracks",
    "unregister",
    "uses_grades",
    "why_off",
]
