"""The solver's optimum against an independent one, its cost against the direct formula, and invariances."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import sigpy

from csiq.errors import ConfigError, RawDataError
from csiq.operators import ForwardModel, PhaseDifference
from csiq.solvers import BarzilaiBorwein, build_problem, solve
from tests.helpers import relative_error


def direct_cost(small, volumes):
    """Return the cost by its definition, in double precision: no normal operator, no expansion."""
    residual = (small.model(volumes) - small.kspace).astype(np.complex128)
    data = np.sum(small.dcf * np.abs(residual) ** 2)
    steps = np.diff(volumes.astype(np.complex128), axis=0)
    return data, small.problem.lamda_abs * np.abs(steps).sum()


def run(problem, max_iter):
    *_, last = solve(problem, "bb", max_iter)
    return last


def test_reported_cost_is_the_cost_of_the_iterate(small):
    for iterate in solve(small.problem, "bb", 6):
        data, penalty = direct_cost(small, iterate.volumes)
        assert iterate.cost.data == pytest.approx(data, rel=1e-4)
        assert iterate.cost.penalty == pytest.approx(penalty, rel=1e-5)
        assert iterate.cost.total == iterate.cost.data + iterate.cost.penalty


def test_one_operator_application_an_iteration(small):
    applications = small.problem.normal.applications
    for iterate in solve(small.problem, "bb", 7):
        assert small.problem.normal.applications - applications == iterate.iteration + 1


def test_cost_never_rises(small):
    costs = [iterate.cost.total for iterate in solve(small.problem, "bb", 60)]
    # 1e-6: the rounding of the data term, which is a small difference of large dot products
    assert all(b <= a * (1 + 1e-6) for a, b in pairwise(costs))
    assert costs[-1] < 0.5 * costs[0]


def test_optimum_is_that_of_an_independent_solver(small):
    """SigPy's PDHG on stacked operators knows nothing of our normal operator, prox or step."""
    ours = run(small.problem, 400)
    root = np.sqrt(small.dcf)
    weighting = sigpy.linop.Multiply(small.model.oshape, root) * small.model
    difference = PhaseDifference(small.model.ishape)
    theirs = sigpy.app.LinearLeastSquares(
        weighting,
        root * small.kspace,
        proxg=sigpy.prox.L1Reg(difference.oshape, small.problem.lamda_abs / 2),  # SigPy has 1/2 in front
        G=difference,
        solver="PrimalDualHybridGradient",
        max_iter=2500,
        show_pbar=False,
    ).run()
    cost_ours, cost_theirs = (sum(direct_cost(small, v)) for v in (ours.volumes, theirs))
    assert cost_ours == pytest.approx(cost_theirs, rel=1e-4)
    assert relative_error(ours.volumes, theirs) < 5e-3


def test_minimiser_does_not_change_with_scale_or_angle(small):
    """y, w, the maps scaled, or the image turned: the same image but for that factor."""
    base = run(small.problem, 150).volumes
    turn = np.complex64(np.exp(1.1j))
    scaled_y = build_problem(small.model, 37 * turn * small.kspace, small.dcf, 0.02)
    assert relative_error(run(scaled_y, 150).volumes, 37 * turn * base) < 2e-3
    scaled_w = build_problem(small.model, small.kspace, 5 * small.dcf, 0.02)
    assert relative_error(run(scaled_w, 150).volumes, base) < 2e-3
    louder = ForwardModel(small.model.coords, 3 * small.model.smaps, threads=1)
    scaled_a = build_problem(louder, small.kspace, small.dcf, 0.02)
    assert relative_error(run(scaled_a, 150).volumes, base / 3) < 2e-3


def test_lamda_is_relative_to_the_gridded_image(small):
    assert small.problem.lamda_abs == pytest.approx(0.02 * np.abs(small.problem.gridded).max(), rel=1e-6)


def test_iteration_0_is_the_gridded_image(small):
    start = next(solve(small.problem))
    gridded = small.model.H((small.dcf * small.kspace).astype(np.complex64))
    scale = np.vdot(gridded, start.volumes) / np.vdot(gridded, gridded)
    assert relative_error(start.volumes, scale * gridded) < 1e-5


def test_equal_input_gives_equal_bits(small):
    again = build_problem(small.model, small.kspace, small.dcf, 0.02)
    assert np.array_equal(run(small.problem, 10).volumes, run(again, 10).volumes)


def test_a_large_lamda_makes_the_phases_equal(small):
    problem = build_problem(small.model, small.kspace, small.dcf, lamda=50.0)
    volumes = run(problem, 100).volumes
    assert relative_error(volumes, np.broadcast_to(volumes.mean(axis=0), volumes.shape)) < 1e-3


def test_a_restored_solver_goes_on_to_the_bit(small):
    whole = list(solve(small.problem, "bb", 8))
    states = [i.state() for i in solve(small.problem, "bb", 3)]
    state = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in states[-1].items()}
    rest = list(solve(small.problem, "bb", 8, state))
    assert [i.iteration for i in rest] == [4, 5, 6, 7, 8]
    assert np.array_equal(rest[-1].volumes, whole[-1].volumes)
    assert rest[-1].cost == whole[-1].cost


def test_density_compensation_can_stay_out_of_the_cost(small):
    problem = build_problem(small.model, small.kspace, small.dcf, 0.02, dcf_in_cost=False)
    assert relative_error(problem.gridded, small.problem.gridded) < 1e-6
    start = next(solve(problem)).cost.total
    assert run(problem, 20).cost.total < start
    assert problem.energy == pytest.approx(np.sum(np.abs(small.kspace.astype(np.complex128)) ** 2), rel=1e-6)


def test_lives_in_a_sigpy_loop(small):
    alg = BarzilaiBorwein(small.problem, max_iter=3)
    while not alg.done():
        alg.update()
    assert alg.iter == 3


def test_a_solved_problem_stops_by_itself(small):
    problem = build_problem(small.model, small.kspace, small.dcf, lamda=0.02)
    *_, last = solve(problem, "bb", 5000)
    assert last.last
    assert last.iteration < 5000


def test_errors_name_what_is_wrong(small):
    with pytest.raises(ConfigError, match="did you mean 'bb'"):
        next(solve(small.problem, "b"))
    with pytest.raises(RawDataError, match="maximum 0"):
        build_problem(small.model, 0 * small.kspace, small.dcf, 0.02)
