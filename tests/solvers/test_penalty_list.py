"""All solvers with three penalties at once, against dense matrices in double precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import pywt
import scipy.sparse

from csiq.operators import ForwardModel
from csiq.solvers import SOLVERS, Problem, SpatialTV, Wavelet, build_problem, solve
from tests.helpers import complex_normal, relative_error

SHAPE, PHASES, COILS = (8, 8, 8), 3, 3
VOXELS = 512
LAMDA, LISTED = 0.02, (SpatialTV(0.006), Wavelet(0.01))


@dataclass(frozen=True)
class Dense:
    """A problem twice: as ours, and as matrices that know none of our operators."""

    model: ForwardModel
    kspace: np.ndarray
    dcf: np.ndarray
    problem: Problem
    forward: list[np.ndarray]
    operators: list[tuple[float, int, scipy.sparse.csr_matrix]]

    def cost(self, volumes):
        """Return data term and penalties by their definitions."""
        x = np.asarray(volumes, np.complex128).reshape(PHASES, VOXELS)
        spokes, data = self.dcf.shape[0] // PHASES, 0.0
        for p, matrix in enumerate(self.forward):
            mine = slice(p * spokes, (p + 1) * spokes)
            residual = (matrix @ x[p]).reshape(COILS, spokes, -1) - self.kspace[:, mine]
            data += np.sum(self.dcf[mine] * np.abs(residual) ** 2)
        return data, sum(
            weight * np.linalg.norm((k @ x.ravel()).reshape(n, -1), axis=0).sum()
            for weight, n, k in self.operators
        )

    def optimum(self, iterations=250):
        """Return the minimiser by ADMM with the exact solution of its linear step.

        After 250 iterations with this rho the cost is 5e-8 above that after 300.
        """
        spokes = self.dcf.shape[0] // PHASES
        blocks, rhs = [], []
        for p, matrix in enumerate(self.forward):
            mine = slice(p * spokes, (p + 1) * spokes)
            w = np.tile(self.dcf[mine].ravel(), COILS)
            blocks.append(2 * (matrix.conj().T * w) @ matrix)
            rhs.append(2 * matrix.conj().T @ (w * self.kspace[:, mine].ravel()))
        stacked = scipy.sparse.vstack([k for _, _, k in self.operators]).tocsr()
        rho = 0.1 * np.linalg.norm(blocks[0], 2)
        gram = (rho * stacked.T @ stacked).toarray().astype(np.complex128)
        for p, block in enumerate(blocks):
            own = slice(p * VOXELS, (p + 1) * VOXELS)
            gram[own, own] += block
        inverse, b = np.linalg.inv(gram), np.concatenate(rhs)
        ends = np.cumsum([0, *(k.shape[0] for _, _, k in self.operators)])
        z = u = np.zeros(stacked.shape[0], np.complex128)
        for _ in range(iterations):
            x = inverse @ (b + rho * (stacked.T @ (z - u)))
            kx = stacked @ x
            v, z = kx + u, np.empty_like(u)
            for (weight, n, _), start, stop in zip(self.operators, ends[:-1], ends[1:], strict=True):
                part = v[start:stop].reshape(n, -1)
                size = np.maximum(np.linalg.norm(part, axis=0), 1e-300)
                z[start:stop] = (part * np.maximum(1 - weight / rho / size, 0)).ravel()
            u = v - z
        return x.reshape(PHASES, *SHAPE)


def fourier(coord, smaps):
    """Return the matrix of one phase: sum_r c(r) m(r) exp(-2 pi i k . r / n) / sqrt(N)."""
    grid = np.stack(np.meshgrid(*[np.arange(n) - n // 2 for n in SHAPE], indexing="ij"), -1).reshape(-1, 3)
    angles = coord.reshape(-1, 3).astype(np.float64) @ (grid / np.array(SHAPE)).T
    waves = np.exp(-2j * np.pi * angles) / np.sqrt(VOXELS)
    return np.concatenate([waves * smap.reshape(-1).astype(np.complex128) for smap in smaps])


def wavelet_details():
    """Return PyWavelets' transform of a volume as a matrix, without the rows of the coarse image."""
    columns = []
    for unit in np.eye(VOXELS).reshape(VOXELS, *SHAPE):
        bands = pywt.dwtn(unit, "db4", mode="periodization")
        columns.append(np.concatenate([bands[name].ravel() for name in sorted(bands) if name != "aaa"]))
    return scipy.sparse.csr_matrix(np.array(columns).T)


def matrices(peak):
    """Return (weight, components, matrix) of each penalty on all phases."""
    eye = scipy.sparse.identity
    # the last difference is zero, so that the three components have one shape
    step = scipy.sparse.diags([np.r_[-np.ones(7), 0], np.ones(7)], [0, 1])
    axes = [
        scipy.sparse.kron(scipy.sparse.kron(a, b), c)
        for a, b, c in ((step, eye(8), eye(8)), (eye(8), step, eye(8)), (eye(8), eye(8), step))
    ]
    phases = scipy.sparse.diags([-np.ones(PHASES - 1), np.ones(PHASES - 1)], [0, 1], (PHASES - 1, PHASES))
    return [
        (LAMDA * peak, 1, scipy.sparse.kron(phases, eye(VOXELS)).tocsr()),
        (
            LISTED[0].weight * peak,
            3,
            scipy.sparse.vstack([scipy.sparse.kron(eye(PHASES), d) for d in axes]).tocsr(),
        ),
        (LISTED[1].weight * peak, 1, scipy.sparse.kron(eye(PHASES), wavelet_details()).tocsr()),
    ]


