"""A problem for csiq's own solvers."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.operators import ForwardModel
from csiq.solvers import Problem, build_problem
from tests.helpers import complex_normal


@pytest.fixture
def simulated_problem(rng) -> Problem:
    coords = [(rng.uniform(-4, 4, (20, 8, 3))).astype(np.float32) for _ in range(2)]
    smaps = complex_normal(rng, (2, 8, 8, 8))
    model = ForwardModel(coords, smaps, threads=1)
    kspace = model(complex_normal(rng, (2, 8, 8, 8)))
    return build_problem(model, kspace, np.ones((40, 8), np.float32), lamda=0.02)
