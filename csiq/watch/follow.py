"""Grade iterates as they come until a rule says to stop."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from csiq.errors import RawDataError, ResourceError
from csiq.history import History
from csiq.monitor import QualityMonitor, QualityWarning
from csiq.stopping import Rule, Stop
from csiq.watch.arrivals import Arrivals, Iterate

if TYPE_CHECKING:
    from csiq.quality.assessor import Assessor, Grade


@dataclass(frozen=True)
class Watch:
    """How to watch a folder.

    Attributes
    ----------
    rule : Rule or None
        When to stop; None: never.
    every : int
        Grade each n-th iteration only.
    pause : float
        Seconds between two looks.
    timeout : float or None
        Seconds without a new iterate after which to give up.
    """

    rule: Rule | None = None
    every: int = 1
    pause: float = 1.0
    timeout: float | None = None


@dataclass(frozen=True)
class Seen:
    """One iterate that was graded, and what follows from it.

    Attributes
    ----------
    iterate : Iterate
    grades : tuple of Grade or None
        One a phase.
    history : History
    stop : Stop or None
        Set if the rule fired here.
    best : int
        The iteration to take if it stopped here.
    warnings : tuple of str
        What is odd, said once.
    """

    iterate: Iterate
    grades: tuple[Grade | None, ...]
    history: History
    stop: Stop | None
    best: int
    warnings: tuple[str, ...]


def follow(
    arrivals: Arrivals, grader: Assessor, watch: Watch, running: Callable[[], bool] = lambda: True
) -> Iterator[Seen]:
    """Yield the iterates of a folder, graded as they come, until the rule fires or nothing more comes.

    Parameters
    ----------
    arrivals : Arrivals
    grader : Assessor
    watch : Watch
    running : callable
        Whether more may come; asked before each look.

    Raises
    ------
    ResourceError
        If no iterate came within the timeout.
    RawDataError
        If two iterates differ in voxel size or number of phases.
    """
    eye: _Eye | None = None
    latest = time.monotonic()
    while True:
        # asked before looking: what was saved before the end is then never missed
        goes_on = running()
        arrivals.ended = not goes_on
        for iterate in arrivals.new():
            latest = time.monotonic()
            eye = eye or _Eye(iterate, grader, watch)
            seen = eye.see(iterate)
            if seen is not None:
                yield seen
                if seen.stop is not None:
                    return
        if not goes_on and not arrivals.pending:
            return
        if watch.timeout is not None and time.monotonic() - latest > watch.timeout:
            raise _timed_out(arrivals, watch.timeout)
        time.sleep(watch.pause)


class _Eye:
    """The monitor of one folder; the first iterate says what the others must be like."""

    def __init__(self, first: Iterate, grader: Assessor, watch: Watch) -> None:
        self._form = _form_of(first)
        self._every = watch.every
        self._monitor = QualityMonitor(grader, watch.rule, voxel_size=first.volumes[0].voxel_size)

    def see(self, iterate: Iterate) -> Seen | None:
        """Return what an iterate shows; None if it is not to be graded."""
        monitor = self._monitor
        if iterate.iteration % self._every and len(monitor.history):
            return None
        if _form_of(iterate) != self._form:
            raise RawDataError(
                "differs from the first iterate in phases, shape or voxel size", file=iterate.paths[0]
            )
        said = len(monitor.warnings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", QualityWarning)  # handed over below
            image = np.stack([volume.values for volume in iterate.volumes])
            monitor.update(image, iteration=iterate.iteration)
        best = iterate.iteration if monitor.best is None else monitor.best.iteration
        new = tuple(monitor.warnings[said:])
        return Seen(iterate, monitor.grades, monitor.history, monitor.stop, best, new)


def _form_of(iterate: Iterate) -> list[tuple[object, ...]]:
    return [(volume.values.shape, volume.voxel_size) for volume in iterate.volumes]


def _timed_out(arrivals: Arrivals, timeout: float) -> ResourceError:
    came = arrivals.latest
    since = f"after iteration {came}" if came is not None else "at all"
    return ResourceError(
        f"no new iterate came within {timeout:g} s {since}",
        file=arrivals.folder,
        field="--timeout",
        hint="has the other program ended?",
    )
