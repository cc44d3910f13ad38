"""Every solver: its optimum against an independent one, its cost against the direct formula, invariances."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import sigpy

from csiq.errors import ConfigError, RawDataError
from csiq.operators import ForwardModel, PhaseDifference
from csiq.solvers import NLCG, POGM, SOLVERS, BarzilaiBorwein, build_problem, solve
from tests.helpers import relative_error


def direct_cost(small, volumes):
    """Return the cost by its definition, in double precision: no normal operator, no expansion."""
    residual = (small.model(volumes) - small.kspace).astype(np.complex128)
    data = np.sum(small.dcf * np.abs(residual) ** 2)
    steps = np.diff(volumes.astype(np.complex128), axis=0)
    return data, small.problem.lamda_abs * np.abs(steps).sum()


@pytest.fixture(params=list(SOLVERS))
def solver(request):
    return request.param


@pytest.fixture(scope="module")
def found():
    """What an independent solver found: the problem is the same in every test of the module."""
    return {}


def run(problem, solver, max_iter):
    *_, last = solve(problem, solver, max_iter)
    return last


def test_reported_cost_is_the_cost_of_the_iterate(small, solver):
    for iterate in solve(small.problem, solver, 6):
        data, penalty = direct_cost(small, iterate.volumes)
        assert iterate.cost.data == pytest.approx(data, rel=1e-4)
        assert iterate.cost.penalty == pytest.approx(penalty, rel=1e-5)
        assert iterate.cost.total == iterate.cost.data + iterate.cost.penalty


def test_one_operator_application_an_iteration(small, solver):
    applications = small.problem.normal.applications
    for iterate in solve(small.problem, solver, 7):
        assert small.problem.normal.applications - applications == iterate.iteration + 1


def test_cost_never_rises(small):
    """Barzilai-Borwein takes the lowest point of the segment where the full step would rise."""
    costs = [iterate.cost.total for iterate in solve(small.problem, "bb", 60)]
    # 1e-6: the rounding of the data term, which is a small difference of large dot products
    assert all(b <= a * (1 + 1e-6) for a, b in pairwise(costs))
    assert costs[-1] < 0.5 * costs[0]


def test_momentum_starts_anew_after_a_rise(small):
    """POGM may rise for one step; then its momentum is gone and the next step falls."""
    alg, costs = POGM(small.problem, 200), []
    while not alg.done():
        before = alg.cost.total
        alg.update()
        costs.append((before, alg.cost.total, alg._theta))
    assert costs[-1][1] < 0.5 * costs[0][0]
    for (before, after, theta), (_, next_after, _) in pairwise(costs):
        if after > before:
            assert theta == 1
            assert next_after <= after * (1 + 5e-6)  # rounding of single precision


def test_a_step_that_is_too_long_is_noticed(small):
    """With an eigenvalue that is ten times too low, POGM meets the curvature and still converges."""
    alg = POGM(small.problem, 150)
    right = alg._lipschitz
    alg._lipschitz = right / 10
    while not alg.done():
        alg.update()
    assert alg._lipschitz > right / 2
    assert alg.cost.total == pytest.approx(run(small.problem, "bb", 300).cost.total, rel=1e-3)


def test_eigenvalue_is_near_that_of_the_matrix(small):
    """Against the dense matrix of the phase with the largest one; the margin of a tenth is on top."""
    largest = 0.0
    for phase in range(4):
        columns = []
        for voxel in range(512):
            unit = np.zeros((4, 512), np.complex64)
            unit[phase, voxel] = 1
            columns.append(small.problem.normal(unit.reshape(4, 8, 8, 8))[phase].ravel())
        largest = max(largest, np.linalg.eigvalsh(np.array(columns, np.complex128))[-1])
    assert 0.85 * largest < small.problem.largest_eigenvalue(12) < 1.12 * largest


def by_sigpy(small):
    """Return the minimiser by SigPy's PDHG, which knows nothing of our normal operator, prox or step."""
    root = np.sqrt(small.dcf)
    weighting = sigpy.linop.Multiply(small.model.oshape, root) * small.model
    difference = PhaseDifference(small.model.ishape)
    return sigpy.app.LinearLeastSquares(
        weighting,
        root * small.kspace,
        proxg=sigpy.prox.L1Reg(difference.oshape, small.problem.lamda_abs / 2),  # SigPy has 1/2 in front
        G=difference,
        solver="PrimalDualHybridGradient",
        max_iter=900,  # 0.2 % from the image it goes to
        show_pbar=False,
    ).run()


