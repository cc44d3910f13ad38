"""P values and tests in words and tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from csiq.evaluation.section import Table, shown
from csiq.study.spread import Test


def significance_words(tests: Sequence[Test], what: str) -> str:
    """Return in how many tests both corrected P are at most .05: ``significant in every phase, P < .001``."""
    n = sum(one.significant for one in tests)
    if not n:
        return f"significant in no {what}"
    if n < len(tests):
        return f"significant in {n} of {len(tests)} {what}s"
    largest = max(max(one.t_holm, one.v_holm) for one in tests)
    return f"significant in every {what}, P {'' if largest < 0.001 else '≤ '}{p_cell(largest)}"


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
