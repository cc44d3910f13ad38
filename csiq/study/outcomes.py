"""What a rule costs and saves on many scans: where it stops, how long that takes, what its image lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from csiq.shadow import ShadowRow, shadow_table
from csiq.stopping import Return, Rule, uses_grades
from csiq.study.curves import Curves


@dataclass(frozen=True)
class Outcome:
    """One rule on all scans of a solver.

    Attributes
    ----------
    name : str
    stops : float64 array, (n_scans,)
        The iteration where it stops; the last one where it never fires.
    fired : bool array, (n_scans,)
    seconds : float64 array, (n_scans,)
        To that iteration: of the reconstruction, and of grading if the rule looks at grades.
    grade, reference, nrmse : float64 array, (n_scans, n_phases)
        Of the image that it hands out.
    loss : float64 array, (n_scans, n_phases)
        Reference quality of the last iteration less that of this image.
    loss_best : float64 array, (n_scans, n_phases)
        Reference quality of the scan's best iteration (best mean over the phases) less that of this image.
    nrmse_loss : float64 array, (n_scans, n_phases)
        NRMSE over that of the last iteration, less 1.
    """

    name: str
    stops: np.ndarray
    fired: np.ndarray
    seconds: np.ndarray
    grade: np.ndarray
    reference: np.ndarray
    nrmse: np.ndarray
    loss: np.ndarray
    loss_best: np.ndarray
    nrmse_loss: np.ndarray

    @property
    def tail(self) -> float:
        """95th percentile of the loss over phases of all scans."""
        return percentile_95(self.loss)


def percentile_95(values: np.ndarray) -> float:
    """Return the 95th percentile of what is known; nan of nothing."""
    known = np.asarray(values)[np.isfinite(values)]
    return float(np.percentile(known, 95)) if known.size else float("nan")


def outcomes(curves: Curves, rules: dict[str, Rule], how: Return | None = None) -> dict[str, Outcome]:
    """Return what rules cost and save.

    Parameters
    ----------
    curves : Curves
    rules : dict of str to Rule
    how : {"best", "last"}, optional
        Which iteration is handed out. By default the best of a rule that looks at grades and the last of one
        that does not: without grades nobody knows the best.
    """
    graded = {name: uses_grades(rule) for name, rule in rules.items()}
    rows: dict[str, list[ShadowRow]] = {name: [] for name in rules}
    for kind in sorted(set(graded.values())):
        some = {name: rule for name, rule in rules.items() if graded[name] == kind}
        for history, truth in zip(curves.histories, curves.truths, strict=True):
            table = shadow_table(history, some, truth, how or ("best" if kind else "last"))
            for name, row in zip(some, table, strict=True):
                rows[name].append(row)
    return {name: _outcome(name, curves, rows[name], graded=graded[name]) for name in rules}


def outcome(curves: Curves, rule: Rule, how: Return | None = None) -> Outcome:
    """Return what one rule costs and saves; see :func:`outcomes`."""
    return outcomes(curves, {rule.name: rule}, how)[rule.name]


def _outcome(name: str, curves: Curves, rows: Sequence[ShadowRow], *, graded: bool) -> Outcome:
    ends = [history.last.iteration for history in curves.histories]
    stops = [end if row.iteration is None else row.iteration for row, end in zip(rows, ends, strict=True)]
    scans = np.arange(len(rows))
    seconds = curves.joint["recon_s"][scans, stops]
    if graded:
        seconds = seconds + curves.joint["grading_s"][scans, stops]

    def of(key: str) -> np.ndarray:
        return np.array([[getattr(phase, key) for phase in row.phases] for row in rows], float)

    return Outcome(
        name=name,
        stops=np.array(stops, float),
        fired=np.array([row.iteration is not None for row in rows]),
        seconds=seconds,
        grade=of("grade"),
        reference=of("reference"),
        nrmse=of("nrmse"),
        loss=of("reference_lost_last"),
        loss_best=of("reference_lost_best"),
        nrmse_loss=of("nrmse_lost_last"),
    )
