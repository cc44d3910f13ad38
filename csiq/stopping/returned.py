"""Which iteration is handed out."""

from __future__ import annotations

import math
from typing import Literal

from csiq.errors import ConfigError
from csiq.history import History

Return = Literal["best", "last", "best-per-phase"]


def returned_iteration(history: History, how: Return = "best") -> int:
    """Return the one iteration that is handed out for all phases.

    ``best``: the latest among 1..K whose mean grade is within its own noise floor of the best mean grade,
    its cost being finite and not above that of iteration 0. ``last``: the latest whose cost is so. Without
    grades ``best`` is ``last``. 0 if no iteration qualifies: the gridded image is then the best there is.

    An iteration that is chosen later was chosen when it was new, and the choice never goes back: who keeps a
    copy whenever ``returned_iteration(history) == history.last.iteration`` holds the right image at the end.

    Parameters
    ----------
    history : History
    how : {"best", "last"}
    """
    if how not in ("best", "last"):
        raise ConfigError(f"'{how}' does not name one iteration", field="return", hint="best or last")
    sound = [s for s in history.steps[1:] if s.cost <= history.steps[0].cost and math.isfinite(s.cost)]
    graded = [s for s in sound if math.isfinite(s.mean_grade)] if how == "best" else []
    if not graded:
        return sound[-1].iteration if sound else 0
    best = max(step.mean_grade for step in graded)
    return max(step.iteration for step in graded if step.mean_grade >= best - step.grade_noise)


def returned_iterations(history: History, how: Return = "best") -> tuple[int, ...]:
    """Return the iteration handed out for each phase; one and the same unless ``how`` is best-per-phase.

    Parameters
    ----------
    history : History
    how : {"best", "last", "best-per-phase"}
        ``best-per-phase`` chooses for every phase by its own grade. The phases are then from different
        iterates of a coupled problem, and no ranking is made of them.
    """
    if how == "best-per-phase":
        return tuple(returned_iteration(history.of_phase(p)) for p in range(history.n_phases))
    return (returned_iteration(history, how),) * history.n_phases
