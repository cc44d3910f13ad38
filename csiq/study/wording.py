"""P values and tests in words and tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from csiq.evaluation.section import Table, shown
from csiq.study.spread import Test


def p_words(p_values: Sequence[float]) -> str:
    """Return the largest of some P values: ``P < .001``, ``P ≤ .012``."""
    known = [p for p in p_values if math.isfinite(p)]
    if not known:
        return "P not defined"
    return "P < .001" if max(known) < 0.001 else f"P ≤ {max(known):.3f}".replace("0.", ".")


def p_cell(p: float) -> str:
    """Return one P value."""
    if not math.isfinite(p):
        return "–"
    return "< .001" if p < 0.001 else f"{p:.3f}".replace("0.", ".", 1)


def tests_table(name: str, caption: str, tests: Sequence[Test], together: str) -> Table:
    """Return a table of paired tests.

    Parameters
    ----------
    name, caption : str
    tests : sequence of Test
    together : str
        What the correction counts: "phases".
    """
    head = ("", "scans", "mean difference", "t: P", "Wilcoxon: P", "t: Holm", "Wilcoxon: Holm", "P ≤ .05")
    body = [
        (
            t.name,
            str(t.n),
            shown(t.mean, 3, sign=True),
            p_cell(t.t_p),
            p_cell(t.v_p),
            p_cell(t.t_holm),
            p_cell(t.v_holm),
            "yes" if t.significant else "no",
        )
        for t in tests
    ]
    note = (
        f"Two-sided, one value a scan; Holm's correction over {together}. Significant: both corrected P ≤ "
        ".05."
    )
    return Table(name, caption, head, body, [vars(t) for t in tests], note)
