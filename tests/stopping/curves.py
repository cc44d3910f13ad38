"""Histories to hold rules against: by hand, and drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hypothesis import strategies as st

from csiq.history import History, Step

NAN = math.nan
FALLING = tuple(100.0 * 0.8**k for k in range(60))


def history_of(grades: Sequence, costs: Sequence[float] | None = None, sd: float = 0.0) -> History:
    """Return a history of one phase (numbers) or several (lists); 1 s to reconstruct, 0.5 s to grade each."""
    steps = []
    for k, entry in enumerate(grades):
        phases = tuple(entry) if isinstance(entry, (list, tuple)) else (entry,)
        cost = (costs or FALLING)[k]
        steps.append(Step(k, cost, 0.75 * cost, 0.25 * cost, phases, (sd,) * len(phases), k * 1.0, k * 0.5))
    return History(steps)


def _grade(start: float, top: float, rate: float, k: int, jitter: float) -> float:
    return start + (top - start) * (1 - math.exp(-k * rate)) + jitter


@st.composite
def curves(draw: st.DrawFn, *, missing: bool = True, longest: int = 14) -> History:
    """Draw a history of 1 to 3 phases: grades that rise and level off with noise, some that are missing."""
    n = draw(st.integers(1, longest))
    n_phases = draw(st.integers(1, 3))
    scale = draw(st.sampled_from([0.0, 0.003, 0.03, 0.3]))
    jitter = st.integers(-100, 100).map(lambda i: scale * i / 100)
    shapes = [
        (draw(st.floats(-0.2, 1.0)), draw(st.floats(-0.2, 4.2)), draw(st.sampled_from([0.2, 0.5, 1.0, 3.0])))
        for _ in range(n_phases)
    ]
    sd = draw(st.sampled_from([0.0, 0.05, 0.3, NAN]))
    cost = draw(st.sampled_from([0.5, 0.8, 0.99, 0.9995, 1.0]))
    hole = draw(st.integers(0, 40)) if missing else -1
    steps = []
    for k in range(n):
        grades = [_grade(*shape, k, draw(jitter)) for shape in shapes]
        if k == hole:
            grades[-1] = draw(st.sampled_from([NAN, math.inf]))
        total = NAN if missing and k == hole - 20 else 50 * cost**k + draw(st.sampled_from([0.0, 1.0]))
        sds = tuple(sd * (1 + p) for p in range(n_phases))
        steps.append(Step(k, total, total, 0.0, tuple(grades), sds, 1.0 * k, 0.5 * k))
    return History(steps)
