"""A small reconstruction problem whose optimum other programs can find."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from csiq.operators import ForwardModel
from csiq.solvers import Problem, build_problem
from tests.helpers import complex_normal


@dataclass(frozen=True)
class Small:
    model: ForwardModel
    kspace: np.ndarray
    dcf: np.ndarray
    problem: Problem


def phantom(shape, n_phases=4):
    """Return blobs of which one moves and one turns its angle along the phases."""
    z, y, x = np.meshgrid(*[np.arange(n) - n // 2 for n in shape], indexing="ij")
    still = (z**2 + y**2 + x**2 < 9).astype(float)
    volumes = []
    for p in range(n_phases):
        mover = np.exp(-(z**2 + (y - p + 1) ** 2 + (x + 3) ** 2) / 3)
        volumes.append(still + 0.8 * mover * np.exp(0.3j * p))
    return np.array(volumes).astype(np.complex64)


@pytest.fixture
def small(rng) -> Small:
    shape = (8, 8, 8)
    coords = [
        (rng.uniform(-1, 1, (30, 8, 3)) * 4 * rng.uniform(0.2, 1, (30, 1, 1))).astype(np.float32)
        for _ in range(4)
    ]
    smaps = complex_normal(rng, (3, *shape))
    smaps /= np.sqrt((np.abs(smaps) ** 2).sum(axis=0))
    model = ForwardModel(coords, smaps, threads=1)
    kspace = model(phantom(shape)) + 0.02 * complex_normal(rng, tuple(model.oshape))
    dcf = np.concatenate([np.linalg.norm(c, axis=-1) ** 2 + 0.5 for c in coords]).astype(np.float32)
    dcf /= dcf.mean()
    return Small(model, kspace, dcf, build_problem(model, kspace, dcf, lamda=0.02))
