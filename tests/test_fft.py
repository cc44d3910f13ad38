"""Transforms in place, by MKL and by SciPy, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from csiq import fft
from tests.helpers import complex_normal, relative_error


@pytest.fixture(params=["fastest", "scipy"])
def library(request, monkeypatch):
    """Both ways: the fastest there is (MKL in a torch for x86), and the one for machines without."""
    if request.param == "scipy":
        monkeypatch.setattr(fft, "mkl", lambda: None)
    return request.param


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 4, 8, 6), (1, 1, 13)])
def test_last_axes(rng, shape, inverse):
    for n_axes in (1, 2):
        a = complex_normal(rng, shape)
        axes = tuple(range(len(shape) - n_axes, len(shape)))
        expected = np.fft.ifftn(a, axes=axes, norm="forward") if inverse else np.fft.fftn(a, axes=axes)
        fft.along_last(a, n_axes, inverse=inverse)
        assert relative_error(a, expected) < 1e-6


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("inverse", [False, True])
def test_first_axis_of_some_rows_of_a_larger_array(rng, inverse):
    whole = complex_normal(rng, (6, 9, 4))
    kept, rows = whole.copy(), slice(2, 5)
    part = whole[:, rows]
    expected = np.fft.ifft(part, axis=0, norm="forward") if inverse else np.fft.fft(part, axis=0)
    fft.along_first(part, inverse=inverse)
    assert relative_error(whole[:, rows], expected) < 1e-6
    outside = np.ones(9, bool)
    outside[rows] = False
    assert np.array_equal(whole[:, outside], kept[:, outside])


def test_torch_for_x86_brings_mkl():
    import torch

    if not torch.backends.mkl.is_available():
        pytest.skip("this torch has no MKL")
    assert fft.mkl() is not None


@pytest.mark.skipif(fft.mkl() is None, reason="this torch has no MKL")
@pytest.mark.parametrize("fault", [lambda a: a[..., ::-1].copy(), lambda a: a * np.nan])
@pytest.mark.parametrize("spoilt", [["18 x 20"], ["18 x 20", "18", "20", "20 x 18"]])
def test_lengths_that_mkl_gets_wrong_are_made_another_way(rng, monkeypatch, caplog, fault, spoilt):
    """As on an AMD processor whose vendor is hidden from MKL: planes are wrong; then lines as well."""
    run = fft._Plan.run

    def wrong(plan, array, inverse):
        run(plan, array, inverse)
        if len(spoilt) > 1 or array.shape[1:] == (18, 20):
            array[...] = fault(array)

    monkeypatch.setattr(fft._Plan, "run", wrong)
    monkeypatch.setattr(fft, "_LOCAL", fft._Plans())
    fft.right.cache_clear()
    try:
        for shape in [(3, 18, 20), (3, 18, 20), (3, 20, 18)]:
            a = complex_normal(rng, shape)
            expected = np.fft.fftn(a, axes=(1, 2))
            fft.along_last(a, 2)
            assert relative_error(a, expected) < 1e-6
    finally:
        fft.right.cache_clear()
    sentence = "MKL's Fourier transforms of {} are wrong on this machine and made another way"
    assert {record.getMessage() for record in caplog.records} == {sentence.format(size) for size in spoilt}


def test_arrays_begin_at_a_cache_line():
    for n in (1, 7, 1000):
        assert fft.aligned((n, 3)).__array_interface__["data"][0] % 64 == 0
