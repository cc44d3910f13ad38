"""The phases at the last iteration: which is best, and how far they are apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from csiq.evaluation.section import Section, Table, shown, span
from csiq.ranking import rank_numbers
from csiq.study.compared import Compared, compared_table, differences, is_clear_share
from csiq.study.curves import Curves
from csiq.study.material import Material
from csiq.study.published import (
    BEST_PERCENT,
    BEST_PHASES,
    BEST_WORST,
    N_SCANS,
    PHASES_1_2,
    paper_share,
)
from csiq.study.spread import Spread, Test, holm_tests, share, spread
from csiq.study.wording import tests_table


@dataclass(frozen=True)
class Differences:
    """How far phases are apart at one iteration.

    Attributes
    ----------
    first_two : Spread
        Absolute difference of phases 1 and 2.
    best_worst : Spread
    tests : list of Test
        Every pair of phases.
    ends : list of Test
        The best against the worst phase: the best is never below, so this cannot fail to be significant.
    """

    first_two: Spread
    best_worst: Spread
    tests: list[Test]
    ends: list[Test]


def best_counts(values: np.ndarray) -> tuple[int, ...]:
    """Return in how many scans each phase is the best; the first of equals.

    Parameters
    ----------
    values : float array, (n_scans, n_phases)
        Scans with a missing value do not count.
    """
    known = values[np.isfinite(values).all(axis=1)]
    best = known.argmax(axis=1) if len(known) else np.empty(0, int)
    return tuple(int(n) for n in np.bincount(best, minlength=values.shape[1]))


def top_sets(curves: Curves) -> tuple[float, ...]:
    """Return in which share of scans each phase is in the top set: not to be told from the best."""
    sets = [
        rank_numbers(grades.tolist(), sds.tolist()).top_set
        for grades, sds in zip(curves.grade[:, -1], curves.images["grade_sd"][:, -1], strict=True)
    ]
    return tuple(sum(p in found for found in sets) / len(sets) for p in range(1, curves.n_phases + 1))


def phase_differences(values: np.ndarray) -> Differences:
    """Return how far phases are apart.

    Parameters
    ----------
    values : float array, (n_scans, n_phases)
    """
    known = np.isfinite(values).all(axis=1)
    rows = values[known]
    pairs = [
        (f"phase {a + 1} - phase {b + 1}", rows[:, a], rows[:, b])
        for a, b in combinations(range(values.shape[1]), 2)
    ]
    best, worst = rows.max(axis=1), rows.min(axis=1)
    return Differences(
        spread(np.abs(rows[:, 0] - rows[:, 1])),
        spread(best - worst),
        holm_tests(pairs),
        holm_tests([("best - worst", best, worst)]),
    )


def section(study: Material) -> Section:
    """Return the part on the phases."""
    found = {solver: _numbers(curves) for solver, curves in study.test.items()}
    compared = []
    for solver in study.solvers:
        grade, reference, label = *(found[solver][k] for k in ("grade", "reference")), study.label(solver)
        for what, of, paper in (
            ("|phase 1 − phase 2|", "first_two", PHASES_1_2),
            ("best − worst phase", "best_worst", BEST_WORST),
        ):
            row = (f"{what}, {label}", getattr(grade, of), getattr(reference, of), paper)
            compared.append(Compared(*row, because=_motion_words(study.test[solver])))
    items = [
        _counts_table(study, found),
        compared_table("phases", "Differences between phases, per scan, last iteration", compared),
        *(
            tests_table(
                f"tests-phases-{solver}",
                f"Pairs of phases at the last iteration, per-scan grades: {study.label(solver)}",
                [*found[solver]["grade"].tests, *found[solver]["grade"].ends],
                "the six pairs; best - worst stands alone and cannot be below 0",
            )
            for solver in study.solvers
        ),
    ]
    return Section(
        "Phases at the last iteration",
        tuple(_lead(study, solver, found[solver]) for solver in study.solvers),
        items,
        (*_count_differences(study, found), *differences(compared)),
        found,
        "phases",
    )


def _numbers(curves: Curves) -> dict[str, Any]:
    return {
        "grade": phase_differences(curves.grade[:, -1]),
        "reference": phase_differences(curves.reference[:, -1]),
        "best_by_grade": best_counts(curves.grade[:, -1]),
        "best_by_reference": best_counts(curves.reference[:, -1]),
        "top_set_share": top_sets(curves),
        "least_motion": best_counts(-curves.motion["heart_sd_mm"]),
        "heart_sd_mm": [spread(column, interval=False) for column in curves.motion["heart_sd_mm"].T],
        "others": [spread(column, interval=False) for column in curves.motion["others"].T],
    }


def _counts_table(study: Material, found: dict[str, Any]) -> Table:
    shown_of = ("best_by_grade", "best_by_reference")
    head = ["phase"]
    for solver in study.solvers:
        head += [f"{solver}: best by grade", f"{solver}: best by reference"]
    # the motion is that of the scans, whatever reconstructs them
    main = next(solver for solver in study.solvers if study.test[solver] is study.main)
    body, data = [], []
    for p in range(study.main.n_phases):
        cells, row = [str(p + 1)], {"phase": p + 1}
        for solver in study.solvers:
            for key in (*shown_of, "least_motion"):
                row[f"{solver}_{key}"] = found[solver][key][p]
            row[f"{solver}_heart_sd_mm"] = found[solver]["heart_sd_mm"][p].mean
            cells += [_of(found[solver][key][p], sum(found[solver][key])) for key in shown_of]
        least = found[main]["least_motion"]
        cells += [_of(least[p], sum(least)), shown(found[main]["heart_sd_mm"][p].mean)]
        paper = BEST_PHASES[p] if p < len(BEST_PHASES) else math.nan
        body.append((*cells, _of_paper(p)))
        data.append({**row, "paper": paper})
    note = (
        "Motion: SD of the heart's true place over the spokes of the phase, mean over scans. Least true "
        "motion: in how many scans this phase has the least of it."
    )
    return Table(
        "best-phase",
        "Which phase is best",
        (*head, "least true motion", "motion of the heart, mm", "paper: best"),
        body,
        data,
        note,
    )


def _of_paper(p: int) -> str:
    """Return in how many scans a phase is best, with the per cent that the paper prints."""
    return f"{BEST_PHASES[p]} ({BEST_PERCENT[p]}\u00a0%)" if p < len(BEST_PHASES) else "–"


def _of(n: int, total: int) -> str:
    return f"{n} ({100 * n / total:.0f}\u00a0%)" if total else "–"


def _lead(study: Material, solver: str, found: dict[str, Any]) -> str:
    difference, tests = found["grade"].best_worst, found["grade"].tests
    different = [t.name.replace(" - ", " and ") for t in tests if t.significant]
    said = f"{', '.join(different)} differ significantly" if different else "no pair differs significantly"
    agree = _agree(study.test[solver])
    return (
        f"{study.label(solver)}: best and worst phase are {shown(difference.mean)} ± {shown(difference.sd)} "
        f"apart; {said} (t and Wilcoxon, Holm over pairs). Grade and reference quality name the same best "
        f"phase in {agree[0]} of {agree[1]} scans."
    )


def _agree(curves: Curves) -> tuple[int, int]:
    both = np.isfinite(curves.grade[:, -1]).all(axis=1) & np.isfinite(curves.reference[:, -1]).all(axis=1)
    same = curves.grade[both, -1].argmax(axis=1) == curves.reference[both, -1].argmax(axis=1)
    return int(same.sum()), int(both.sum())


def _motion_words(curves: Curves) -> str:
    means = [spread(column, interval=False).mean for column in curves.motion["heart_sd_mm"].T]
    if not all(map(math.isfinite, means)):
        return ""
    listed = ", ".join(shown(value, 1) for value in means)
    return (
        f"The heart moves by an SD of {listed} mm within phases 1 to {len(means)} of these simulated scans."
    )


def _count_differences(study: Material, found: dict[str, Any]) -> list[str]:
    """Return a sentence where the paper's best phase is clearly best in another share of scans."""
    said = []
    top = int(np.argmax(BEST_PHASES))
    paper = paper_share(BEST_PHASES[top], N_SCANS)
    for solver in study.solvers:
        counts = found[solver]["best_by_grade"]
        n, total = counts[top], sum(counts)
        here = share(np.arange(total) < n)
        if not is_clear_share(here, paper):
            continue
        said.append(
            f"{study.label(solver)}: phase {top + 1} is best in {_of(n, total)} of {total} scans (90 % "
            f"interval {span(100 * here.low, 100 * here.high, 0)} %), in the paper in "
            f"{_of_paper(top)} of {N_SCANS}. Most often best by grade is {_most(counts)}, by "
            "reference quality "
            f"{_most(found[solver]['best_by_reference'])}. {_motion_words(study.test[solver])}"
        )
    return said


def _most(counts: tuple[int, ...]) -> str:
    """Return the phase that is most often best, or those that are equally often."""
    most = [str(p) for p, n in enumerate(counts, start=1) if n == max(counts)]
    return f"phase {most[0]}" if len(most) == 1 else f"phases {' and '.join(most)} alike"