def listed_problem(model, kspace, dcf):
    return build_problem(model, kspace, dcf, LAMDA, penalties=LISTED)


@pytest.fixture(scope="module")
def dense():
    rng = np.random.default_rng(11)
    coords = [
        (rng.uniform(-1, 1, (30, 8, 3)) * 4 * rng.uniform(0.2, 1, (30, 1, 1))).astype(np.float32)
        for _ in range(PHASES)
    ]
    smaps = complex_normal(rng, (COILS, *SHAPE))
    smaps /= np.sqrt((np.abs(smaps) ** 2).sum(axis=0))
    z, y, x = np.indices(SHAPE) - 4
    still = (z**2 + y**2 + x**2 < 9).astype(np.float32)
    truth = np.array([still + 0.8 * np.exp(0.3j * p - (z**2 + (y - p + 1) ** 2) / 3) for p in range(PHASES)])
    model = ForwardModel(coords, smaps, threads=2)
    kspace = model(truth.astype(np.complex64)) + 0.02 * complex_normal(rng, tuple(model.oshape))
    dcf = np.concatenate([np.linalg.norm(c, axis=-1) ** 2 + 0.5 for c in coords]).astype(np.float32)
    dcf /= dcf.mean()
    problem = listed_problem(model, kspace, dcf)
    peak = float(np.abs(problem.gridded).max())
    forward = [fourier(coord, smaps) for coord in coords]
    return Dense(model, kspace, dcf, problem, forward, matrices(peak))


@pytest.fixture(scope="module")
def optimum(dense):
    return dense.optimum()


@pytest.fixture(params=list(SOLVERS))
def solver(request):
    return request.param


def run(problem, solver, max_iter):
    *_, last = solve(problem, solver, max_iter)
    return last


@pytest.mark.slow
def test_optimum_is_that_of_an_independent_solver(dense, optimum, solver):
    ours = run(dense.problem, solver, 400)
    best, found = sum(dense.cost(optimum)), sum(dense.cost(ours.volumes))
    # what is smoothed keeps a bias of about the smoothing that is left
    smooth = solver == "nlcg"
    assert best * (1 - 1e-6) <= found <= best * (1 + (1e-3 if smooth else 1e-4))
    assert relative_error(ours.volumes, optimum) < (2e-2 if smooth else 5e-3)


@pytest.mark.slow
def test_every_penalty_matters(dense, optimum):
    """The optimum without one of them costs clearly more: the test above would notice its absence."""
    for further in (LISTED[:1], LISTED[1:]):
        other = build_problem(dense.model, dense.kspace, dense.dcf, LAMDA, penalties=further)
        volumes = run(other, "pogm", 150).volumes
        assert sum(dense.cost(volumes)) > sum(dense.cost(optimum)) * 1.005


def test_reported_cost_is_the_cost_of_the_iterate(dense, solver):
    for iterate in solve(dense.problem, solver, 8):
        data, penalty = dense.cost(iterate.volumes)
        assert iterate.cost.total == pytest.approx(data + penalty, rel=1e-5)
        assert iterate.cost.penalty == pytest.approx(penalty, rel=1e-6)


def test_one_operator_application_an_iteration(dense, solver):
    applications = dense.problem.normal.applications
    for iterate in solve(dense.problem, solver, 6):
        assert dense.problem.normal.applications - applications == iterate.iteration + 1


def test_equal_input_gives_equal_bits(dense, solver):
    again = listed_problem(dense.model, dense.kspace, dense.dcf)
    assert np.array_equal(run(dense.problem, solver, 10).volumes, run(again, solver, 10).volumes)


def test_a_restored_solver_goes_on_to_the_bit(dense, solver):
    whole = list(solve(dense.problem, solver, 9))
    state = [i.state() for i in solve(dense.problem, solver, 4)][-1]
    state = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in state.items()}
    rest = list(solve(dense.problem, solver, 9, state))
    assert [i.iteration for i in rest] == [5, 6, 7, 8, 9]
    assert np.array_equal(rest[-1].volumes, whole[-1].volumes)
    assert rest[-1].cost == whole[-1].cost


def test_iterates_scale_with_the_data(dense, solver):
    base = run(dense.problem, solver, 15).volumes
    louder = listed_problem(dense.model, 1000 * dense.kspace, dense.dcf)
    assert relative_error(run(louder, solver, 15).volumes, 1000 * base) < 1e-3


@pytest.mark.gpu
def test_a_gpu_finds_the_same(dense, solver):
    import cupy

    coords = [cupy.asarray(coord) for coord in dense.model.coords]
    model = ForwardModel(coords, cupy.asarray(dense.model.smaps))
    problem = listed_problem(model, cupy.asarray(dense.kspace), cupy.asarray(dense.dcf))
    there, here = run(problem, solver, 10), run(dense.problem, solver, 10)
    # 10 iterations: later ones amplify what single precision rounds differently
    assert relative_error(cupy.asnumpy(there.volumes), here.volumes) < 2e-3
    assert there.cost.total == pytest.approx(here.cost.total, rel=1e-4)
