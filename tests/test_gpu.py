"""The same code on a GPU: operators, prox, solver and the whole flow against the CPU. Run where one is."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.arrays import Device, to_device, to_host
from csiq.config import load_config
from csiq.operators import ForwardModel
from csiq.pipeline import reconstruct
from csiq.solvers import build_problem, phase_total_variation, prox_phase_tv, solve
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
    assert phase_total_variation(on_gpu) == pytest.approx(phase_total_variation(volumes), rel=1e-5)
    assert relative_error(to_host(prox_phase_tv(on_gpu, 0.5)), prox_phase_tv(volumes, 0.5)) < 2e-3


@pytest.mark.parametrize("solver", ["pogm", "bb"])
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
