"""The decay of a hyperpolarised signal is divided out; what moves is left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from csiq.acquisition import Acquisition, Geometry, Navigators
from csiq.decay import centre_signal, correct_decay, signal_decay
from csiq.errors import RawDataError
from csiq.io import ReadOptions, read_acquisition
from csiq.trajectory import golden_means_3d, radial_coord

N, STEP = 800, 0.015


def decaying(rng: np.random.Generator, course: np.ndarray, noise: float = 0.01) -> Acquisition:
    """Return centre-out spokes of two coils whose signal follows ``course``."""
    coord = radial_coord(golden_means_3d(len(course)), 16, 16, centre_out=True)
    fall = np.exp(-np.linalg.norm(coord, axis=-1) / 3)
    kspace = np.array([1.0, 0.5j])[:, None, None] * fall * course[:, None]
    kspace = kspace + noise * rng.standard_normal((*kspace.shape, 2)).view(np.complex128)[..., 0]
    return Acquisition(
        kspace=kspace.astype(np.complex64),
        coord=coord,
        times=np.arange(len(course)) * STEP,
        heartbeat=np.zeros(len(course), np.int64),
        geometry=Geometry((16, 16, 16), (400.0,) * 3),
    )


def time() -> np.ndarray:
    return np.arange(N) * STEP


@pytest.mark.parametrize(
    "course",
    [
        np.exp(-time() / 6),
        np.cos(np.deg2rad(4)) ** np.arange(N),
        np.exp(-((time() / 9) ** 2)) * 3,
        1 + 0 * time(),
    ],
    ids=["T1", "flip angle", "faster and faster", "none"],
)
def test_a_smooth_decay_is_found(rng: np.random.Generator, course: np.ndarray) -> None:
    found = signal_decay(decaying(rng, course))
    expected = course / np.exp(np.mean(np.log(course)))
    # noise of 1 % on 800 spokes, 4 coefficients; worst at the weak end
    np.testing.assert_allclose(found, expected, rtol=0.02)
    assert np.exp(np.mean(np.log(found))) == pytest.approx(1.0)


def test_a_transient_is_followed(rng: np.random.Generator) -> None:
    course = np.exp(-time() / 10) * (1 + 3 * np.exp(-time() / 0.3))
    found = signal_decay(decaying(rng, course))
    ratio = found / course
    assert np.std(ratio / np.mean(ratio)) < 0.02


def test_what_moves_is_left(rng: np.random.Generator) -> None:
    beat = 1 + 0.05 * np.sin(2 * np.pi * 1.18 * time())
    scan = decaying(rng, np.exp(-time() / 6) * beat, noise=1e-3)
    left = centre_signal(correct_decay(scan))
    left = left / left.mean()
    inner = slice(40, -40)
    correlation = np.corrcoef(left[inner], beat[inner])[0, 1]
    assert correlation > 0.9
    assert np.std(left[inner]) == pytest.approx(0.05 / np.sqrt(2), rel=0.2)


def test_breathing_is_left_too(rng: np.random.Generator) -> None:
    breath = 1 + 0.1 * np.sin(2 * np.pi * 0.25 * time())
    left = centre_signal(correct_decay(decaying(rng, np.exp(-time() / 6) * breath, noise=1e-3)))
    assert np.corrcoef(left, breath)[0, 1] > 0.95


def test_outliers_do_not_decide(rng: np.random.Generator) -> None:
    scan = decaying(rng, np.exp(-time() / 6))
    kspace = scan.kspace.copy()
    kspace[:, rng.integers(0, N, 40)] *= 4
    found = signal_decay(replace(scan, kspace=kspace))
    np.testing.assert_allclose(found[-1] / found[0], np.exp(-time()[-1] / 6), rtol=0.05)


def test_nothing_is_changed_in_place_and_it_is_said(rng: np.random.Generator) -> None:
    scan = decaying(rng, np.exp(-time() / 6))
    nav = Navigators(scan.kspace[:, ::80], scan.times[::80], scan.heartbeat[::80])
    scan = replace(scan, navigators=nav)
    before = scan.kspace.copy()
    corrected = correct_decay(scan)
    np.testing.assert_array_equal(scan.kspace, before)
    assert corrected.kspace.dtype == np.complex64
    np.testing.assert_allclose(corrected.kspace, scan.kspace / signal_decay(scan)[None, :, None], rtol=1e-5)
    assert corrected.navigators is not None
    assert corrected.navigators.kspace.dtype == np.complex64
    np.testing.assert_allclose(corrected.navigators.kspace, corrected.kspace[:, ::80], rtol=1e-5)
    assert any("falls to 14 % over the scan" in w for w in corrected.warnings)
    assert correct_decay(decaying(rng, np.ones(N))).warnings == ()


def test_few_spokes(rng: np.random.Generator) -> None:
    for n in (1, 2, 9, 20):
        corrected = correct_decay(decaying(rng, np.exp(-np.arange(n) / 10)))
        assert np.isfinite(corrected.kspace).all()


def test_no_signal_at_the_centre(rng: np.random.Generator) -> None:
    scan = decaying(rng, np.ones(20))
    kspace = scan.kspace.copy()
    kspace[..., 0] = 0
    with pytest.raises(RawDataError, match="no signal at the centre"):
        signal_decay(replace(scan, kspace=kspace))


def test_the_heart_beats_in_measured_xenon(shared_data: Path) -> None:
    folder = shared_data / "raw" / "xe-lung-3d-radial"
    options = ReadOptions(trajectory=f"{folder / 'xe_lung_3d_radial.h5'}:/coord", echo=1)
    corrected = correct_decay(read_acquisition(folder / "xe_dixon_twix.dat", options))
    height = np.log(centre_signal(corrected))
    # the transient of the first second is gone as well
    assert np.std(height) < 0.03
    spectrum = np.abs(np.fft.rfft((height - height.mean()) * np.hanning(len(height))))
    frequency = np.fft.rfftfreq(len(height), 0.015)
    band = (frequency > 0.5) & (frequency < 3)
    peak = frequency[band][np.argmax(spectrum[band])]
    assert peak == pytest.approx(1.18, abs=0.05)
    # measured: 14.9 times the median of the band
    assert spectrum[band].max() > 10 * np.median(spectrum[band])
