"""What is remembered between iterates: curves, the volumes to return, and whether to stop."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from csiq.acquisition import Geometry
from csiq.arrays import Array, Device, to_device
from csiq.config import Config
from csiq.history import History
from csiq.quality.grade import Grade, Grader
from csiq.ranking import Ranking, rank
from csiq.solvers import Iterate
from csiq.stopping import GradePlateau, Rule, Stop, first_to_fire, returned_iterations

#: What a caller is told while a reconstruction runs: a dictionary with the key ``event``.
Event = dict[str, Any]
OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Take an event and do nothing."""


@dataclass(frozen=True)
class Resumed:
    """Where an earlier run of the same scan and configuration ended.

    Attributes
    ----------
    history : History
    state : dict
        Of the solver, as ``Iterate.state()`` gave it.
    kept : complex64 array, (n_phases, z, y, x)
        The volumes that would have been returned then.
    """

    history: History
    state: Mapping[str, Any]
    kept: np.ndarray


class Loop:
    """What is remembered between iterates: curves, the volumes to return, and whether to stop."""

    def __init__(
        self,
        config: Config,
        geometry: Geometry,
        grader: Grader | None,
        rules: Sequence[Rule],
        on_event: OnEvent,
    ) -> None:
        self._how = config.stop.return_
        self._voxel_size = geometry.voxel_size
        self._grader = grader
        self._rules = rules
        self._on_event = on_event
        self._before = (0.0, 0.0)
        self.history = History()
        self.kept: Array = None
        self.kept_grades: tuple[Grade | None, ...] = ()
        self.returned: tuple[int, ...] = ()
        self.stop: Stop | None = None
        self.warnings: list[str] = []
        self._warned: set[str] = set()

    def take_up(self, resumed: Resumed, device: Device) -> dict[str, Any]:
        """Go on where an earlier run ended; return the solver's state on the device."""
        self.history = resumed.history
        self._before = (resumed.history.last.recon_s, resumed.history.last.grading_s)
        self.kept = to_device(resumed.kept, device)
        self.returned = returned_iterations(self.history, self._how)
        self.kept_grades = tuple(self._grade(volume) for volume in self.kept)
        self.stop = first_to_fire(self.history, self._rules)
        state = dict(resumed.state)
        return {k: to_device(v, device) if isinstance(v, np.ndarray) else v for k, v in state.items()}

    def look_at(self, iterate: Iterate) -> None:
        """Grade an iterate, write it down, keep it if it is to be returned, and ask the rules."""
        started = time.perf_counter()
        grades = tuple(self._grade(volume) for volume in iterate.volumes)
        grading = time.perf_counter() - started + (self.history.last.grading_s if len(self.history) else 0.0)
        self.history.add(iterate.iteration, iterate.cost, grades, self._before[0] + iterate.seconds, grading)
        self._keep(iterate, grades)
        self._tell(iterate)
        self.stop = first_to_fire(self.history, self._rules)
        if self.stop is None and iterate.last:
            # the solver cannot move any more: the cost has its minimum to rounding
            self.stop = Stop(iterate.iteration, "plateau", "solver_converged")

    def _grade(self, volume: Array) -> Grade | None:
        if self._grader is None:
            return None
        grade = self._grader.grade(volume, self._voxel_size)
        for warning in grade.warnings:
            self._warn(warning)
        return grade

    def _keep(self, iterate: Iterate, grades: tuple[Grade | None, ...]) -> None:
        chosen = returned_iterations(self.history, self._how)
        if self.kept is None:
            self.kept, self.kept_grades = iterate.volumes.copy(), grades
        elif iterate.iteration in chosen:
            new = [k == iterate.iteration for k in chosen]
            for phase in np.flatnonzero(new):
                self.kept[phase] = iterate.volumes[phase]
            both = zip(new, grades, self.kept_grades, strict=True)
            self.kept_grades = tuple(now if is_new else before for is_new, now, before in both)
        self.returned = chosen

    def _tell(self, iterate: Iterate) -> None:
        last = self.history.last
        self._on_event(
            {
                "event": "iteration",
                "iteration": last.iteration,
                "cost": last.cost,
                "cost_data": last.cost_data,
                "cost_penalty": last.cost_penalty,
                "grades": list(last.grades),
                "grade_sd": list(last.grade_sds),
                "seconds": last.recon_s + last.grading_s,
            }
        )
        for rule in self._rules:
            reason = rule.why_off(self.history) if isinstance(rule, GradePlateau) else None
            if reason and self._grader is not None:
                self._warn(reason)

    def name_outsiders(self) -> None:
        """Warn of returned phases whose grades mean little."""
        outside = [p for p, g in enumerate(self.kept_grades, start=1) if g is not None and not g.in_domain]
        if outside:
            phases = ", ".join(map(str, outside))
            self._warn(f"outside the training domain of the model (phase {phases}): the grades mean little")

    def advise_rescan(self, least: float | None) -> None:
        """Warn if no returned phase reaches the least grade that was asked for."""
        grades = [g.grade for g in self.kept_grades if g is not None and np.isfinite(g.grade)]
        if least is not None and grades and max(grades) < least:
            self._warn(f"rescan advised: the best grade is {max(grades):.2f}, below {least:g}")

    def ranking(self) -> Ranking | None:
        """Return the ranking of the returned volumes; None if not graded or not of one iteration."""
        grades = [grade for grade in self.kept_grades if grade is not None]
        if len(grades) < len(self.kept_grades) or self._how == "best-per-phase":
            return None
        return rank(grades)

    def _warn(self, message: str) -> None:
        # a warning that comes again with other numbers is the same warning
        kind = re.sub(r"[0-9.]+", "", message)
        if kind not in self._warned:
            self._warned.add(kind)
            self.warnings.append(message)
            self._on_event({"event": "warning", "message": message})