@pytest.mark.slow
def test_optimum_is_that_of_an_independent_solver(small, solver, found):
    ours = run(small.problem, solver, 400)
    if "optimum" not in found:
        found["optimum"] = by_sigpy(small)
    theirs = found["optimum"]
    cost_ours, cost_theirs = (sum(direct_cost(small, v)) for v in (ours.volumes, theirs))
    # what is smoothed keeps a bias of about the smoothing that is left
    assert cost_ours == pytest.approx(cost_theirs, rel=1e-3 if solver == "nlcg" else 1e-4)
    assert relative_error(ours.volumes, theirs) < (2e-2 if solver == "nlcg" else 5e-3)


def test_minimiser_does_not_change_with_scale_or_angle(small, solver):
    """y, w, the maps scaled, or the image turned: the same image but for that factor."""
    base = run(small.problem, solver, 250).volumes
    turn = np.complex64(np.exp(1.1j))
    scaled_y = build_problem(small.model, 37 * turn * small.kspace, small.dcf, 0.02)
    assert relative_error(run(scaled_y, solver, 250).volumes, 37 * turn * base) < 2e-3
    scaled_w = build_problem(small.model, small.kspace, 5 * small.dcf, 0.02)
    assert relative_error(run(scaled_w, solver, 250).volumes, base) < 2e-3
    louder = ForwardModel(small.model.coords, 3 * small.model.smaps, threads=1)
    scaled_a = build_problem(louder, small.kspace, small.dcf, 0.02)
    assert relative_error(run(scaled_a, solver, 250).volumes, base / 3) < 2e-3


def test_lamda_is_relative_to_the_gridded_image(small):
    assert small.problem.lamda_abs == pytest.approx(0.02 * np.abs(small.problem.gridded).max(), rel=1e-6)


def test_iteration_0_is_the_gridded_image(small):
    start = next(solve(small.problem))
    gridded = small.model.H((small.dcf * small.kspace).astype(np.complex64))
    scale = np.vdot(gridded, start.volumes) / np.vdot(gridded, gridded)
    assert relative_error(start.volumes, scale * gridded) < 1e-5


def test_equal_input_gives_equal_bits(small, solver):
    again = build_problem(small.model, small.kspace, small.dcf, 0.02)
    assert np.array_equal(run(small.problem, solver, 10).volumes, run(again, solver, 10).volumes)


def test_a_large_lamda_makes_the_phases_equal(small, solver):
    problem = build_problem(small.model, small.kspace, small.dcf, lamda=50.0)
    volumes = run(problem, solver, 100).volumes
    assert relative_error(volumes, np.broadcast_to(volumes.mean(axis=0), volumes.shape)) < 5e-3


def test_a_restored_solver_goes_on_to_the_bit(small, solver):
    whole = list(solve(small.problem, solver, 8))
    states = [i.state() for i in solve(small.problem, solver, 3)]
    state = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in states[-1].items()}
    rest = list(solve(small.problem, solver, 8, state))
    assert [i.iteration for i in rest] == [4, 5, 6, 7, 8]
    assert np.array_equal(rest[-1].volumes, whole[-1].volumes)
    assert rest[-1].cost == whole[-1].cost


def test_density_compensation_can_stay_out_of_the_cost(small, solver):
    problem = build_problem(small.model, small.kspace, small.dcf, 0.02, dcf_in_cost=False)
    assert relative_error(problem.gridded, small.problem.gridded) < 1e-6
    start = next(solve(problem)).cost.total
    assert run(problem, solver, 20).cost.total < start
    assert problem.energy == pytest.approx(np.sum(np.abs(small.kspace.astype(np.complex128)) ** 2), rel=1e-6)


@pytest.mark.parametrize("make", [POGM, BarzilaiBorwein, NLCG])
def test_lives_in_a_sigpy_loop(small, make):
    alg = make(small.problem, max_iter=3)
    while not alg.done():
        alg.update()
    assert alg.iter == 3


def test_a_solved_problem_stops_by_itself(small, solver):
    problem = build_problem(small.model, small.kspace, small.dcf, lamda=0.02)
    *_, last = solve(problem, solver, 5000)
    assert last.last
    assert last.iteration < 5000


def test_errors_name_what_is_wrong(small):
    with pytest.raises(ConfigError, match="did you mean 'bb'"):
        next(solve(small.problem, "b"))
    with pytest.raises(RawDataError, match="maximum 0"):
        build_problem(small.model, 0 * small.kspace, small.dcf, 0.02)
