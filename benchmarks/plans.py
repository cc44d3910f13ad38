"""How far each program goes on each problem of :mod:`reconstruction`, and what the command line changes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import bart
import curves
from problems import Benchmark, honest_3d, radial_2d, speed_3d

from csiq.arrays import default_threads
from csiq.solvers import SOLVERS

#: The best of the sweep (``--only tune``): for a gap of 1e-2 and of 1e-3 on a slice of 96^2, and at 24^3.
_BEST_2D, _BEST_3D = (bart.Settings(0.2, 2), bart.Settings(0.1, 2)), (bart.Settings(0.1, 10),)
TUNED = {"2d": _BEST_2D, "honest": _BEST_3D, "speed": _BEST_3D}
SWEEP = tuple(bart.Settings(rho, cg) for rho in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0) for cg in (2, 3, 5, 10))
PARTS = ("csiq", "sigpy", "bart", "dcf", "tune")


@dataclass(frozen=True)
class Plan:
    """How far each program goes on one problem.

    Attributes
    ----------
    make : callable
        (matrix or None, coils) -> Benchmark
    steps : tuple of int
        `-i` of BART, one command each.
    untuned : bool
        Whether BART runs at its defaults too; in 3D that takes minutes more.
    sigpy_step : bool
        Whether SigPy is handed its step instead of 30 power iterations: without them, one iteration
        is seen within minutes.
    budget : float
        Seconds for SigPy, which does three iterations at least.
    reference : int
        Iterations for the lowest cost, at most.
    """

    make: Callable[[int | None, int], Benchmark]
    steps: tuple[int, ...]
    untuned: bool
    sigpy_step: bool
    budget: float
    reference: int


PLANS = {
    "2d": Plan(
        make=lambda n, coils: radial_2d(n or 208, n_coils=coils),
        steps=(2, 5, 10, 15, 20, 30, 40, 60, 80, 120),
        untuned=True,
        sigpy_step=False,
        budget=150,
        reference=1000,
    ),
    "honest": Plan(
        make=lambda n, coils: honest_3d(n or 96, n_coils=coils),
        steps=(10, 20, 30),
        untuned=False,
        sigpy_step=True,
        budget=150,
        reference=150,
    ),
    "speed": Plan(
        make=lambda n, coils: speed_3d(n or 96, 15000 if n is None else 16 * n, n_coils=coils),
        steps=(5, 10),
        untuned=False,
        sigpy_step=True,
        budget=0,
        reference=40,
    ),
}


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description="Whole reconstructions, csiq against SigPy and BART.")
    add = parser.add_argument
    add("--problems", nargs="+", choices=PLANS, default=["2d", "honest", "speed"])
    add("--only", nargs="+", choices=PARTS, default=["csiq", "sigpy", "bart"], help="parts to run")
    add("--solvers", nargs="+", choices=SOLVERS, help="of csiq; its default alone if not given")
    add("--n2", type=int, help="matrix of the slice; 208")
    add("--n3", type=int, help="matrix of the volumes; 96")
    add("--coils", type=int, default=8)
    add("--iterations", type=int, default=40, help="of csiq")
    add("--budget", type=float, help="seconds for SigPy on one problem")
    add("--steps", type=int, nargs="+", help="conjugate gradient steps (-i) of BART's commands")
    add("--bart", nargs="+", type=bart.settings, help="settings to run instead of the tuned ones, as 0.1,2")
    add("--untuned", action="store_true", help="BART at its defaults in 3D too")
    add("--reference", type=int, help="iterations for the lowest cost, at most")
    add("--tune-matrix", type=int, default=48, help="matrix of the volume that BART is tuned on")
    add("--threads", type=int, default=default_threads())
    add("--curves", action="store_true", help="write <problem>.tsv")
    add("--plot", action="store_true", help="write <problem>.png")
    add("--folder", type=Path, default=curves.FOLDER, help="of these files")
    return parser.parse_args(arguments)
