"""The CUDA kernels of the total variation, compiled as C++, against the loops of the CPU."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.cuda import tv
from csiq.solvers import total_variation
from csiq.solvers.total_variation import GAP, MAX_SWEEPS, phase_total_variation, prox_phase_tv
from tests.helpers import complex_normal, relative_error

pytestmark = pytest.mark.usefixtures("emulated")


@pytest.mark.parametrize("n_phases", [2, 4, 16])
@pytest.mark.parametrize("mu", [0.02, 0.5, 3.0])
def test_prox_is_that_of_the_cpu(rng, n_phases, mu, monkeypatch):
    # so small a gap that it does not matter who takes a sweep more
    monkeypatch.setattr(total_variation, "GAP", 1e-13)
    v = complex_normal(rng, (n_phases, 5, 6, 7))
    warm = 0.1 * complex_normal(rng, (n_phases - 1, 5, 6, 7))
    ours, theirs = warm.copy(), warm.copy()
    x = tv.prox(v, mu, ours, gap=1e-13, max_sweeps=MAX_SWEEPS, omega=total_variation.relaxation(n_phases))
    assert relative_error(x, prox_phase_tv(v, mu, theirs)) < 1e-6
    assert relative_error(ours, theirs) < 1e-5


def test_prox_turns_with_the_angle(rng):
    v, turn = complex_normal(rng, (4, 3, 4, 5)), np.complex64(np.exp(0.7j))
    x = tv.prox(v, 0.4, np.zeros((3, 3, 4, 5), np.complex64), gap=GAP, max_sweeps=MAX_SWEEPS)
    turned = tv.prox(turn * v, 0.4, np.zeros((3, 3, 4, 5), np.complex64), gap=GAP, max_sweeps=MAX_SWEEPS)
    assert relative_error(turned, turn * x) < 1e-4  # the root of the gap


def test_a_dual_that_is_a_view_is_written_too(rng):
    v, dual = complex_normal(rng, (3, 4, 4, 4)), np.zeros((4, 4, 4, 2), np.complex64).T
    kept = np.zeros((2, 4, 4, 4), np.complex64)
    x = tv.prox(v, 0.3, dual, gap=GAP, max_sweeps=MAX_SWEEPS)
    assert np.array_equal(x, tv.prox(v, 0.3, kept, gap=GAP, max_sweeps=MAX_SWEEPS))
    assert np.array_equal(dual, kept)
    assert np.abs(dual).max() > 0


@pytest.mark.parametrize("n_phases", [2, 5])
def test_value_is_that_of_the_cpu(monkeypatch, rng, n_phases):
    volumes = complex_normal(rng, (n_phases, 6, 7, 8))
    monkeypatch.setattr(tv, "_N_SUMS", 100)  # several voxels a thread, the last round not full
    exact = np.abs(np.diff(volumes.astype(np.complex128), axis=0)).sum()
    assert tv.total_variation(volumes) == pytest.approx(exact, rel=1e-12)
    # the CPU takes differences in float32
    assert tv.total_variation(volumes) == pytest.approx(phase_total_variation(volumes), rel=1e-7)
    constant = np.ones((n_phases, 2, 2, 2), np.complex64)
    assert tv.total_variation(constant) == 0
