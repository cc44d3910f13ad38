"""The same code on a GPU: operators, prox, solver and the whole flow against the CPU. Run where one is."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.acquisition import Geometry
from csiq.arrays import Device, to_device, to_host, xp_of
from csiq.config import load_config
from csiq.cuda.memory import GpuPlan, GpuProblem, release_pools, with_back_off
from csiq.cuda.stream import PhaseUploads
from csiq.cuda.toeplitz import Buffers, sum_of_coils
from csiq.loop import Loop
from csiq.nufft import doubled_shape
from csiq.operators import ForwardModel
from csiq.pipeline import reconstruct
from csiq.quality.grade import Grader
from csiq.simulate import ScanConfig, simulate_scan
from csiq.solvers import build_problem, phase_total_variation, prox_phase_tv, solve
from csiq.stopping import GradePlateau, MaxIter
from tests.helpers import complex_normal, relative_error

pytestmark = pytest.mark.gpu

GPU = Device(0)


@pytest.fixture
def pair(rng):
    """Return the same model on both devices."""
    shape = (24, 20, 22)
    half = np.array(shape) / 2
    coords = [(rng.uniform(-1, 1, (50 + p, 40, 3)) * half).astype(np.float32) for p in range(3)]
    smaps = complex_normal(rng, (4, *shape))
    on_gpu = ForwardModel([to_device(c, GPU) for c in coords], to_device(smaps, GPU))
    return ForwardModel(coords, smaps), on_gpu


@pytest.fixture
def small_problem(pair, rng):
    """Return a problem on the GPU, set up once: what comes after it has no atomics."""
    _, gpu = pair
    kspace = complex_normal(rng, tuple(gpu.oshape))
    dcf = rng.uniform(0.5, 1, gpu.oshape[1:]).astype(np.float32)
    geometry = Geometry((24, 20, 22), (208.0, 208.0, 208.0))
    return build_problem(gpu, to_device(kspace, GPU), to_device(dcf, GPU), 0.02), geometry


def test_operators_agree_with_the_cpu(pair, rng):
    cpu, gpu = pair
    volumes, kspace = complex_normal(rng, tuple(cpu.ishape)), complex_normal(rng, tuple(cpu.oshape))
    # SigPy's kernels (where cufinufft is not installed) are good to 1e-5, float32 sums to 1e-6
    assert relative_error(to_host(gpu(to_device(volumes, GPU))), cpu(volumes)) < 5e-5
    assert relative_error(to_host(gpu.H(to_device(kspace, GPU))), cpu.H(kspace)) < 5e-5
    weights = rng.uniform(0, 1, cpu.oshape[1:]).astype(np.float32)
    ours = to_host(gpu.normal_operator(to_device(weights, GPU))(to_device(volumes, GPU)))
    assert relative_error(ours, cpu.normal_operator(weights)(volumes)) < 5e-5


def test_prox_and_penalty_agree_with_the_cpu(rng):
    volumes = complex_normal(rng, (4, 12, 12, 12))
    on_gpu = to_device(volumes, GPU)
    # the CPU takes differences in float32
    assert phase_total_variation(on_gpu) == pytest.approx(phase_total_variation(volumes), rel=1e-7)
    # the same search in double precision; a fused multiply-add may end it one sweep sooner or later
    assert relative_error(to_host(prox_phase_tv(on_gpu, 0.5)), prox_phase_tv(volumes, 0.5)) < 1e-4


@pytest.mark.parametrize("solver", ["pnlcg", "nlcg", "pogm", "bb"])
def test_solver_agrees_with_the_cpu(pair, rng, solver):
    cpu, gpu = pair
    kspace = complex_normal(rng, tuple(cpu.oshape))
    dcf = rng.uniform(0.5, 1, cpu.oshape[1:]).astype(np.float32)
    ours = list(solve(build_problem(gpu, to_device(kspace, GPU), to_device(dcf, GPU), 0.02), solver, 8))[-1]
    theirs = list(solve(build_problem(cpu, kspace, dcf, 0.02), solver, 8))[-1]
    assert ours.cost.total == pytest.approx(theirs.cost.total, rel=1e-3)
    assert relative_error(to_host(ours.volumes), theirs.volumes) < 1e-2


def test_the_whole_flow_agrees_with_the_cpu(simulated):
    results = [
        reconstruct(simulated[0], load_config(overrides={"coils": 4, "max_iter": 4, "device": device}))
        for device in ("cuda:0", "cpu")
    ]
    assert relative_error(results[0].volumes, results[1].volumes) < 2e-2
    for ours, theirs in zip(results[0].grades, results[1].grades, strict=True):
        assert ours is not None
        assert theirs is not None
        assert ours.grade == pytest.approx(theirs.grade, abs=0.05)


@pytest.mark.parametrize("shape", [(32, 24, 28), (1, 40, 36), (13, 11, 17)])
@pytest.mark.parametrize("batch", [1, 3, 5])
def test_fused_normal_operator_is_exact(rng, shape, batch):
    volume, smaps = complex_normal(rng, shape), complex_normal(rng, (5, *shape))
    kernel = rng.uniform(0.1, 1, doubled_shape(shape)).astype(np.float32)
    exact = np.zeros(shape, np.complex128)
    for smap in smaps.astype(np.complex128):
        padded = np.fft.fftn(smap * volume, kernel.shape, axes=(0, 1, 2))
        exact += smap.conj() * np.fft.ifftn(kernel * padded)[tuple(slice(n) for n in shape)]
    there = [to_device(a, GPU) for a in (volume, smaps, kernel)]
    for slab in (1, 1 << 16, 1 << 30):
        buffers = Buffers.allocate(xp_of(there[0]), shape, batch, slab)
        ours = sum_of_coils(*there, batch=batch, buffers=buffers)
        assert relative_error(to_host(ours), exact) < 1e-5
        assert relative_error(to_host(sum_of_coils(*there, batch=batch, buffers=buffers)), to_host(ours)) == 0


def test_maps_and_kernels_may_wait_on_the_host(rng):
    import cupy

    shape = (16, 12, 14)
    smaps, volumes = complex_normal(rng, (4, *shape)), complex_normal(rng, (3, *shape))
    kernels = rng.uniform(0.1, 1, (3, *doubled_shape(shape))).astype(np.float32)
    uploads = PhaseUploads(kernels, cupy)
    for _ in range(2):
        for phase, volume in enumerate(volumes):
            ours = sum_of_coils(to_device(volume, GPU), smaps, uploads[phase], batch=2)
            theirs = sum_of_coils(volume, smaps, kernels[phase], batch=2)
            assert relative_error(to_host(ours), theirs) < 1e-5


def test_two_runs_differ_by_rounding_only(simulated):
    config = load_config(overrides={"coils": 4, "max_iter": 4, "device": "cuda:0"})
    one, two = reconstruct(simulated[0], config), reconstruct(simulated[0], config)
    # gridding on a GPU adds with atomics, in any order: float32 rounding, carried through four iterations
    assert relative_error(one.volumes, two.volumes) < 1e-4
    for ours, theirs in zip(one.grades, two.grades, strict=True):
        assert ours is not None
        assert theirs is not None
        assert ours.grade == pytest.approx(theirs.grade, abs=0.01)


def test_back_off_where_the_pool_is_small(rng):
    import cupy

    shape, pool = (64, 64, 64), cupy.get_default_memory_pool()
    volume, smaps = (to_device(complex_normal(rng, s), GPU) for s in (shape, (8, *shape)))
    kernel = cupy.ones(doubled_shape(shape), np.float32)
    release_pools()
    plan = GpuPlan(GpuProblem(shape, 1, 8), coil_batch=8)
    tried = []

    def run(plan):
        tried.append(plan.coil_batch)
        buffers = Buffers.allocate(cupy, shape, plan.coil_batch, plan.slab_bytes)
        return sum_of_coils(volume, smaps, kernel, batch=plan.coil_batch, buffers=buffers)

    free = run(plan)
    release_pools()
    # room for what is there, and for the buffers of two coils (4 MiB and a slab each), not of eight
    limit = pool.get_limit()
    pool.set_limit(size=pool.used_bytes() + (44 << 20))
    try:
        tight = with_back_off(run, plan)
    finally:
        pool.set_limit(size=limit)
    assert tried[0] == tried[1] == 8
    assert tried[-1] < 8
    assert relative_error(to_host(tight), to_host(free)) < 1e-6


def test_grader_agrees_with_the_cpu(simulated):
    truth = np.abs(simulated[1].volumes[:2]).astype(np.complex64)
    size = simulated[0].geometry.voxel_size
    here, there = Grader.load("default", "cpu"), Grader.load("default", GPU)
    for volume in truth:
        ours, theirs = there.grade(to_device(volume, GPU), size), here.grade(volume, size)
        assert ours.grade == pytest.approx(theirs.grade, abs=0.01)
        assert ours.in_domain == theirs.in_domain


def test_grading_beside_gives_the_same_run(small_problem, monkeypatch):
    problem, geometry = small_problem

    def run():
        rules = (GradePlateau(tol=1.0), MaxIter(6))
        loop = Loop(load_config(), geometry, Grader.load("default", GPU), rules, lambda event: None)
        loop.follow(solve(problem, "bb", 6))
        return loop

    beside = run()
    monkeypatch.setattr(Grader, "side_line", lambda self: None)
    in_turn = run()
    assert beside.stop == in_turn.stop
    assert beside.returned == in_turn.returned
    assert [s.cost for s in beside.history.steps] == [s.cost for s in in_turn.history.steps]
    for ours, theirs in zip(beside.history.steps, in_turn.history.steps, strict=True):
        # cuDNN may choose another algorithm; far below what rules look at
        assert ours.grades == pytest.approx(theirs.grades, abs=1e-3)
    assert np.array_equal(to_host(beside.kept), to_host(in_turn.kept))


@pytest.mark.parametrize("trajectory", ["phyllotaxis", "golden2d"])
def test_a_simulated_scan_agrees_with_the_cpu(trajectory):
    config = ScanConfig(seed=4, matrix=32, n_coils=3, n_spokes=400, trajectory=trajectory)
    ours, theirs = (simulate_scan(config, device=device)[0] for device in (GPU, "cpu"))
    # the transforms of a scan are good to 1e-4 each
    assert relative_error(ours.kspace, theirs.kspace) < 3e-4
    if theirs.navigators is not None:
        assert relative_error(ours.navigators.kspace, theirs.navigators.kspace) < 3e-4
    # nothing is added with atomics here: the same numbers each time
    assert np.array_equal(simulate_scan(config, device=GPU)[0].kspace, ours.kspace)
