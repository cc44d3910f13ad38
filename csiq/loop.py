"""What is remembered between iterates: curves, the volumes to return, and whether to stop."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from csiq.acquisition import Geometry
from csiq.arrays import Array, Device, to_device, to_host, xp_of
from csiq.config import Config
from csiq.cuda.stream import SideLine
from csiq.history import History
from csiq.quality.assessor import Assessor, Grade
from csiq.ranking import Ranking, rank
from csiq.rescan.advice import Rescan, advise
from csiq.solvers import Iterate
from csiq.stopping import Rule, Stop, first_to_fire, returned_iterations, why_off

#: What a caller is told while a reconstruction runs: a dictionary with the key ``event``.
Event = dict[str, Any]
OnEvent = Callable[[Event], None]
#: What is told of each iterate once it is graded: the iterate, the curves, the volumes to return now.
OnIterate = Callable[[Iterate, History, Array], None]


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


@dataclass(frozen=True)
class _Graded:
    """The grades of an iterate, one a phase, and the seconds they took."""

    grades: tuple[Grade | None, ...]
    seconds: float


class Loop:
    """What is remembered between iterates: curves, the volumes to return, and whether to stop."""

    def __init__(
        self,
        config: Config,
        geometry: Geometry,
        grader: Assessor | None,
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
        """Go on where an earlier run ended; hand over the solver's state, on the device."""
        self.history = resumed.history
        self._before = (resumed.history.last.recon_s, resumed.history.last.grading_s)
        self.kept = to_device(resumed.kept, device)
        self.returned = returned_iterations(self.history, self._how)
        self.kept_grades = self._grade(self.kept).grades
        self._pass_on_warnings(self.kept_grades)
        self.stop = first_to_fire(self.history, self._rules)
        state = dict(resumed.state)
        if isinstance(resumed.state, dict):
            resumed.state.clear()  # five volumes and more, which nobody else needs
        return {k: to_device(v, device) if isinstance(v, np.ndarray) else v for k, v in state.items()}

    def follow(self, iterates: Iterable[Iterate], on_iterate: OnIterate | None = None) -> None:
        """Grade iterates, write them down, keep what is to be returned, until a rule fires.

        On a GPU an iterate is graded while the next one is computed. The rules then speak one iterate later
        by the clock, but curves, stop and kept volumes are the same: the iterate too many is dropped.

        Parameters
        ----------
        iterates : iterable of Iterate
        on_iterate : callable, optional
            Called after each iterate was written down.
        """
        if self.stop is not None:
            return
        line = self._grader.side_line() if self._grader is not None else None
        try:
            for iterate, graded in self._graded(iterates, line, hold_state=on_iterate is not None):
                self._write_down(iterate, graded)
                if on_iterate is not None:
                    on_iterate(iterate, self.history, self.kept)
                if self.stop is not None:
                    return
        finally:
            if line is not None:
                line.close()

    def _graded(
        self, iterates: Iterable[Iterate], line: SideLine | None, *, hold_state: bool
    ) -> Iterator[tuple[Iterate, _Graded]]:
        """Yield each iterate with its grades; with a side line the next one is computed meanwhile."""
        before = None
        for iterate in iterates:
            if line is None:
                yield iterate, self._grade(iterate.volumes)
                continue
            if before is not None:
                yield before[0], before[1].result()
            held = _held(iterate, hold_state)
            before = held, line.submit(partial(self._grade, held.volumes))
        if before is not None:
            yield before[0], before[1].result()

    def _write_down(self, iterate: Iterate, graded: _Graded) -> None:
        self._pass_on_warnings(graded.grades)
        grading = graded.seconds + (self.history.last.grading_s if len(self.history) else 0.0)
        recon = self._before[0] + iterate.seconds
        self.history.add(iterate.iteration, iterate.cost, graded.grades, recon, grading)
        self._keep(iterate, graded.grades)
        self._tell(iterate)
        self.stop = first_to_fire(self.history, self._rules)
        if self.stop is None and iterate.last:
            # the solver cannot move any more: the cost has its minimum to rounding
            self.stop = Stop(iterate.iteration, "plateau", "solver_converged")

    def _grade(self, volumes: Array) -> _Graded:
        """Return the grades of all phases; called in a thread of its own where there is a side line."""
        if self._grader is None:
            return _Graded((None,) * len(volumes), 0.0)
        started = time.perf_counter()
        grades = tuple(self._grader.grade(volume, self._voxel_size) for volume in volumes)
        return _Graded(grades, time.perf_counter() - started)

    def _pass_on_warnings(self, grades: Sequence[Grade | None]) -> None:
        for grade in grades:
            for warning in grade.warnings if grade is not None else ():
                self._warn(warning)

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
            reason = why_off(rule, self.history)
            if reason and self._grader is not None:
                self._warn(reason)

    def name_outsiders(self) -> None:
        """Warn of returned phases whose grades mean little."""
        outside = [p for p, g in enumerate(self.kept_grades, start=1) if g is not None and not g.in_domain]
        if outside:
            phases = ", ".join(map(str, outside))
            self._warn(f"outside the training domain of the model (phase {phases}): the grades mean little")

    def advise_rescan(self, least: float | None) -> Rescan | None:
        """Hold the best returned phase against the least grade that was asked for; warn if it is below."""
        if least is None:
            return None
        found = advise(least, self.kept_grades)
        if found.warning is not None:
            self._warn(found.warning)
        return found

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


def _held(iterate: Iterate, hold_state: bool) -> Iterate:
    """Return an iterate that stays as it is when the solver goes on; its state, if wanted, on the host."""
    held = replace(iterate, volumes=iterate.volumes.copy())
    if not hold_state:
        return held
    state = {name: _on_host(value) for name, value in iterate.state().items()}
    return replace(held, state=lambda: state)


def _on_host(value: Any) -> Any:
    if not hasattr(value, "shape"):
        return value
    return value.copy() if xp_of(value) is np else to_host(value)
