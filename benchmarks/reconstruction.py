"""Whole reconstructions, set-up included, against SigPy's own App and BART's `pics`: cost against seconds.

    python benchmarks/reconstruction.py [--problems 2d honest speed] [--only csiq sigpy bart dcf tune] [...]

All programs get the same arrays, threads, density compensation and penalty. SigPy minimises our objective;
BART's total variation runs round a ring of phases, so its curve is measured on that objective, which has
the same terms and one difference more. Each gap is relative to the objective's own minimum and to the same
gridded image. Compilation is done on a small problem beforehand.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import bart
import circular
import curves
import numpy as np
import sigpy_app
from curves import Curve, Point, Range
from harness import report
from plans import PLANS, SWEEP, TUNED, Plan, options
from problems import Benchmark, radial_2d

from csiq.solvers import SOLVERS, Problem, solve
from csiq.solvers.problem import start_of


def main(arguments: Sequence[str] | None = None) -> None:
    """Print and append a table a problem."""
    asked = options(arguments)
    warm_up(asked.threads)
    for name in asked.problems:
        plan = PLANS[name]
        if "tune" in asked.only:
            tune(name, plan.make(asked.n2 if name == "2d" else asked.tune_matrix, asked.coils), asked)
        if set(asked.only) - {"tune"}:
            bench = plan.make(asked.n2 if name == "2d" else asked.n3, asked.coils)
            if "dcf" in asked.only:
                with_and_without(bench, asked)
            if set(asked.only) - {"tune", "dcf"}:
                race(name, bench, plan, asked)


def warm_up(threads: int) -> None:
    """Compile and import everything on a small problem."""
    bench = radial_2d(24, n_coils=2, spokes_per_phase=8)
    problem = bench.problem(threads)
    for name in SOLVERS:
        list(solve(problem, name, 2))
    list(sigpy_app.run(bench, problem.lamda_abs, max_iter=1, budget=1))
    circular.lowest_cost(problem, problem.gridded, True, tolerance=0, max_iter=2)


def race(name: str, bench: Benchmark, plan: Plan, asked: argparse.Namespace) -> None:
    """Run the programs asked for on one problem and report."""
    problem = bench.problem(asked.threads)
    reference = asked.reference or plan.reference
    ran: list[Curve] = []
    if "csiq" in asked.only:
        ran += [csiq_curve(bench, solver, asked) for solver in asked.solvers or [None]]
    if "sigpy" in asked.only:
        ran.append(sigpy_curve(bench, problem, plan, asked))
    notes = [SIGPY_NOTE[plan.sigpy_step]] if "sigpy" in asked.only else []
    if "bart" in asked.only:
        found = bart.version()
        notes.append(
            f"BART {found}: {BART_NOTE}" if found else "BART is not installed: its rows are left out."
        )
        chosen = [bart.DEFAULTS] * (plan.untuned or asked.untuned) + list(asked.bart or TUNED[name])
        for settings in chosen if found else []:
            ran.append(bart_curve(bench, problem, settings, asked.steps or plan.steps, asked.threads))
    ranges = {ring: costs_of(problem, ran, ring, reference) for ring in sorted({c.ring for c in ran})}
    report(
        f"Reconstruction, {bench.name}, lambda {bench.lamda:g}, {asked.threads} threads",
        curves.HEADER,
        curves.rows(ran, ranges),
        " ".join([*notes, *(range_note(ring, costs) for ring, costs in ranges.items())]),
    )
    if asked.curves:
        print(curves.write_tsv(name, ran, ranges, asked.folder))
    if asked.plot:
        print(curves.plot(name, ran, ranges, asked.folder))


SIGPY_NOTE = {
    False: "SigPy: LinearLeastSquares at its defaults (primal-dual, 30 power iterations first).",
    True: "SigPy: LinearLeastSquares, primal-dual, step handed over: its 30 power iterations are left out.",
}
BART_NOTE = (
    "every point a whole command, iterations are conjugate gradient steps, "
    "seconds to a gap interpolated between commands; gap on BART's own objective, with the exact operator."
)


def range_note(ring: bool, costs: Range) -> str:
    """Return a sentence with the numbers behind the gaps."""
    objective = "BART's ring objective" if ring else "Our objective"
    return f"{objective}: {costs.start:.6g} at the gridded image, {costs.lowest:.6g} at the lowest."


def csiq_curve(bench: Benchmark, solver: str | None, asked: argparse.Namespace) -> Curve:
    """Run csiq from arrays to the last iterate."""
    curve = Curve("csiq" + (f", {solver}" if solver else ", default solver"))
    started = time.perf_counter()
    problem = bench.problem(asked.threads)
    setup = time.perf_counter() - started
    chosen = {"solver": solver} if solver else {}
    for iterate in solve(problem, max_iter=asked.iterations, **chosen):
        error = bench.nrmse(iterate.volumes)
        curve.points.append(Point(iterate.iteration, setup + iterate.seconds, iterate.cost.total, error))
        curve.last = iterate.volumes
    return curve


def sigpy_curve(bench: Benchmark, problem: Problem, plan: Plan, asked: argparse.Namespace) -> Curve:
    """Run SigPy's App until its iterations or the budget are used up."""
    curve = Curve("SigPy App, PDHG")
    # with its dual step of 1; 4 bounds the phase difference
    tau = 1 / (problem.largest_eigenvalue(8) + 4) if plan.sigpy_step else None
    budget = plan.budget if asked.budget is None else asked.budget
    runs = sigpy_app.run(bench, problem.lamda_abs, max_iter=1000, budget=budget, tau=tau)
    for iteration, seconds, volumes in runs:
        cost = circular.cost(problem, volumes, False)
        curve.points.append(Point(iteration, seconds, cost, bench.nrmse(volumes) if iteration else np.nan))
        curve.last = volumes
    return curve


