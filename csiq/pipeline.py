"""From one scan to ranked phases: the flow, readable from top to bottom.

:func:`reconstruct` works on arrays and touches no file; :func:`csiq.run.run` reads a raw file, calls it
and writes the run folder. This module and :mod:`csiq.monitor` alone know both solvers and grades.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from csiq.acquisition import Acquisition, Geometry
from csiq.arrays import Array, Device, choose_device, default_threads, to_device, to_host
from csiq.coils import compress, drop_dead_coils, estimate_smaps, whiten
from csiq.config import Config, seconds_of
from csiq.errors import ConfigError, ModelError, nearest
from csiq.gating import Bins, Signal, bin_spokes, respiratory_signal
from csiq.gating.selfnav import si_shift_mm
from csiq.history import History
from csiq.operators import ForwardModel
from csiq.quality.grade import Grade, Grader
from csiq.ranking import Ranking, rank
from csiq.solvers import SOLVERS, Iterate, Problem, build_problem, solve
from csiq.stopping import (
    GradePlateau,
    MaxIter,
    NotFinite,
    Rule,
    Stop,
    TimeLimit,
    counterfactual,
    first_to_fire,
    plateau_rules,
    returned_iterations,
)
from csiq.trajectory import density_compensation

#: What a caller is told while a reconstruction runs: a dictionary with the key ``event``.
Event = dict[str, Any]
OnEvent = Callable[[Event], None]


def _ignore(event: Event) -> None:
    """Take an event and do nothing."""


@dataclass(frozen=True)
class Result:
    """What a reconstruction gives.

    Attributes
    ----------
    volumes : complex64 array, (n_phases, z, y, x)
        The returned iteration, on the CPU.
    iterations : tuple of int
        The iteration returned for each phase; all the same unless ``return = "best-per-phase"``.
    history : History
        Cost and grades of every iteration.
    grades : tuple of Grade or None
        Of the returned volumes, one a phase.
    ranking : Ranking or None
        None without a model, or if the phases come from different iterations.
    stop : Stop
        Where the solver stopped, and which rule said so.
    counterfactual : dict
        Rule -> the iteration at which it would have stopped, or None.
    signal : Signal or None
        The breathing; None for a single phase.
    bins : Bins
    geometry : Geometry
    n_coils : int
        Virtual coils that were used.
    lamda_abs : float
    model : dict
        ``name`` and ``sha256`` of the grader; empty without one.
    seconds : dict
        Of each stage.
    warnings : tuple of str
    device : str
    threads : int
    """

    volumes: np.ndarray
    iterations: tuple[int, ...]
    history: History
    grades: tuple[Grade | None, ...]
    ranking: Ranking | None
    stop: Stop
    counterfactual: dict[str, int | None]
    signal: Signal | None
    bins: Bins
    geometry: Geometry
    n_coils: int
    lamda_abs: float
    model: dict[str, str]
    seconds: dict[str, float]
    warnings: tuple[str, ...]
    device: str
    threads: int


@dataclass
class Stages:
    """Seconds of each stage, and the events that tell of them."""

    on_event: OnEvent = _ignore
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time a stage; a stage entered twice adds up."""
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
        self.on_event({"event": "stage", "stage": name, "seconds": self.seconds[name]})


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


