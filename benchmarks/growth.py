"""How the cost of an iteration grows with matrix, coils, phases and spokes, against the laws of its cost.

    python benchmarks/growth.py [--matrix 64 96 128 160 208] [--coils 1 2 4 8 12] [--phases 1 2 4 8]
                                [--spokes 1000 3000 6000 15000] [--threads 2] [--iterations 2]

An iteration is an update of the default solver: the normal operator of all phases and the solver's own
arithmetic, on noise, for time does not depend on what is in an image. The matrix grows at one phase and two
coils, the others at 64^3, so that all runs fit into three minutes; the demo has four phases and eight coils.
Laws: N^3 log N in the matrix, linear in coils and phases, constant in spokes (set-up beside, which is not).
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from harness import report

from csiq.arrays import default_threads, use_threads
from csiq.config import Config
from csiq.operators import ForwardModel
from csiq.solvers import Problem, build_problem, solver_named
from csiq.trajectory import golden_means_3d, radial_coord


@dataclass(frozen=True)
class Case:
    """One problem: voxels along each axis, coils, phases, and spokes of all phases together."""

    n: int
    coils: int
    phases: int
    spokes: int

    def problem(self, threads: int) -> Problem:
        """Return the set-up problem."""
        rng, shape = np.random.default_rng(0), (self.n,) * 3
        per_phase = self.spokes // self.phases
        coord = radial_coord(golden_means_3d(per_phase * self.phases), shape, 2 * self.n)

        def noise(*size: int) -> np.ndarray:
            return rng.standard_normal((*size, 2), np.float32).view(np.complex64)[..., 0]

        model = ForwardModel(np.split(coord, self.phases), noise(self.coils, *shape), threads=threads)
        return build_problem(
            model, noise(self.coils, *coord.shape[:2]), np.ones(coord.shape[:2], np.float32), 0.02
        )


@dataclass(frozen=True)
class Timed:
    """Seconds of the set-up, and of an iteration: the fastest of some."""

    setup: float
    iteration: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Print and append one table with a block of rows for each quantity."""
    asked = options(arguments)
    use_threads(asked.threads)
    base = Case(asked.base, 2, 1, asked.base_spokes)
    series: dict[str, tuple[list[Case], Callable[[Case], float]]] = {
        "matrix": ([replace(base, n=n) for n in asked.matrix], lambda c: c.n**3 * math.log2(2 * c.n)),
        "coils": ([replace(base, coils=c) for c in asked.coils], lambda c: c.coils),
        "phases": ([replace(base, phases=p) for p in asked.phases], lambda c: c.phases),
        "spokes": ([replace(base, spokes=s) for s in asked.spokes], lambda c: 1.0),
    }
    time_case(replace(base, n=16, spokes=200), asked.threads, 1)  # compiles
    rows: list[tuple[object, ...]] = []
    notes = []
    for name, (cases, law) in series.items():
        seconds = [time_case(case, asked.threads, asked.iterations) for case in cases]
        rows += rows_of(name, cases, seconds, law)
        notes.append(f"{name} {exponent(name, cases, seconds):.2f}")
    report(
        f"Growth of an iteration (default solver, {asked.threads} threads)",
        ("grows", "matrix", "coils", "phases", "spokes", "s an iteration", "over the law", "set-up s"),
        rows,
        f"Over the law: relative to the first row of the block (N^3 log N, linear, linear, constant). The "
        f"matrix grows at 1 phase and 2 coils. Fitted exponents: {', '.join(notes)} (laws: "
        f"{law_exponent(asked.matrix):.2f}, 1, 1, 0).",
    )


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--matrix", type=int, nargs="+", default=[64, 96, 128, 160, 208])
    parser.add_argument("--coils", type=int, nargs="+", default=[1, 2, 4, 8, 12])
    parser.add_argument("--phases", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--spokes", type=int, nargs="+", default=[1000, 3000, 6000, 15000])
    parser.add_argument("--base", type=int, default=64, help="matrix where something else grows")
    parser.add_argument("--base-spokes", type=int, default=2000, help="spokes where something else grows")
    parser.add_argument("--iterations", type=int, default=3, help="timed; the fastest counts")
    parser.add_argument("--threads", type=int, default=default_threads())
    return parser.parse_args(arguments)


def time_case(case: Case, threads: int, iterations: int) -> Timed:
    """Return the seconds of one problem."""
    started = time.perf_counter()
    problem = case.problem(threads)
    setup = time.perf_counter() - started
    solver = solver_named(Config().solver.solver)(problem, iterations + 1)
    solver.update()  # the first one meets cold pages
    fastest = math.inf
    for _ in range(iterations):
        started = time.perf_counter()
        solver.update()
        fastest = min(fastest, time.perf_counter() - started)
    return Timed(setup, fastest)


def rows_of(
    name: str, cases: Sequence[Case], seconds: Sequence[Timed], law: Callable[[Case], float]
) -> list[tuple[object, ...]]:
    unit = seconds[0].iteration / law(cases[0])
    return [
        (
            name,
            *(case.n, case.coils, case.phases, case.spokes),
            f"{timed.iteration:.3f}",
            f"{timed.iteration / law(case) / unit:.2f}",
            f"{timed.setup:.2f}",
        )
        for case, timed in zip(cases, seconds, strict=True)
    ]


def exponent(name: str, cases: Sequence[Case], seconds: Sequence[Timed]) -> float:
    """Return the slope of log seconds over log of what grows; not a number for a single row."""
    sizes = [getattr(case, "n" if name == "matrix" else name) for case in cases]
    return slope(sizes, [timed.iteration for timed in seconds])


def law_exponent(sizes: Sequence[int]) -> float:
    """Return the slope that N^3 log N has over these sizes."""
    return slope(sizes, [n**3 * math.log2(2 * n) for n in sizes])


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    if len(x) < 2:
        return math.nan
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


if __name__ == "__main__":
    main()
