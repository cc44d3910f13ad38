"""The preconditioner: positive, self-adjoint, exact in its parts; the solver: no slower start, no rise."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from csiq.density import density_compensation
from csiq.operators import ForwardModel
from csiq.solvers import build_problem, solve
from csiq.solvers.pnlcg import SMOOTHING
from csiq.solvers.preconditioner import Preconditioner, blur, solve_tied
from csiq.trajectory import golden_means_3d, radial_coord
from tests.helpers import complex_normal, relative_error


@pytest.fixture
def precondition(small):
    image = small.problem.gridded
    return Preconditioner.of(small.problem, image, small.problem.normal(image))


def test_ties_are_those_of_the_dense_matrix(rng):
    x, right = complex_normal(rng, (5, 40)), complex_normal(rng, (5, 40))
    x[2, :10] = x[1, :10]  # phases that agree: the stiff case
    weight, mu, solution = 0.3, 1e-3, right.copy()
    solve_tied(x, solution, weight, mu)
    difference = np.diff(np.eye(5), axis=0)
    for voxel in range(40):
        ties = weight / np.sqrt(np.abs(difference @ x[:, voxel]) ** 2 + mu**2)
        matrix = 2 * np.eye(5) + difference.T @ np.diag(ties) @ difference
        assert relative_error(solution[:, voxel], np.linalg.solve(matrix, right[:, voxel])) < 1e-5


def test_blur_is_binomial_on_each_axis():
    unit = np.zeros((1, 5, 5, 5), np.complex64)
    unit[0, 2, 2, 0] = 1
    binomial, at_the_edge = np.array([0, 0.25, 0.5, 0.25, 0]), np.array([0.5, 0.25, 0, 0, 0])
    expected = np.einsum("z,y,x->zyx", binomial, binomial, at_the_edge)
    assert relative_error(blur(unit)[0], expected) < 1e-7
    slice_ = unit[:, 2:3]
    assert relative_error(blur(slice_)[0, 0], np.outer(binomial, at_the_edge)) < 1e-7


def test_it_is_self_adjoint_and_positive(small, precondition, rng):
    u, v = (complex_normal(rng, small.problem.gridded.shape) for _ in range(2))
    mu_of = small.problem.gridded, 1e-2
    left, right = np.vdot(u, precondition(v, *mu_of)), np.vdot(precondition(u, *mu_of), v)
    assert abs(left - right) <= 1e-5 * np.linalg.norm(u) * np.linalg.norm(v)
    assert np.vdot(u, precondition(u, *mu_of)).real > 0


def test_it_evens_out_an_operator_that_grows_outward(small, rng):
    """N = (I - 0.8 G)^2 is 25 times larger for fine detail; with B on both sides less than half as uneven."""

    def normal(x):
        for _ in range(2):
            x = x - np.float32(0.8) * blur(x)
        return x

    image = normal(complex_normal(rng, (1, 16, 16, 16)))
    made = Preconditioner.of(small.problem, image, normal(image))
    assert made.low > made.high
    wave = np.cos(np.pi * np.arange(16))
    smooth = np.ones((1, 16, 16, 16), np.complex64)
    fine = (smooth * wave[:, None, None] * wave[:, None] * wave).astype(np.complex64)
    inside = (0, *(slice(4, -4),) * 3)
    plain, balanced = (
        np.abs(operator(fine)[inside]).mean() / np.abs(operator(smooth)[inside]).mean()
        for operator in (normal, lambda x: made._balanced(normal(made._balanced(x))))
    )
    assert plain == pytest.approx(25, rel=1e-3)
    assert balanced < plain / 2


def test_the_preconditioner_does_not_depend_on_the_scale(small):
    louder = build_problem(small.model, 1000 * small.kspace, 7 * small.dcf, 0.02)
    made = [Preconditioner.of(p, p.gridded, p.normal(p.gridded)) for p in (small.problem, louder)]
    assert made[1].low == pytest.approx(made[0].low / np.sqrt(7), rel=1e-4)
    assert made[1].high == pytest.approx(made[0].high / np.sqrt(7), rel=1e-4)


def test_one_phase_has_no_ties(small, rng):
    x = complex_normal(rng, (1, 8, 8, 8))
    made = Preconditioner(2.0, 2.0, 1.0)
    assert relative_error(made(x, x, 1e-3), 2 * x) < 1e-6


def test_cost_never_rises_beyond_the_smoothing(small):
    costs = [iterate.cost.total for iterate in solve(small.problem, "pnlcg", 40)]
    peak = np.abs(next(solve(small.problem, "pnlcg", 0)).volumes).max()
    # each modulus may be up to mu larger than it looks to the solver, for 3 differences of 512 voxels
    slack = small.problem.lamda_abs * SMOOTHING * peak * 3 * 512
    assert all(b <= a + slack for a, b in pairwise(costs))
    assert slack < 0.05 * (costs[0] - costs[-1])


def test_undersampled_spokes_need_half_the_iterations_of_pogm(rng):
    """24^3 at 20 % of Nyquist, density compensation in the cost: POGM's tenth cost in five iterations."""
    shape, n_phases = (24, 24, 24), 4
    directions = golden_means_3d(4 * 45)
    coords = [radial_coord(directions[p::n_phases], 24, 48) for p in range(n_phases)]
    z, y, x = np.meshgrid(*[np.arange(n) - n // 2 for n in shape], indexing="ij")
    volumes = np.stack([(z**2 + (y - p) ** 2 + x**2 < 64) + (abs(z) + abs(y) < 9) * 0.5 for p in range(4)])
    smaps = np.stack(
        [np.exp(-((y - 16 * a) ** 2 + (x - 16 * b) ** 2) / 400) for a in (-1, 1) for b in (-1, 1)]
    )
    smaps = (smaps / np.sqrt((smaps**2).sum(axis=0))).astype(np.complex64)
    model = ForwardModel(coords, smaps, threads=1)
    kspace = model(volumes.astype(np.complex64))
    kspace = kspace + 0.02 * np.abs(kspace).mean() * complex_normal(rng, kspace.shape)
    dcf = np.concatenate([density_compensation(c) for c in coords])
    problem = build_problem(model, kspace, dcf, 0.02)
    costs = {name: [i.cost.total for i in solve(problem, name, 10)] for name in ("pogm", "pnlcg")}
    assert costs["pnlcg"][5] < costs["pogm"][10]