def reconstruct(
    scan: Acquisition,
    config: Config | None = None,
    *,
    on_event: OnEvent = _ignore,
    on_iterate: Callable[[Iterate, History, Array], None] | None = None,
    resumed: Resumed | None = None,
    elapsed: float = 0.0,
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
    device, threads = choose_device(config.run.device), config.run.threads or default_threads()
    use_threads(threads)
    use_device(device)
    check_solver(config)
    stages = Stages(on_event)
    with stages("coils"):
        scan = prepare_coils(scan, config)
        smaps = estimate_smaps(scan, threads=threads)
    with stages("gating"):
        signal, bins = gate(scan, config)
    warnings = [*scan.warnings, *_breathing_warnings(signal)]
    on_event(_start_event(scan, bins, config, device, threads))
    with stages("setup"):
        problem = set_up(scan, bins, smaps, config, device, threads)
        grader = load_grader(config, device)
    loop = _Loop(
        config,
        scan.geometry,
        grader,
        _rules(config, elapsed + sum(stages.seconds.values()), resumed),
        on_event,
    )
    state = loop.take_up(resumed, device) if resumed is not None else None
    iterates = solve(problem, config.solver.solver, config.solver.max_iter, state)
    while loop.stop is None and (iterate := next(iterates, None)) is not None:
        loop.look_at(iterate)
        if on_iterate is not None:
            on_iterate(iterate, loop.history, loop.kept)
    loop.name_outsiders()
    loop.advise_rescan(config.stop.min_grade)
    stages.seconds |= {"recon": loop.history.last.recon_s, "grading": loop.history.last.grading_s}
    return Result(
        volumes=to_host(loop.kept),
        iterations=loop.returned,
        history=loop.history,
        grades=loop.kept_grades,
        ranking=loop.ranking(),
        stop=loop.stop or Stop(loop.history.last.iteration, "max_iter", "max_iter"),
        counterfactual=counterfactual(loop.history, plateau_rules(plateau_rule(config))),
        signal=signal,
        bins=bins,
        geometry=scan.geometry,
        n_coils=scan.n_coils,
        lamda_abs=problem.lamda_abs,
        model={"name": grader.name, "sha256": grader.sha256} if grader is not None else {},
        seconds=stages.seconds,
        warnings=tuple(dict.fromkeys([*warnings, *loop.warnings])),
        device=str(device),
        threads=threads,
    )


def use_threads(threads: int) -> None:
    """Let torch use this many threads; our own pools are told one by one."""
    import torch

    torch.set_num_threads(threads)


def use_device(device: Device) -> None:
    """Let everything that is allocated from now on lie on this device."""
    if device.is_gpu:
        import cupy

        cupy.cuda.Device(device.index).use()


def check_solver(config: Config) -> None:
    """Raise a ConfigError if there is no solver of that name."""
    if config.solver.solver not in SOLVERS:
        hint = nearest(config.solver.solver, SOLVERS)
        raise ConfigError(f"no solver '{config.solver.solver}'", field="--solver", hint=hint)


def prepare_coils(scan: Acquisition, config: Config) -> Acquisition:
    """Return the scan without dead coils, whitened and compressed to virtual coils.

    In the mode ``selfnav`` the heart's head-foot shift is taken out as well, heartbeat by heartbeat.
    """
    if config.gating.mode == "selfnav":
        scan = correct_shift(scan)
    return compress(whiten(drop_dead_coils(scan)), config.coils.coils)


def correct_shift(scan: Acquisition) -> Acquisition:
    """Return the scan with the heart's displacement along z taken out of each heartbeat.

    The one-dimensional correction of the self-navigated sequence: a shift d of the heart turned every sample
    by exp(-2 pi i k_z d / FOV).

    Raises
    ------
    ConfigError
        If there are no SI spokes to navigate by.

    References
    ----------
    Piccini D, et al. Respiratory self-navigation for whole-heart bright-blood coronary MRI. Magn Reson Med
    2012;68:571-579.
    """
    navigators = scan.navigators
    if navigators is None:
        raise ConfigError(
            "there are no SI spokes", file=scan.name, field="--mode selfnav", hint="--mode phases"
        )
    shift = si_shift_mm(navigators, scan.geometry)
    nearest = np.argmin(np.abs(navigators.heartbeat[None] - scan.heartbeat[:, None]), axis=1)
    turns = scan.coord[..., 0] * (shift[nearest] / scan.geometry.fov[0])[:, None]
    return replace(scan, kspace=(scan.kspace * np.exp(2j * np.pi * turns)).astype(np.complex64))


def gate(scan: Acquisition, config: Config) -> tuple[Signal | None, Bins]:
    """Return the breathing signal and the spokes of each phase; all spokes for a single image."""
    if config.gating.phases == 1 or config.gating.mode == "selfnav":
        everything = np.arange(scan.n_spokes)
        return None, Bins((everything,), np.empty(0), np.ones(scan.n_spokes, int))
    signal = respiratory_signal(scan, config.gating)
    return signal, bin_spokes(signal, config.gating.phases)


def set_up(
    scan: Acquisition, bins: Bins, smaps: np.ndarray, config: Config, device: Device, threads: int
) -> Problem:
    """Return the problem on the device: kernels, gridded image, penalty weight."""
    order = np.concatenate(bins.indices)
    dcf = phase_dcf(scan, bins, config.penalty.dcf)
    coords = [to_device(np.ascontiguousarray(scan.coord[indices]), device) for indices in bins.indices]
    maps = to_device(smaps, device)
    model = ForwardModel(coords, maps, threads=threads, coil_batch=config.run.coil_batch)
    kspace = to_device(scan.kspace[:, order], device)
    penalty = config.penalty
    return build_problem(
        model, kspace, to_device(dcf, device), penalty.lamda, dcf_in_cost=penalty.dcf_in_cost
    )


def phase_dcf(scan: Acquisition, bins: Bins, method: str) -> np.ndarray:
    """Return the density compensation of each phase's own spokes, mean 1 in each, phase after phase.

    Returns
    -------
    float32 array, (n_binned_spokes, n_samples)
    """
    if method == "pipe-menon":
        parts = [density_compensation(scan.coord[i], method, shape=scan.geometry.shape) for i in bins.indices]
    else:
        # the law of the whole trajectory is found once; a phase's spokes are a random part of it
        whole = density_compensation(scan.coord, method, shape=scan.geometry.shape)
        parts = [whole[indices] for indices in bins.indices]
    return np.concatenate([part / part.mean() for part in parts]).astype(np.float32)


def load_grader(config: Config, device: Device) -> Grader | None:
    """Return the grader; None if there is no model and nothing depends on one.

    Raises
    ------
    ModelError
        If a model is asked for by name or file, or the stop needs one, and it is missing or damaged.
    """
    try:
        return Grader.load(config.quality.model, device)
    except ModelError:
        if (
            config.stop.stop_on_plateau
            or config.stop.min_grade is not None
            or config.quality.model != "default"
        ):
            raise
        return None


def plateau_rule(config: Config) -> GradePlateau:
    """Return the grade plateau rule of a configuration."""
    stop = config.stop
    return GradePlateau(stop.plateau_tol, stop.plateau_floor, stop.patience, stop.min_iter, stop.scope)


def _rules(config: Config, spent: float, resumed: Resumed | None) -> tuple[Rule, ...]:
    rules: list[Rule] = [NotFinite()]
    if config.stop.stop_on_plateau and not config.stop.shadow:
        rules.append(plateau_rule(config))
    rules.append(MaxIter(config.solver.max_iter))
    if config.solver.time_limit is not None:
        # the clocks of the curves go on from the run that is resumed; the limit is of this one
        before = resumed.history.last.recon_s + resumed.history.last.grading_s if resumed is not None else 0.0
        rules.append(TimeLimit(seconds_of(config.solver.time_limit), spent - before))
    return tuple(rules)


class _Loop:
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


def _breathing_warnings(signal: Signal | None) -> list[str]:
    if signal is None or signal.confidence >= 0.5:
        return []
    return [
        f"which end of the breathing is expiration is uncertain (confidence {signal.confidence:.2f}): "
        "phase 1 may be end-inspiration"
    ]
