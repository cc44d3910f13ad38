"""From one scan to ranked phases: the flow, readable from top to bottom.

:func:`reconstruct` works on arrays and touches no file; :func:`csiq.run_scan.run` reads a raw file, calls it
and writes the run folder. This module and :mod:`csiq.loop` alone know both solvers and grades. The
steps (:mod:`csiq.preparation`, :mod:`csiq.stopping.configured`) and the records (:mod:`csiq.result`) are
offered here too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from csiq.acquisition import Acquisition
from csiq.arrays import Device, default_threads, to_host, use_threads
from csiq.coils import estimate_smaps
from csiq.config import Config
from csiq.gating import Bins, Signal, correct_shift, spoke_shift
from csiq.loop import Event, Loop, OnEvent, OnIterate, Resumed, ignore
from csiq.preparation import (
    device_for,
    gate,
    load_grader,
    phase_dcf,
    prepare_coils,
    set_up,
    set_up_where_it_fits,
    use_device,
)
from csiq.quality.assessor import Assessor, as_assessor
from csiq.quality.origin import follows_readers, model_entry
from csiq.result import Prepared, Result
from csiq.solvers import solve, solver_named
from csiq.stopping import Stop, counterfactual
from csiq.stopping.configured import acting_rules, compared_rules, own_rule, plateau_rule

__all__ = [
    "Device",
    "Prepared",
    "Result",
    "Stages",
    "compared_rules",
    "correct_shift",
    "gate",
    "load_grader",
    "own_rule",
    "phase_dcf",
    "plateau_rule",
    "prepare",
    "prepare_coils",
    "reconstruct",
    "reconstruct_prepared",
    "set_up",
    "spoke_shift",
    "use_device",
]


@dataclass
class Stages:
    """Seconds of each stage, and the events that tell of them."""

    on_event: OnEvent = ignore
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time a stage; a stage entered twice adds up."""
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
        self.on_event({"event": "stage", "stage": name, "seconds": self.seconds[name]})


def reconstruct(
    scan: Acquisition,
    config: Config | None = None,
    *,
    on_event: OnEvent = ignore,
    on_iterate: OnIterate | None = None,
    resumed: Resumed | None = None,
    elapsed: float = 0.0,
    grader: object | None = None,
) -> Result:
    """Reconstruct the breathing phases of a scan, grade every iterate, stop, and rank the phases.

    Parameters
    ----------
    scan : Acquisition
    config : Config, optional
        The defaults are those of ``csiq recon``.
    on_event : callable, optional
        Called with dictionaries: ``{"event": "stage" | "start" | "iteration" | "warning", ...}``.
    on_iterate : callable, optional
        Called after each iterate was graded, with the iterate, the history and the volumes that would be
        returned now; for saving.
    resumed : Resumed, optional
        Go on from there.
    elapsed : float
        Seconds already spent (on reading), which a time limit counts.
    grader : Assessor, torch.nn.Module or callable, optional
        Grades in place of the configuration's model; see :func:`csiq.quality.assessor.as_assessor`.

    Returns
    -------
    Result

    Raises
    ------
    CsiqError
        See :mod:`csiq.errors`; the class says what kind.

    References
    ----------
    Feng L, et al. XD-GRASP. Magn Reson Med 2016;75:775-788. Piccini D, et al. Radiology: AI 2020;2:e190123.
    """
    config = config or Config()
    held = [scan]
    del scan  # the samples of all physical coils are let go as soon as they were compressed
    prepared = prepare(held.pop(), config, on_event=on_event, grader=grader)
    return reconstruct_prepared(
        prepared, config, on_event=on_event, on_iterate=on_iterate, resumed=resumed, elapsed=elapsed
    )


def prepare(
    scan: Acquisition, config: Config, *, on_event: OnEvent = ignore, grader: object | None = None
) -> Prepared:
    """Do what comes before the first iteration: coils, breathing, operators, grader.

    Parameters
    ----------
    scan : Acquisition
    config : Config
    on_event : callable, optional
    grader : Assessor, torch.nn.Module or callable, optional
        In place of the configuration's model.

    Raises
    ------
    CsiqError
    """
    threads = config.run.threads or default_threads()
    device, unexpected = device_for(scan, config)
    use_threads(threads)
    use_device(device)
    solver_named(config.solver.solver)
    stages = Stages(on_event)
    with stages("coils"):
        scan = prepare_coils(scan, config)
        smaps = estimate_smaps(scan, threads=threads)
    with stages("gating"):
        signal, bins = gate(scan, config)
    warnings = [*scan.warnings, *_breathing_warnings(signal)]
    on_event(_start_event(scan, bins, config, device, threads))
    with stages("setup"):
        problem, device, note = set_up_where_it_fits(scan, bins, smaps, config, device)
        assessor = as_assessor(grader) if grader is not None else load_grader(config, device)
    notes = [message for message in (unexpected, note) if message]
    for message in notes:
        on_event({"event": "warning", "message": message})
    warnings += [*notes, *_calibration_warnings(scan, assessor)]
    return Prepared(
        # samples are no longer needed: the right-hand side has them
        problem=problem,
        assessor=assessor,
        signal=signal,
        bins=bins,
        geometry=scan.geometry,
        n_coils=scan.n_coils,
        device=device,
        threads=threads,
        warnings=tuple(warnings),
        seconds=stages.seconds,
    )


