"""Where each rule would have stopped: mean and SD of the iteration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from csiq.evaluation.section import Section, Table, plus_minus, shown
from csiq.stopping import GradePlateau, Rule, hindsight_rules, standard_rules, stop_iteration
from csiq.study.compared import Compared, differences
from csiq.study.curves import Curves
from csiq.study.material import Material
from csiq.study.published import PLATEAU
from csiq.study.spread import Spread, spread

#: The paper's words taken literally: one step below 2 % of the grade, from the first iteration on.
LITERAL = GradePlateau(tol=0.02, floor=1e-6, patience=1, min_iter=1)
_LITERAL_WORDS = (
    "one step below 2 % of the grade before, once it has moved by 0.1 from its start or the cost stands still"
)


@dataclass(frozen=True)
class Plateau:
    """Where one rule stops.

    Attributes
    ----------
    sentence : str
        The rule in words.
    iterations : Spread
        Of the scans in which it fires.
    fired, of : int
    each : tuple of int or None
        Scan by scan; None where it does not fire.
    """

    sentence: str
    iterations: Spread
    fired: int
    of: int
    each: tuple[int | None, ...] = field(default=(), repr=False)


def rules() -> dict[str, Rule]:
    """Return the rules of a study by name: the standard ones, those of hindsight, and the literal reading."""
    known = [*standard_rules(GradePlateau()), *hindsight_rules()]
    return {**{rule.name: rule for rule in known}, "paper_literal": LITERAL}


def plateaus(curves: Curves, of: Mapping[str, Rule] | None = None) -> dict[str, Plateau]:
    """Return where rules stop.

    Parameters
    ----------
    curves : Curves
    of : mapping of str to Rule, optional
        :func:`rules` by default.
    """
    found = {}
    for name, rule in (of or rules()).items():
        each = tuple(stop_iteration(history, rule) for history in curves.histories)
        fired = np.array([np.nan if k is None else k for k in each], float)
        words = _LITERAL_WORDS if rule == LITERAL else rule.sentence()
        found[name] = Plateau(words, spread(fired), int(np.isfinite(fired).sum()), len(each), each)
    return found


def phase_plateaus(curves: Curves) -> Plateau:
    """Return where the literal reading stops each phase by itself."""
    each = tuple(
        stop_iteration(history.of_phase(p), LITERAL)
        for history in curves.histories
        for p in range(curves.n_phases)
    )
    table = np.array([np.nan if k is None else k for k in each], float).reshape(-1, curves.n_phases)
    words = f"{_LITERAL_WORDS}, each phase by itself"
    return Plateau(words, spread(table), int(np.isfinite(table).sum()), table.size, each)


def section(study: Material) -> Section:
    """Return the part on plateaus."""
    found = {
        solver: {**plateaus(curves), "paper_literal_each_phase": phase_plateaus(curves)}
        for solver, curves in study.test.items()
    }
    names = list(found[study.solvers[0]])
    body, data = [], []
    for name in names:
        words = found[study.solvers[0]][name].sentence
        cells, row = [name], dict[str, str | float](rule=name, sentence=words)
        for solver in study.solvers:
            one = found[solver][name]
            cells.append(f"{plus_minus(one.iterations.mean, one.iterations.sd, 1)}\n{one.fired} of {one.of}")
            row |= {
                f"{solver}_mean": one.iterations.mean,
                f"{solver}_sd": one.iterations.sd,
                f"{solver}_least": one.iterations.least,
                f"{solver}_most": one.iterations.most,
                f"{solver}_fired": one.fired,
            }
        literal = name.startswith("paper_literal")
        body.append((*cells, PLATEAU.words(0) if literal else "–", words))
        data.append(row)
    head = ("rule", *(study.label(s) for s in study.solvers), "paper", "in words")
    note = (
        "Mean ± SD of the iteration where it would have stopped, over the scans in which it fires (their "
        "number below). cost_gap knows how the curve ends. The paper's rule, “grade difference < 2 %”, "
        "names no denominator; paper_literal reads it as one step below 2 % of the grade before."
    )
    table = Table("plateaus", "Iteration at which each rule stops", head, body, data, note, (len(head) - 1,))
    compared = [_compared(study, solver, found[solver]) for solver in study.solvers]
    return Section(
        "Plateaus", (_lead(study, found),), [table], differences(compared), _without_each(found), "plateaus"
    )


def _without_each(found: dict[str, dict[str, Plateau]]) -> dict[str, dict[str, dict[str, object]]]:
    keys = ("sentence", "iterations", "fired", "of")
    return {s: {name: {k: getattr(p, k) for k in keys} for name, p in of.items()} for s, of in found.items()}


def _compared(study: Material, solver: str, found: dict[str, Plateau]) -> Compared:
    own = found[GradePlateau().name]
    literal = found["paper_literal"]
    because = (
        f"It fires in {literal.fired} of {literal.of} scans. A literal 2 % is a small step where grades are "
        "low and a large one where they are high; csiq's own rule, with a floor and patience, stops at "
        f"{plus_minus(own.iterations.mean, own.iterations.sd, 1)}, and the solvers converge at different "
        "speeds."
    )
    what = f"Plateau (literal 2 %), {study.label(solver)}"
    return Compared(what, literal.iterations, None, PLATEAU, because, 0)


def _lead(study: Material, found: dict[str, dict[str, Plateau]]) -> str:
    own = GradePlateau().name
    said = [
        f"{study.label(solver)} at {plus_minus(of[own].iterations.mean, of[own].iterations.sd, 1)} "
        f"({shown(of[own].iterations.least, 0)} to {shown(of[own].iterations.most, 0)}; {of[own].fired} of "
        f"{of[own].of} scans)"
        for solver, of in found.items()
    ]
    return f"csiq's default rule stops {'; '.join(said)}. The paper: {PLATEAU.words(0)} of 20 iterations."
