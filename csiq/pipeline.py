"""From one scan to ranked phases: the flow, readable from top to bottom.

:func:`reconstruct` works on arrays and touches no file; :func:`csiq.run.run` reads a raw file, calls it
and writes the run folder. This module and :mod:`csiq.loop` alone know both solvers and grades.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from csiq.acquisition import Acquisition, Geometry
from csiq.arrays import (
    Device,
    choose_device,
    default_threads,
    to_device,
    to_host,
    use_threads,
)
from csiq.coils import compress, drop_dead_coils, estimate_smaps, whiten
from csiq.config import Config, seconds_of
from csiq.cuda.memory import GpuPlan, free_bytes, with_back_off
from csiq.errors import ConfigError, ModelError
from csiq.gating import Bins, Signal, bin_spokes, respiratory_signal
from csiq.gating.selfnav import si_shift_mm
from csiq.history import History
from csiq.loop import Event, Loop, OnEvent, OnIterate, Resumed, ignore
from csiq.operators import ForwardModel
from csiq.plan import gpu_plan, sizes_of
from csiq.plugins import load_assessor
from csiq.quality.assessor import Assessor, Grade, as_assessor
from csiq.ranking import Ranking
from csiq.rescan.advice import Rescan
from csiq.solvers import (
    Problem,
    SpatialTV,
    Wavelet,
    build_problem,
    solve,
    solver_named,
)
from csiq.stopping import (
    GradePlateau,
    MaxIter,
    NotFinite,
    Rule,
    Stop,
    TimeLimit,
    counterfactual,
    mapped,
    parse_stopping_rule,
    standard_rules,
    uses_grades,
)
from csiq.trajectory import density_compensation


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
    rescan : Rescan or None
        Whether the scan should be repeated; None unless a least grade was asked for.
    rules : tuple of Rule
        Those of ``counterfactual``.
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
    rescan: Rescan | None = None
    rules: tuple[Rule, ...] = ()


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


@dataclass(frozen=True)
class Prepared:
    """A scan before its first iteration; see :func:`prepare`.

    Attributes
    ----------
    problem : Problem
    assessor : Assessor or None
        What grades.
    signal : Signal or None
        The breathing; None for a single phase.
    bins : Bins
    geometry : Geometry
    n_coils : int
        Virtual coils that are used.
    device : Device
    threads : int
    warnings : tuple of str
    seconds : dict
        Of each stage.
    """

    problem: Problem
    assessor: Assessor | None
    signal: Signal | None
    bins: Bins
    geometry: Geometry
    n_coils: int
    device: Device
    threads: int
    warnings: tuple[str, ...]
    seconds: dict[str, float]


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
    device, threads = choose_device(config.run.device), config.run.threads or default_threads()
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
        problem = set_up(scan, bins, smaps, config, device, threads)
        assessor = as_assessor(grader) if grader is not None else load_grader(config, device)
    warnings += _calibration_warnings(scan, assessor)
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
    loop = Loop(config, prepared.geometry, prepared.assessor, _rules(config, spent), on_event)
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
        model={"name": assessor.name, "sha256": assessor.sha256} if assessor is not None else {},
        seconds=prepared.seconds | clocks,
        warnings=tuple(dict.fromkeys([*prepared.warnings, *loop.warnings])),
        device=str(prepared.device),
        threads=prepared.threads,
        rescan=rescan,
        rules=compared,
    )


def use_device(device: Device) -> None:
    """Let everything that is allocated from now on lie on this device."""
    if device.is_gpu:
        import cupy

        cupy.cuda.Device(device.index).use()


def prepare_coils(scan: Acquisition, config: Config) -> Acquisition:
    """Return the scan without dead coils, whitened and compressed to virtual coils.

    In the mode ``selfnav`` the heart's head-foot shift is taken out as well, heartbeat by heartbeat.
    """
    if config.gating.mode == "selfnav":
        scan = correct_shift(scan)
    return compress(whiten(drop_dead_coils(scan)), config.coils.coils)


def correct_shift(scan: Acquisition, shift: np.ndarray | None = None) -> Acquisition:
    """Return the scan with the heart's displacement along z taken out of each heartbeat.

    The one-dimensional correction of the self-navigated sequence: a shift d of the heart turned every sample
    by exp(-2 pi i k_z d / FOV).

    Parameters
    ----------
    scan : Acquisition
    shift : float64 array, (n_spokes,), optional
        mm; :func:`spoke_shift` by default.

    Raises
    ------
    ConfigError
        If there are no SI spokes to navigate by.

    References
    ----------
    Piccini D, et al. Respiratory self-navigation for whole-heart bright-blood coronary MRI. Magn Reson Med
    2012;68:571-579.
    """
    shift = spoke_shift(scan) if shift is None else shift
    turns = scan.coord[..., 0] * (shift / scan.geometry.fov[0])[:, None]
    return replace(scan, kspace=(scan.kspace * np.exp(2j * np.pi * turns)).astype(np.complex64))


def spoke_shift(scan: Acquisition) -> np.ndarray:
    """Return the heart's displacement along z at each spoke, mm, as the SI spoke of its heartbeat shows it.

    Raises
    ------
    ConfigError
        If there are no SI spokes to navigate by.
    """
    navigators = scan.navigators
    if navigators is None:
        raise ConfigError(
            "there are no SI spokes", file=scan.name, field="--mode selfnav", hint="--mode phases"
        )
    shift = si_shift_mm(navigators, scan.geometry)
    return shift[np.argmin(np.abs(navigators.heartbeat[None] - scan.heartbeat[:, None]), axis=1)]


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
    kspace = scan.kspace[:, order]

    def build(plan: GpuPlan | None) -> Problem:
        coords = [to_device(np.ascontiguousarray(scan.coord[i]), device) for i in bins.indices]
        wait = (plan is not None and not plan.smaps_on_device, plan is not None and not plan.kspace_on_device)
        model = ForwardModel(
            coords,
            smaps if wait[0] else to_device(smaps, device),
            threads=threads,
            coil_batch=config.run.coil_batch,
            plan=plan,
        )
        penalty = config.penalty
        return build_problem(
            model,
            kspace if wait[1] else to_device(kspace, device),
            dcf if wait[1] else to_device(dcf, device),
            penalty.lamda,
            dcf_in_cost=penalty.dcf_in_cost,
            penalties=[SpatialTV(penalty.lamda_spatial_tv), Wavelet(penalty.lamda_wavelet)],
        )

    if not device.is_gpu:
        return build(None)
    return with_back_off(build, gpu_plan(sizes_of(scan, config), config, free_bytes(device)))


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


def load_grader(config: Config, device: Device) -> Assessor | None:
    """Return the grader; None if there is no model and nothing depends on one.

    Raises
    ------
    ModelError
        If a model is asked for by name or file, or the stop needs one, and it is missing or damaged.
    """
    try:
        return load_assessor(config.quality.model, device)
    except ModelError:
        own = own_rule(config)
        if (
            config.stop.stop_on_plateau
            or (own is not None and uses_grades(own))
            or config.stop.min_grade is not None
            or config.quality.model != "default"
        ):
            raise
        return None


def plateau_rule(config: Config) -> GradePlateau:
    """Return the grade plateau rule of a configuration."""
    stop = config.stop
    return GradePlateau(stop.plateau_tol, stop.plateau_floor, stop.patience, stop.min_iter, stop.scope)


def own_rule(config: Config, spent: float = 0.0) -> Rule | None:
    """Return the rule of ``--rule``, if there is one; its time limits count the seconds already spent."""
    if config.stop.rule is None:
        return None

    def started(rule: Rule) -> Rule:
        return replace(rule, before_s=spent) if isinstance(rule, TimeLimit) else rule

    return mapped(parse_stopping_rule(config.stop.rule), started)


def compared_rules(config: Config, spent: float = 0.0) -> tuple[Rule, ...]:
    """Return the rules of which a run records where they would have stopped it."""
    own = own_rule(config, spent)
    return standard_rules(plateau_rule(config), [own] if own is not None else [])


def _rules(config: Config, spent: float) -> tuple[Rule, ...]:
    """Return the rules that may stop a run, the first to be asked first."""
    rules: list[Rule] = [NotFinite()]
    own = own_rule(config, spent)
    if not config.stop.shadow:
        rules += [plateau_rule(config)] if config.stop.stop_on_plateau else []
        rules += [own] if own is not None else []
    rules.append(MaxIter(config.solver.max_iter))
    if config.solver.time_limit is not None:
        rules.append(TimeLimit(seconds_of(config.solver.time_limit), spent))
    return tuple(rules)


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
    if assessor is None or simulated or assessor.card.get("site_calibration"):
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
