"""NumPy's BLAS has one thread where csiq asks for it, and its own number elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from csiq.blas import one_blas_thread
from csiq.quality.patches import cut_slices


def threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two():
    """Let NumPy's products have two threads in every test."""
    # not as a context manager: in one, threads of tests could not set the number
    limits = threadpool_limits(2, user_api="blas")
    if threads() != {2}:
        pytest.skip("this BLAS has no two threads")
    yield
    limits.restore_original_limits()


def test_products_have_one_thread_in_the_block_and_two_after_it():
    with one_blas_thread():
        assert threads() == {1}
    assert threads() == {2}


def test_an_error_in_the_block_gives_the_threads_back():
    with pytest.raises(KeyError), one_blas_thread():
        raise KeyError
    assert threads() == {2}


def test_slices_are_interpolated_by_one_thread(monkeypatch, rng):
    seen = []
    product = np.tensordot
    monkeypatch.setattr(np, "tensordot", lambda *a, **k: (seen.append(threads()), product(*a, **k))[1])
    cut_slices(rng.random((40, 40, 40), dtype=np.float32), (2.0, 2.0, 2.0), (0.0,))
    assert seen == [{1}] * 3
    assert threads() == {2}
