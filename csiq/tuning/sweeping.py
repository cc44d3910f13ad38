"""Reconstruct one scan with many weights of the penalty, everything before the first iteration done once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from csiq.acquisition import Acquisition
from csiq.arrays import choose_device, return_free_memory
from csiq.config import Config
from csiq.loop import Event, OnEvent, ignore
from csiq.pipeline import Prepared, Result, prepare, reconstruct_prepared
from csiq.plugins import load_assessor
from csiq.tuning.lamdas import home_of, lamda_grid, with_home
from csiq.tuning.point import Point, point_of

if TYPE_CHECKING:
    from csiq.truth import KnownTruth

#: What is told of each weight once it is done: its numbers, and the reconstruction they are of.
OnPoint = Callable[[Point, Result], None]


@dataclass(frozen=True)
class Sweep:
    """The weights that were tried.

    Attributes
    ----------
    points : tuple of Point
        By rising weight.
    home : float
        The weight of the configuration; always among the points of a complete sweep.
    warnings : tuple of str
        Of the scan and its reconstructions, each once.
    """

    points: tuple[Point, ...]
    home: float
    warnings: tuple[str, ...] = ()

    @property
    def lamdas(self) -> tuple[float, ...]:
        """The weights."""
        return tuple(point.lamda for point in self.points)

    @property
    def knows_truth(self) -> bool:
        """Whether any point was held against a truth."""
        return any(point.nrmse for point in self.points)

    def at(self, lamda: float) -> Point:
        """Return the point of a weight.

        Raises
        ------
        KeyError
            If it was not tried.
        """
        for point in self.points:
            if point.lamda == lamda:
                return point
        raise KeyError(lamda)


def sweep(
    scan: Acquisition,
    config: Config | None = None,
    lamdas: Iterable[float] | None = None,
    *,
    grader: object | None = None,
    truth: KnownTruth | None = None,
    done: Sequence[Point] = (),
    on_event: OnEvent = ignore,
    on_point: OnPoint | None = None,
) -> Sweep:
    """Reconstruct a scan with several weights of the total variation along the phases.

    Reading, coil maps, breathing, operators and the grader are made once. Each weight starts from the gridded
    image, as ``csiq recon --lamda X`` does, and is equal to it to the bit: what the rules of stopping mean
    does not depend on its neighbours.

    Parameters
    ----------
    scan : Acquisition
    config : Config, optional
        Of every reconstruction, rules of stopping included; by default those of ``csiq recon`` with
        ``stop_on_plateau``.
    lamdas : iterable of float, optional
        Relative weights; that of the configuration is added. :func:`csiq.tuning.lamda_grid` by default.
    grader : Assessor, torch.nn.Module or callable, optional
        In place of the configuration's model.
    truth : KnownTruth, optional
        What the returned images are held against. It is written down beside them and never chosen by.
    done : sequence of Point
        Of an earlier sweep of the same scan and configuration: not computed again.
    on_event : callable, optional
        Told what :func:`csiq.pipeline.reconstruct` tells, and ``{"event": "lamda", ...}`` before and
        ``{"event": "point", ...}`` after each weight.
    on_point : callable, optional
        Called with each new point and its reconstruction; for saving.

    Raises
    ------
    ConfigError
        If there is nothing to tune or a weight is not above 0.
    ModelError
        If there is no model.
    """
    config = settings_of(config)
    home = home_of(config)
    wanted = with_home(lamdas, home) if lamdas is not None else lamda_grid(home)
    known = {point.lamda: point for point in done if point.lamda in wanted}
    missing = [lamda for lamda in wanted if lamda not in known]
    warnings: list[str] = []
    if missing:
        if grader is None:
            grader = load_assessor(config.quality.model, choose_device(config.run.device))
        # a weight of 1 leaves the peak |A^H W y| itself, which all relative weights are multiplied by
        unit = replace(config, penalty=replace(config.penalty, lamda=1.0))
        held = [scan]
        del scan
        prepared = prepare(held.pop(), unit, on_event=on_event, grader=grader)
        for number, lamda in enumerate(missing, start=1):
            on_event({"event": "lamda", "lamda": lamda, "number": number, "of": len(missing)})
            known[lamda], found = _one(prepared, config, lamda, (truth, on_event, on_point))
            warnings += [warning for warning in found if warning not in warnings]
    return Sweep(tuple(known[lamda] for lamda in wanted), home, tuple(warnings))


def settings_of(config: Config | None) -> Config:
    """Return the configuration of every reconstruction of a sweep.

    No shadow (that would compute all iterations), no advice of a rescan, nothing saved of iterates.
    """
    if config is None:
        default = Config()
        config = replace(default, stop=replace(default.stop, stop_on_plateau=True))
    stop = replace(config.stop, shadow=False, min_grade=None)
    return replace(config, stop=stop, run=replace(config.run, save_iterates=False, live=False))


def _one(
    prepared: Prepared,
    config: Config,
    lamda: float,
    more: tuple[KnownTruth | None, OnEvent, OnPoint | None],
) -> tuple[Point, tuple[str, ...]]:
    """Reconstruct with one weight; return its numbers and the warnings."""
    truth, on_event, on_point = more

    def tell(event: Event) -> None:
        on_event({**event, "lamda": lamda})

    started = time.perf_counter()
    result = reconstruct_prepared(_weighted(prepared, lamda), config, on_event=tell)
    seconds = time.perf_counter() - started
    measured = truth.measure(result.volumes) if truth is not None else ()
    point = point_of(lamda, result, measured, seconds)
    if on_point is not None:
        on_point(point, result)
    on_event(_event_of(point))
    return_free_memory()
    return point, result.warnings


def _weighted(prepared: Prepared, lamda: float) -> Prepared:
    """Return what was prepared with weight 1, with another weight."""
    problem = prepared.problem
    return replace(prepared, problem=replace(problem, lamda_abs=lamda * problem.lamda_abs))


def _event_of(point: Point) -> Event:
    return {"event": "point", **point.row(), "grades": list(point.grades)}
