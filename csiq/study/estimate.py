"""How long a study will take, said before it starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from csiq.arrays import Device
from csiq.clock import seconds_of_parts, setup_seconds
from csiq.footprint import Sizes
from csiq.preparation import load_grader
from csiq.solvers import solver_named
from csiq.study.request import DEFAULT, SELFNAV, Setting
from csiq.study.work import Job

#: Core seconds to hold one image against the truth: a part that does not grow with the matrix, and one that
#: grows with its cube, at 64^3. Measured at 64 (0.21) and 128 (0.43).
_TRUTH_FIXED, _TRUTH = 0.19, 0.03
#: Core seconds to simulate a scan of 8 coils with its truth at 64^3, and their growth with the matrix, from
#: 9 s at 64, 19 s at 96 and 124 s at 208.
_SIMULATION, _SIMULATION_GROWTH = 8.6, 2.3
_EDGE = 64


@dataclass(frozen=True)
class TimeNeeded:
    """Seconds of a study on this machine.

    Attributes
    ----------
    seconds : float
        In all, with so many workers.
    parts : dict of str to float
        Core seconds by what they are for.
    """

    seconds: float
    parts: dict[str, float]


def time_needed(jobs: Sequence[Job], setting: Setting, workers: int) -> TimeNeeded:
    """Return about how long jobs will take on a CPU, from a few parts timed for an instant.

    Parameters
    ----------
    jobs : sequence of Job
    setting : Setting
    workers : int
        Processes of one thread each; more than the machine has cores do not help, which is not seen here.
    """
    parts: dict[str, float] = {}
    known: dict[str, dict[str, float]] = {}
    for job in jobs:
        if job.scan.raw is None:
            more = _SIMULATION * (setting.matrix / _EDGE) ** _SIMULATION_GROWTH * setting.n_coils / 8
            parts["simulation"] = parts.get("simulation", 0.0) + more
        for part in job.parts:
            if part not in known:
                known[part] = _of_part(part, setting)
            for name, seconds in known[part].items():
                parts[name] = parts.get(name, 0.0) + seconds
    rounds = math.ceil(len(jobs) / max(workers, 1)) / max(len(jobs), 1)
    return TimeNeeded(sum(parts.values()) * rounds, parts)


def _of_part(part: str, setting: Setting) -> dict[str, float]:
    sizes = sizes_of_part(part, setting)
    if part == SELFNAV:
        return {"self-navigated images": setup_seconds(sizes)}
    grader = load_grader(setting.config(part), Device())
    iteration = seconds_of_parts(sizes, grader)
    images = sizes.n_phases * (setting.max_iter + 1)
    grading = iteration.pop("grading", 0.0)
    return {
        "set-up": setup_seconds(sizes),
        "iterations": setting.max_iter * sum(iteration.values()),
        "grading": (setting.max_iter + 1) * grading,
        "truth": images * (_TRUTH_FIXED + _TRUTH * (setting.matrix / _EDGE) ** 3),
    }


def sizes_of_part(part: str, setting: Setting) -> Sizes:
    """Return what time depends on, of a scan of the paper's sampling in one thread."""
    config = setting.config(DEFAULT if part == SELFNAV else part)
    solver = solver_named(config.solver.solver)
    n = setting.matrix
    return Sizes(
        shape=(n, n, n),
        n_phases=1 if part == SELFNAV else config.gating.phases,
        n_coils=min(setting.n_coils, config.coils.coils or setting.n_coils),
        n_receive=setting.n_coils,
        n_samples=round(0.2 * math.pi / 2 * n**2) * 2 * n,
        threads=1,
        whitens=True,
        solver_sets=getattr(solver, "VOLUME_SETS", 4),
        difference_sets=getattr(solver, "DIFFERENCE_SETS", 0),
        search_sets=getattr(solver, "SEARCH_SETS", 0),
    )
