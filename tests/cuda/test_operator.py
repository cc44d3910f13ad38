"""The normal operator by a GPU's plan, its arrays on the CPU: same sums, less memory where it runs out."""

from __future__ import annotations

import numpy as np
import pytest

from csiq import toeplitz
from csiq.cuda import memory
from csiq.cuda.memory import GpuPlan, GpuProblem
from csiq.toeplitz import ToeplitzNormal
from tests.helpers import complex_normal, relative_error

SHAPE = (6, 5, 8)


@pytest.fixture
def operators(rng, monkeypatch):
    """Return a function of plan options: the operator of a CPU, and that of the plan."""
    monkeypatch.setattr(ToeplitzNormal, "_xp", property(lambda self: np))
    kernels = rng.uniform(0.1, 1, (3, 12, 10, 16)).astype(np.float32)
    smaps = complex_normal(rng, (5, *SHAPE))

    def make(coil_batch: int, **where: bool) -> tuple[ToeplitzNormal, ToeplitzNormal]:
        plan = GpuPlan(GpuProblem(SHAPE, 3, 5), coil_batch, **where)
        # one thread: on a GPU phases go one after the other and share their buffers
        return ToeplitzNormal(kernels, smaps), ToeplitzNormal(kernels, smaps, threads=1, plan=plan)

    return make


@pytest.mark.parametrize("coil_batch", [1, 3, 5])
@pytest.mark.parametrize("on_device", [True, False])
def test_any_plan_gives_the_same_sums(operators, rng, coil_batch, on_device):
    cpu, planned = operators(coil_batch, kernels_on_device=on_device)
    volumes = complex_normal(rng, (3, *SHAPE))
    for _ in range(2):  # buffers are used again
        assert relative_error(planned(volumes), cpu(volumes)) < 1e-6
    assert planned.largest_eigenvalue() == pytest.approx(cpu.largest_eigenvalue(), rel=1e-4)


def test_out_of_memory_takes_fewer_coils_from_then_on(operators, rng, monkeypatch):
    cpu, planned = operators(5)
    real, tried = toeplitz.sum_of_coils, []

    def sum_of_coils(volume, smaps, kernel, *, batch, buffers):
        tried.append(batch)
        if batch > 2:
            raise MemoryError
        return real(volume, smaps, kernel, batch=batch, buffers=buffers)

    monkeypatch.setattr(toeplitz, "sum_of_coils", sum_of_coils)
    monkeypatch.setattr(memory, "release_pools", lambda: None)
    volumes = complex_normal(rng, (3, *SHAPE))
    assert relative_error(planned(volumes), cpu(volumes)) < 1e-6
    assert tried == [5, 3, 2, 2, 2]  # the first phase finds it out, the others know
