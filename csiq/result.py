"""What a reconstruction starts from, and what it gives: plain records of the flow in :mod:`csiq.pipeline`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.acquisition import Geometry
from csiq.arrays import Device
from csiq.gating import Bins, Signal
from csiq.history import History
from csiq.quality.assessor import Assessor, Grade
from csiq.ranking import Ranking
from csiq.rescan.advice import Rescan
from csiq.solvers import Problem
from csiq.stopping import Rule, Stop


@dataclass(frozen=True)
class Prepared:
    """A scan before its first iteration; see :func:`csiq.pipeline.prepare`.

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
