"""Operator applications and seconds of every solver to a gap of 1e-1, 1e-2 and 1e-3, on the honest 3D scan.

    python benchmarks/solvers.py [N] [--iterations 100] [--reference 400] [--threads T] [--only NAME ...]

gap = (cost - lowest) / (cost of iteration 0 - lowest). The lowest cost is that of a long run: preconditioned
NLCG, then POGM from there (and of every run of the table, should one be lower). How far it fell in the last
quarter of that run says how sure it is. Applications of the normal operator count with all phases as one,
those of the set-up (the scale of iteration 0, the Lanczos steps of a largest eigenvalue) included. FISTA and
ADMM are here to compare with.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from harness import report
from problems import Benchmark, honest_3d
from rival_solvers import ADMM, FISTA

from csiq.arrays import Array
from csiq.solvers import SOLVERS, Problem

LEVELS = (1e-1, 1e-2, 1e-3)


class Counted:
    """A normal operator that counts its applications; a Lanczos step on one phase is a part of one."""

    def __init__(self, normal: Any, n_phases: int) -> None:
        self._normal, self._n_phases = normal, n_phases
        self.applications = 0.0

    def __call__(self, volumes: Array) -> Array:
        """Return N applied to volumes."""
        self.applications += 1
        return self._normal(volumes)

    def largest_eigenvalue(self, n_steps: int) -> float:
        """Return an estimate of the largest eigenvalue."""
        self.applications += n_steps / self._n_phases
        return self._normal.largest_eigenvalue(n_steps)


@dataclass(frozen=True)
class Point:
    """One iterate: applications and seconds from the start of the solver's set-up, cost, error."""

    applications: float
    seconds: float
    cost: float
    nrmse: float


def course(
    make: Callable[[Problem, int], Any], benchmark: Benchmark, problem: Problem, iterations: int
) -> list[Point]:
    """Return the iterates of a solver from iteration 0 on; the errors' own time is left out."""
    counted = Counted(problem.normal, benchmark.n_phases)
    clock, points = time.perf_counter, []
    started = clock()
    alg = make(replace(problem, normal=counted), iterations)
    seconds = clock() - started
    while True:
        points.append(Point(counted.applications, seconds, alg.cost.total, benchmark.nrmse(alg.volumes)))
        if alg.done():
            return points
        started = clock()
        alg.update()
        seconds += clock() - started


def lowest_cost(problem: Problem, iterations: int) -> tuple[float, float]:
    """Return the cost after a long run, and how far it fell in the last quarter of it."""
    first = SOLVERS["pnlcg"](problem, iterations // 4)
    while not first.done():
        first.update()
    # solvers start at the gridded image, scaled to fit: the scale is 1 for an image that fits already
    second = SOLVERS["pogm"](replace(problem, gridded=first.volumes), iterations - iterations // 4)
    costs = [min(first.cost.total, second.cost.total)]
    while not second.done():
        second.update()
        costs.append(min(costs[-1], second.cost.total))
    return costs[-1], costs[-1 - min(iterations // 4, len(costs) - 1)] - costs[-1]


def row(name: str, points: Sequence[Point], lowest: float) -> tuple[str, ...]:
    """Return a line of the table."""
    gaps = [(p.cost - lowest) / (points[0].cost - lowest) for p in points]
    cells = []
    for level in LEVELS:
        here = next((p for p, gap in zip(points, gaps, strict=True) if gap <= level), None)
        cells.append(
            f"{here.applications:g} / {here.seconds:.1f} ({here.nrmse:.3f})" if here else "not reached"
        )
    at = min(20, len(points) - 1)
    slope = (points[-1].seconds - points[0].seconds) / max(len(points) - 1, 1)
    best = int(np.argmin([p.nrmse for p in points]))
    return (
        name,
        f"{points[0].applications:g} / {points[0].seconds:.1f}",
        *cells,
        f"{gaps[at]:.1e} ({points[at].nrmse:.3f})",
        f"{points[best].nrmse:.3f} at {best}",
        f"{slope:.2f}",
    )


def main(arguments: argparse.Namespace) -> None:
    benchmark = honest_3d(arguments.n)
    problem = benchmark.problem(arguments.threads)
    candidates: dict[str, Callable[[Problem, int], Any]] = {**SOLVERS, "fista": FISTA, "admm": ADMM}
    if arguments.only:
        candidates = {name: candidates[name] for name in arguments.only}
    courses = {
        name: course(make, benchmark, problem, arguments.iterations) for name, make in candidates.items()
    }
    lowest, fell = lowest_cost(problem, arguments.reference)
    lowest = min([lowest, *(p.cost for points in courses.values() for p in points)])
    start = next(iter(courses.values()))[0].cost
    report(
        f"Solvers: {benchmark.name}",
        (
            "solver",
            "set-up: operators / s",
            *(f"gap {level:.0e}: operators / s (NRMSE)" for level in LEVELS),
            "gap at 20 (NRMSE)",
            "least NRMSE",
            "s / iteration",
        ),
        [row(name, points, lowest) for name, points in courses.items()],
        f"{arguments.iterations} iterations each. That for the lowest cost ({arguments.reference} iterations)"
        f" fell by {fell / (start - lowest):.1e} of the gap in its last quarter.",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("n", type=int, nargs="?", default=96)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--reference", type=int, default=400)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--only", nargs="*")
    main(parser.parse_args())
