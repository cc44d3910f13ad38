"""Shadow mode: what each rule would have saved, and lost, in a run that went on to its end.

A rule that stops at iteration k hands out the iteration that would have been returned then
(:func:`csiq.stopping.returned_iteration`). Its image is held against the last one and against the best one
there was, by the network's grade and, where a truth is known, by reference quality and NRMSE. Plain numbers
go in, so that a study needs no volumes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from csiq.errors import RawDataError
from csiq.history import History, mean
from csiq.stopping import (
    Return,
    Rule,
    Rules,
    named,
    needs_hindsight,
    returned_iterations,
    stop_iteration,
    uses_grades,
)

#: Columns of ``truth.tsv``.
TRUTH_COLUMNS = ("iteration", "phase", "reference", "nrmse")
#: One row of a table: an entry an iteration, of an entry a phase.
Table = Sequence[Sequence[float]]


@dataclass(frozen=True)
class TruthCurve:
    """What the truth says of every iterate; nan where it was not measured.

    Attributes
    ----------
    reference : sequence of sequences of float
        Reference quality, 0 to 4 (:mod:`csiq.quality.reference`): an entry an iteration, of one a phase.
    nrmse : sequence of sequences of float
        Error of the magnitude over the truth's norm, its scale fitted, likewise.
    """

    reference: Table = ()
    nrmse: Table = ()

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> TruthCurve:
        """Build it from the rows of ``truth.tsv``, in any order; what is missing between them is nan.

        Raises
        ------
        RawDataError
            If a column is missing.
        """
        rows = list(rows)
        for number, row in enumerate(rows, start=1):
            if missing := [name for name in TRUTH_COLUMNS if name not in row]:
                raise RawDataError(f"row {number} lacks {', '.join(missing)}", field="truth")
        n = max((int(row["iteration"]) for row in rows), default=-1) + 1
        n_phases = max((int(row["phase"]) for row in rows), default=0)
        tables = [[[math.nan] * n_phases for _ in range(n)] for _ in range(2)]
        for row in rows:
            for table, name in zip(tables, ("reference", "nrmse"), strict=True):
                table[int(row["iteration"])][int(row["phase"]) - 1] = float(row[name])
        return cls(*tables)


@dataclass(frozen=True)
class Losses:
    """What an image lost; positive is worse, nan where nothing is known.

    Attributes
    ----------
    grade, reference, nrmse : float
        Of the image itself.
    grade_lost_last, grade_lost_best : float
        Grade of the last (the best) image less that of this one.
    reference_lost_last, reference_lost_best : float
        Reference quality, likewise.
    nrmse_lost_last, nrmse_lost_best : float
        NRMSE over that of the last (the best) image, less 1: 0.03 is 3 % worse.
    """

    grade: float
    grade_lost_last: float
    grade_lost_best: float
    reference: float
    reference_lost_last: float
    reference_lost_best: float
    nrmse: float
    nrmse_lost_last: float
    nrmse_lost_best: float


@dataclass(frozen=True)
class ShadowRow:
    """One rule, held against a run that went on.

    Attributes
    ----------
    rule : str
        Its name.
    sentence : str
        The rule in words.
    uses_grades : bool
        False: a run with this rule alone needs no grading, whose seconds it would save, too.
    hindsight : bool
        True: the rule needs the whole curve and cannot stop a run.
    iteration : int or None
        Where it would have stopped the run; None if it would have gone on to the end.
    returned_iteration : int or tuple of int
        What would have been handed out; one a phase for best-per-phase.
    seconds_saved, recon_s_saved, grading_s_saved : float
        From that iteration to the end: together, and each clock by itself.
    losses : Losses
        Means over the phases. The best image is the iteration of the best mean.
    phases : tuple of Losses
        Of each phase; last and best image are those of ``losses``.
    """

    rule: str
    sentence: str
    uses_grades: bool
    hindsight: bool
    iteration: int | None
    returned_iteration: int | tuple[int, ...]
    seconds_saved: float
    recon_s_saved: float
    grading_s_saved: float
    losses: Losses
    phases: tuple[Losses, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Return the record in ``run.json``: the numbers of ``losses`` stand beside the others."""
        content = {k: v for k, v in asdict(self).items() if k not in ("losses", "phases")}
        phases = [{"phase": p, **asdict(losses)} for p, losses in enumerate(self.phases, start=1)]
        return {**content, **asdict(self.losses), "phases": phases}

    def as_cells(self) -> dict[str, Any]:
        """Return the row of ``shadow.tsv``: the record without words and phases."""
        content = self.as_json()
        if not isinstance(self.returned_iteration, int):
            content["returned_iteration"] = None
        return {k: v for k, v in content.items() if k not in ("sentence", "phases")}


