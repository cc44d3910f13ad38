"""The adjoint NUFFT of the CPU against a direct sum, and the parts that it is made of."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.gridding import GriddingAdjoint
from tests.helpers import complex_normal, relative_error


def direct(angles: list[np.ndarray], strengths: np.ndarray, modes: tuple[int, ...]) -> np.ndarray:
    """Return sum_j c_j exp(i k x_j) in double precision."""
    letters = "abc"[: len(modes)]
    waves = [
        np.exp(1j * np.outer(np.arange(n) - n // 2, x.astype(np.float64)))
        for n, x in zip(modes, angles, strict=True)
    ]
    return np.einsum(",".join(f"{a}j" for a in letters) + ",j->" + letters, *waves, strengths)


@pytest.mark.parametrize("modes", [(8, 8, 8), (5, 6, 7), (16, 9), (33, 20, 12), (4, 64)])
def test_is_the_direct_sum(rng, modes):
    angles = [rng.uniform(-np.pi, np.pi, 400).astype(np.float32) for _ in modes]
    strengths = complex_normal(rng, (400,))
    image = GriddingAdjoint(angles, modes, eps=1e-6)(strengths)
    assert image.shape == modes
    assert image.dtype == np.complex64
    assert relative_error(image, direct(angles, strengths, modes)) < 5e-6


def test_accuracy_is_what_was_asked_for(rng):
    angles = [rng.uniform(-np.pi, np.pi, 300).astype(np.float32) for _ in range(2)]
    strengths = complex_normal(rng, (300,))
    exact = direct(angles, strengths, (20, 20))
    errors = [
        relative_error(GriddingAdjoint(angles, (20, 20), eps=e)(strengths), exact) for e in (1e-2, 1e-4)
    ]
    assert 1e-5 < errors[0] < 2e-2
    assert errors[1] < 2e-4


def test_second_use_does_not_remember_the_first(rng):
    angles = [rng.uniform(-np.pi, np.pi, 200).astype(np.float32) for _ in range(3)]
    adjoint = GriddingAdjoint(angles, (6, 8, 10), eps=1e-6)
    one, other = complex_normal(rng, (200,)), complex_normal(rng, (200,))
    first = adjoint(one)
    adjoint(other)
    assert np.array_equal(adjoint(one), first)