def bart_curve(
    bench: Benchmark, problem: Problem, settings: bart.Settings, steps: Sequence[int], threads: int
) -> Curve:
    """Run `pics` once for each number of steps."""
    title = "BART pics, defaults" if settings == bart.DEFAULTS else f"BART pics, {settings}"
    curve = Curve(title, ring=True, restarted=True)
    with bart.exported(bench, problem.gridded, problem.lamda_abs, threads) as scan:
        for count in steps:
            volumes, seconds = scan.pics(count, settings)
            cost = circular.cost(problem, volumes, True)
            curve.points.append(Point(count, seconds, cost, bench.nrmse(volumes)))
            curve.last = volumes
    return curve


def costs_of(problem: Problem, ran: Sequence[Curve], ring: bool, max_iter: int) -> Range:
    """Return the cost of the gridded image and the lowest one, of our objective or BART's."""
    start, normal_start, _ = start_of(problem)
    top = circular.cost(problem, start, ring, normal_start)
    images = [start, *(c.last for c in ran if c.last is not None)]
    best = min(images, key=lambda image: circular.cost(problem, image, ring))
    tolerance = 1e-6 * (top - circular.cost(problem, best, ring))
    lowest, _ = circular.lowest_cost(problem, best, ring, tolerance=tolerance, max_iter=max_iter)
    return Range(top, min([lowest, *(p.cost for c in ran if c.ring == ring for p in c.points)]))


def tune(name: str, bench: Benchmark, asked: argparse.Namespace) -> None:
    """Report the gap of BART's image after some steps for every setting of the sweep."""
    if bart.version() is None:
        print("BART is not installed: nothing to tune.")
        return
    problem = bench.problem(asked.threads)
    steps = asked.steps or (15, 40)
    ran = [bart_curve(bench, problem, settings, steps, asked.threads) for settings in SWEEP]
    costs = costs_of(problem, ran, True, asked.reference or PLANS[name].reference)
    table = [(c.program, *(f"{costs.gap(p.cost):.2e} ({p.seconds:.2f} s)" for p in c.points)) for c in ran]
    header = ("settings", *(f"gap after -i {count}" for count in steps))
    report(f"BART's settings, {bench.name}, {asked.threads} threads", header, table)


def with_and_without(bench: Benchmark, asked: argparse.Namespace) -> None:
    """Report the error to the truth with density compensation in the cost and without."""
    looked_at = sorted({n for n in (5, 10, 20) if n < asked.iterations} | {asked.iterations})
    table = []
    for inside in (True, False):
        problem = bench.problem(asked.threads, dcf_in_cost=inside)
        errors = {}
        for iterate in solve(problem, max_iter=asked.iterations):
            errors[iterate.iteration], last = bench.nrmse(iterate.volumes), iterate
        tolerance = 1e-5 * (problem.energy - last.cost.total)
        _, optimum = circular.lowest_cost(
            problem, last.volumes, False, tolerance=tolerance, max_iter=asked.reference or 200
        )
        shown = [f"{errors.get(n, errors[last.iteration]):.4f}" for n in looked_at]
        table.append(("yes" if inside else "no", *shown, f"{bench.nrmse(optimum):.4f}"))
    header = ("w in the cost", *(f"NRMSE at {n}" for n in looked_at), "NRMSE at the optimum")
    note = "Both weigh the total variation by lambda times the maximum of their own right-hand side."
    report(f"Density compensation, {bench.name}, lambda {bench.lamda:g}", header, table, note)


if __name__ == "__main__":
    main()