def reconstruct_prepared(
    prepared: Prepared,
    config: Config,
    *,
    on_event: OnEvent = ignore,
    on_iterate: OnIterate | None = None,
    resumed: Resumed | None = None,
    elapsed: float = 0.0,
) -> Result:
    """Iterate on a scan that was prepared, grade, stop, and rank: the second half of :func:`reconstruct`.

    Parameters
    ----------
    prepared : Prepared
        It is not changed: reconstructions that differ in the weight of the penalty, the solver or the rules
        of stopping share one.
    config : Config
        Of solver and stop; the weights of the penalties are those of ``prepared.problem``.
    on_event, on_iterate, resumed, elapsed
        As in :func:`reconstruct`.
    """
    problem = prepared.problem
    spent = elapsed + sum(prepared.seconds.values())
    if resumed is not None:
        # the clocks of the curves go on from the run that is resumed; a time limit is of this one
        spent -= resumed.history.last.recon_s + resumed.history.last.grading_s
    loop = Loop(config, prepared.geometry, prepared.assessor, acting_rules(config, spent), on_event)
    iterates = solve(
        problem,
        config.solver.solver,
        config.solver.max_iter,
        loop.take_up(resumed, prepared.device) if resumed is not None else None,
    )
    loop.follow(iterates, on_iterate)
    loop.name_outsiders()
    rescan = loop.advise_rescan(config.stop.min_grade)
    compared = compared_rules(config, spent)
    clocks = {"recon": loop.history.last.recon_s, "grading": loop.history.last.grading_s}
    assessor = prepared.assessor
    return Result(
        volumes=to_host(loop.kept),
        iterations=loop.returned,
        history=loop.history,
        grades=loop.kept_grades,
        ranking=loop.ranking(),
        stop=loop.stop or Stop(loop.history.last.iteration, "max_iter", "max_iter"),
        counterfactual=counterfactual(loop.history, compared),
        signal=prepared.signal,
        bins=prepared.bins,
        geometry=prepared.geometry,
        n_coils=prepared.n_coils,
        lamda_abs=problem.lamda_abs,
        model=model_entry(assessor.name, assessor.sha256, assessor.card) if assessor is not None else {},
        seconds=prepared.seconds | clocks,
        warnings=tuple(dict.fromkeys([*prepared.warnings, *loop.warnings])),
        device=str(prepared.device),
        threads=prepared.threads,
        rescan=rescan,
        rules=compared,
    )


def _start_event(scan: Acquisition, bins: Bins, config: Config, device: Device, threads: int) -> Event:
    return {
        "event": "start",
        "name": scan.name,
        "n_phases": bins.n_phases,
        "n_coils": scan.n_coils,
        "n_spokes": scan.n_spokes,
        "n_samples": scan.n_samples,
        "shape": list(scan.geometry.shape),
        "voxel_size_mm": list(scan.geometry.voxel_size),
        "nyquist_fraction": scan.nyquist_fraction,
        "device": str(device),
        "threads": threads,
        "solver": config.solver.solver,
        "max_iter": config.solver.max_iter,
    }


def _calibration_warnings(scan: Acquisition, assessor: Assessor | None) -> list[str]:
    """Return the warning about grades of a measured scan that no reader of its site stands behind."""
    simulated = scan.system.get("vendor") == "simulated"
    if assessor is None or simulated or follows_readers(assessor.card):
        return []
    return [
        "grades of this measured scan are uncalibrated: csiq model calibrate takes them to a site's reader"
    ]


def _breathing_warnings(signal: Signal | None) -> list[str]:
    if signal is None or signal.confidence >= 0.5:
        return []
    return [
        f"which end of the breathing is expiration is uncertain (confidence {signal.confidence:.2f}): "
        "phase 1 may be end-inspiration"
    ]