def shadow_table(
    history: History, rules: Rules, truth: TruthCurve | None = None, how: Return = "best"
) -> list[ShadowRow]:
    """Return what each rule would have saved and lost.

    Parameters
    ----------
    history : History
        Of a run that no rule stopped.
    rules : sequence of Rule, or mapping of name to Rule
    truth : TruthCurve, optional
        Reference quality and NRMSE of the iterates.
    how : {"best", "last", "best-per-phase"}
        Which iteration a stopped run hands out.

    Returns
    -------
    list of ShadowRow
        In the order of ``rules``.
    """
    if not len(history):
        return []
    tables = _tables(history, truth or TruthCurve())
    return [_row(history, name, rule, tables, how) for name, rule in named(rules).items()]


def _row(history: History, name: str, rule: Rule, tables: dict[str, Table], how: Return) -> ShadowRow:
    stop = stop_iteration(history, rule)
    at, last = history.steps[stop] if stop is not None else history.last, history.last
    picks = returned_iterations(history.upto(at.iteration), how)
    recon, grading = last.recon_s - at.recon_s, last.grading_s - at.grading_s
    phases = [range(history.n_phases), *([p] for p in range(history.n_phases))]
    losses, *each = (_losses(tables, picks, which) for which in phases)
    return ShadowRow(
        rule=name,
        sentence=rule.sentence(),
        uses_grades=uses_grades(rule),
        hindsight=needs_hindsight(rule),
        iteration=stop,
        returned_iteration=picks[0] if how != "best-per-phase" else picks,
        seconds_saved=recon + grading,
        recon_s_saved=recon,
        grading_s_saved=grading,
        losses=losses,
        phases=tuple(each),
    )


def _tables(history: History, truth: TruthCurve) -> dict[str, Table]:
    """Return grade, reference and NRMSE of every iteration and phase, nan where there is none."""
    unknown = [math.nan] * history.n_phases

    def filled(table: Table) -> Table:
        """Return a row for each iteration, nan where the table has none or one of other phases."""
        return [
            [float(v) for v in table[k]] if k < len(table) and len(table[k]) == history.n_phases else unknown
            for k in range(len(history))
        ]

    return {
        "grade": [step.grades for step in history.steps],
        "reference": filled(truth.reference),
        "nrmse": filled(truth.nrmse),
    }


def _losses(tables: dict[str, Table], picks: Sequence[int], phases: Sequence[int]) -> Losses:
    """Return the losses of the iterations that were picked, as means over some phases."""
    found: dict[str, float] = {}
    for name, table in tables.items():
        smaller_is_better = name == "nrmse"
        best = _best_iteration(table, smaller_is_better)
        value, end, top = (
            mean([table[k][p] for k, p in zip(ks, phases, strict=True)])
            for ks in (
                [picks[p] for p in phases],
                [len(table) - 1] * len(phases),
                [best] * len(phases),
            )
        )
        found[name] = value
        for other, against in ((end, "last"), (top, "best")):
            lost = _ratio(value, other) - 1 if smaller_is_better else other - value
            found[f"{name}_lost_{against}"] = lost
    return Losses(**found)


def _ratio(value: float, other: float) -> float:
    return value / other if other > 0 else math.nan


def _best_iteration(table: Table, smaller_is_better: bool) -> int:
    """Return the iteration of the best mean over the phases; the last if there is none."""
    means = [mean(row) for row in table]
    known = [k for k, value in enumerate(means) if math.isfinite(value)]
    if not known:
        return len(table) - 1
    return min(known, key=lambda k: means[k] if smaller_is_better else -means[k])
