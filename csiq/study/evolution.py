"""Figure 6: how grade, reference quality and cost go along the iterations, over all scans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from csiq.agreement import pearson, spearman
from csiq.evaluation.section import Picture, Section, Table, plus_minus, shown
from csiq.study import evolution_figures as figures
from csiq.study.compared import Compared, compared_table, differences
from csiq.study.curves import Curves
from csiq.study.material import Material
from csiq.study.published import FINAL, GRIDDED, IMPROVEMENT
from csiq.study.spread import Spread, Test, holm_tests, phase_mean, spread
from csiq.study.wording import significance_words, tests_table

#: Of the paper's images, and of those that the level of the reference quality was set on; mm.
_VOXEL = 1.0


@dataclass(frozen=True)
class Evolution:
    """How the quality of all phases of all scans develops.

    Attributes
    ----------
    first, last, improvement : Spread
        Iteration 0, the last one, and the difference of each phase.
    """

    first: Spread
    last: Spread
    improvement: Spread


def evolution(values: np.ndarray) -> Evolution:
    """Return how a quality develops.

    Parameters
    ----------
    values : float array, (n_scans, n_iterations + 1, n_phases)
        Grades, or reference qualities.
    """
    return Evolution(spread(values[:, 0]), spread(values[:, -1]), spread(values[:, -1] - values[:, 0]))


def improvement_tests(values: np.ndarray) -> list[Test]:
    """Test the last iteration against iteration 0, each phase; corrected for the number of phases."""
    return holm_tests([(f"phase {p + 1}", values[:, -1, p], values[:, 0, p]) for p in range(values.shape[2])])


def step_tests(values: np.ndarray) -> list[Test]:
    """Test each iteration against the one before, means over the phases; corrected for their number."""
    means = phase_mean(values)
    return holm_tests([(f"{k - 1} to {k}", means[:, k], means[:, k - 1]) for k in range(1, means.shape[1])])


def correlations(curves: Curves) -> dict[str, Spread]:
    """Return how grade (and reference quality) go with the cost along the iterations of each scan.

    Means over the phases against the joint cost, iterations 0 to the last. A cost that falls while the
    quality rises gives -1.

    Returns
    -------
    dict of str to Spread
        ``pearson``, ``spearman`` of the grade; the same with ``_reference`` of the reference quality.
    """
    found = {}
    for end, values in (("", curves.grade), ("_reference", curves.reference)):
        both = np.stack([phase_mean(values), curves.joint["cost"]], axis=1)
        for name, how in (("pearson", pearson), ("spearman", spearman)):
            known = np.isfinite(both).all(axis=(1, 2))
            each = np.where(known, how(*np.nan_to_num(both).swapaxes(0, 1)), np.nan)
            found[name + end] = spread(each)
    return found


def shown_scans(curves: Curves) -> tuple[int, int]:
    """Return which two scans Figure 6 shows: median improvement, and phases that differ most at the end.

    They are chosen by rule, not by eye; the second is the next one if both are the same.
    """
    gained = phase_mean(curves.grade[:, -1] - curves.grade[:, 0])
    order = np.argsort(gained, kind="stable")  # nan last
    n_known = int(np.isfinite(gained).sum())
    typical = int(order[max(n_known - 1, 0) // 2])
    apart = np.ptp(curves.grade[:, -1], axis=1)
    by_spread = [int(i) for i in np.argsort(-apart, kind="stable") if np.isfinite(apart[i])]
    other = next((i for i in by_spread if i != typical), typical)
    return typical, other


def section(study: Material) -> Section:
    """Return the part on the evolution of quality."""
    found = {solver: _numbers(curves) for solver, curves in study.test.items()}
    compared = [row for solver in study.solvers for row in _compared(study, solver, found[solver])]
    tests = [
        tests_table(
            f"tests-improvement-{solver}",
            f"Last iteration against iteration 0, per-scan values: {study.label(solver)}",
            found[solver]["improvement_tests"],
            "phases",
        )
        for solver in study.solvers
    ]
    items: list[Table | Picture] = [
        compared_table(
            "evolution", "Grade at iteration 0, at the last one, and the improvement, all phases", compared
        ),
        *tests,
        *(figures.picture_of_scan(study, solver, at) for at in (0, 1) for solver in study.solvers),
        *(figures.picture_of_mean(study, solver) for solver in study.solvers),
    ]
    return Section(
        "Evolution of quality",
        tuple(_lead(study, solver, found[solver]) for solver in study.solvers),
        items,
        differences(compared),
        found,
        "evolution",
    )


def _numbers(curves: Curves) -> dict[str, Any]:
    return {
        "grade": evolution(curves.grade),
        "reference": evolution(curves.reference),
        "nrmse": evolution(curves.nrmse),
        "correlation_with_cost": correlations(curves),
        "improvement_tests": improvement_tests(curves.grade),
        "step_tests": step_tests(curves.grade),
    }


def _compared(study: Material, solver: str, found: Mapping[str, Any]) -> list[Compared]:
    grade, reference = found["grade"], found["reference"]
    rows = (
        ("Iteration 0 (gridded)", grade.first, reference.first, GRIDDED),
        ("Last iteration", grade.last, reference.last, FINAL),
        ("Improvement", grade.improvement, reference.improvement, IMPROVEMENT),
    )
    because = _voxel_words(study.voxel_size)
    return [
        Compared(f"{what}, {study.label(solver)}", g, r, paper, because if what != rows[0][0] else "")
        for what, g, r, paper in rows
    ]


def _voxel_words(voxel_size: float) -> str:
    """Say what larger voxels do to the level of quality; nothing of those of 1 mm."""
    if not voxel_size > _VOXEL:
        return ""
    return (
        f"At voxels of {_VOXEL:g} mm the level of the reference was set near the paper's (see what was "
        f"calibrated); here they have {shown(voxel_size)} mm, which lowers it."
    )


def _lead(study: Material, solver: str, found: Mapping[str, Any]) -> str:
    grade, cost, steps = found["grade"], found["correlation_with_cost"], found["step_tests"]
    n = len(study.test[solver])
    still = [k for k, test in enumerate(steps, start=1) if test.significant and test.mean > 0]
    until = (
        f"The last single step that still raises it significantly is that to iteration {max(still)}."
        if still
        else "No single step raises it significantly."
    )
    gained = grade.improvement.mean
    return (
        f"{study.label(solver)}, {n} scans: the grade {'rises' if gained >= 0 else 'falls'} by "
        f"{plus_minus(abs(gained), grade.improvement.sd)} from {shown(grade.first.mean)} to "
        f"{shown(grade.last.mean)} ({significance_words(found['improvement_tests'], 'phase')}; paired t and "
        f"Wilcoxon, Holm). {until} "
        "Along the iterations grade and cost correlate with r = "
        f"{plus_minus(cost['pearson'].mean, cost['pearson'].sd)} (ranks {shown(cost['spearman'].mean)}), "
        "reference quality and cost with r = "
        f"{plus_minus(cost['pearson_reference'].mean, cost['pearson_reference'].sd)}; NRMSE goes from "
        f"{shown(found['nrmse'].first.mean, 3)} to {shown(found['nrmse'].last.mean, 3)}."
    )
