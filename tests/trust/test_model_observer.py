from math import erf, sqrt

import numpy as np
import pytest

from csiq.errors import ConfigError, ShapeError
from csiq.simulate.anatomy.shapes import Grid
from csiq.trust.image_quality import QUALITIES, ImageQuality, coil_shading
from csiq.trust.model_observer import area_under_roc, detect, hotelling, laguerre_gauss
from csiq.trust.stenosis import StenosisTask, observe, observer_rows


def normal(x: float) -> float:
    return (1 + erf(x / sqrt(2))) / 2


def plane(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y, x = np.mgrid[:n, :n] - n // 2
    return y.ravel().astype(float), x.ravel().astype(float), np.hypot(y, x).ravel()


def standard_error(auc: float, n: int) -> float:
    """Return Hanley's and McNeil's standard error of an AUC, n images of each kind."""
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    return sqrt((auc * (1 - auc) + (n - 1) * (q1 - auc**2 + q2 - auc**2)) / n**2)


@pytest.mark.parametrize("d_prime", [0.7, 1.5, 2.5])
def test_gaussian_signal_in_white_noise_has_the_closed_form(rng, d_prime):
    # a Gaussian of SD s is the first channel of width a = s sqrt(2 pi): the observer is the ideal one,
    # with d' = |signal| / sigma and AUC = Phi(d' / sqrt 2)
    s, n = 2.0, 2000
    away = plane(21)[2]
    signal = np.exp(-(away**2) / (2 * s**2))
    signal *= d_prime / np.linalg.norm(signal)
    channels = laguerre_gauss(away, np.zeros_like(away), width=s * sqrt(2 * np.pi), depth=np.inf, n=5)
    present, absent = (rng.standard_normal((n, away.size)) + there * signal for there in (1, 0))
    found = detect(present @ channels, absent @ channels)
    expected = normal(d_prime / sqrt(2))
    # three standard errors of the half that is rated
    assert found.auc == pytest.approx(expected, abs=3 * standard_error(expected, n // 2))
    assert found.detectability == pytest.approx(d_prime, abs=3 * sqrt(2 / (n / 2) * (1 + d_prime**2 / 8)))
    assert found.low < found.auc < found.high
    assert found.high - found.low == pytest.approx(2 * 1.645 * standard_error(expected, n // 2), rel=0.25)


def test_template_is_the_closed_form_in_correlated_noise(rng):
    mix = rng.standard_normal((3, 3)) + 2 * np.eye(3)
    step, n = np.array([0.3, -0.2, 0.5]), 20000
    present, absent = (rng.standard_normal((n, 3)) @ mix.T + there * step for there in (1, 0))
    precision = np.linalg.inv(mix @ mix.T)
    found, expected = hotelling(present, absent), precision @ step
    # the mean difference has the covariance 2 S / n, the template 2 / n S^-1
    assert np.all(np.abs(found - expected) < 4 * np.sqrt(2 / n * np.diag(precision)))


def test_internal_noise_is_the_efficiency(rng):
    n, d_prime = 4000, 2.0
    present, absent = (rng.standard_normal((n, 1)) + there * d_prime for there in (1, 0))
    found = detect(present, absent, internal_noise=3.0)
    assert found.detectability == pytest.approx(d_prime / sqrt(10), abs=3 * sqrt(2 / (n / 2)))


def test_area_under_roc_by_hand():
    assert area_under_roc(np.array([3.0, 2]), np.array([1.0, 0])) == 1
    assert area_under_roc(np.array([2.0, 1]), np.array([2.0, 0])) == pytest.approx(2.5 / 4)
    with pytest.raises(ShapeError):
        detect(np.zeros((8, 6)), np.zeros((8, 6)))


def test_channels_are_orthogonal_and_follow_the_axis():
    away = plane(41)[2]
    flat = laguerre_gauss(away, np.zeros_like(away), width=8.0, depth=np.inf, n=6)
    # Laguerre-Gauss functions are orthonormal in the plane; 41 pixels hold all but the widest rings
    np.testing.assert_allclose(flat.T @ flat, np.eye(6), atol=2e-3)
    deep = laguerre_gauss(np.zeros(3), np.array([0.0, 1, 2]), width=8.0, depth=1.0, n=1)[:, 0]
    np.testing.assert_allclose(deep / deep[0], np.exp([0, -0.5, -2]))


def test_noise_has_its_size_and_the_spectrum_of_gridding():
    from csiq.density import density_compensation
    from csiq.nufft import Nufft

    n, rng = 40, np.random.default_rng(7)
    coord = radial(n)
    white = rng.standard_normal((2, *coord.shape[:2])).astype(np.float32)
    noise = (white[0] + 1j * white[1]).astype(np.complex64) * density_compensation(coord)
    gridded = Nufft(coord, (n, n, n), eps=1e-3).adjoint(noise).real
    modelled, other = ImageQuality("", noise=0.1, streaks=0.0).disturbance((n, n, n), 1.0, rng)
    assert modelled.std() == pytest.approx(0.1, rel=0.03)
    assert other.std() == pytest.approx(0.1, rel=0.03)
    assert abs(np.corrcoef(modelled.ravel(), other.ravel())[0, 1]) < 0.02
    shells = [spectrum(x) for x in (gridded, modelled)]
    one, two = (x[3:18] / x[3:18].sum() for x in shells)
    np.testing.assert_allclose(one, two, atol=0.015)
    streaks = spectrum(ImageQuality("", noise=0.0, streaks=0.1).disturbance((n, n, n), 1.0, rng)[0])
    assert streaks[4] / streaks[12] == pytest.approx(9, rel=0.4)


def radial(n: int) -> np.ndarray:
    """Return enough spokes for Nyquist on n^3, evenly over the sphere."""
    count = int(np.pi / 2 * n**2)
    z = np.linspace(0, 1, count)
    angle = np.pi * (3 - np.sqrt(5)) * np.arange(count)
    ways = np.stack([z, np.sqrt(1 - z**2) * np.sin(angle), np.sqrt(1 - z**2) * np.cos(angle)], axis=1)
    return (np.arange(-n / 2, n / 2)[None, :, None] * ways[:, None]).astype(np.float32)


def spectrum(x: np.ndarray) -> np.ndarray:
    """Return the mean power of shells in k-space."""
    n = x.shape[0]
    k = np.fft.fftfreq(n, 1 / n)
    shell = np.rint(np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k**2)).astype(int).ravel()
    power = np.abs(np.fft.fftn(x)).ravel() ** 2
    return np.bincount(shell, power) / np.bincount(shell)


def test_blur_and_motion_have_their_width():
    point = np.zeros((32, 32, 32), np.float32)
    point[16, 16, 16] = 1
    z, y, x = np.mgrid[:32, :32, :32] - 16.0
    for quality, expected in (
        (ImageQuality("", blur=4.71), (2.0, 2.0, 2.0)),
        (ImageQuality("", motion=2.0, blur=2.355), (sqrt(5), 1.0, 1.0)),
    ):
        shown = quality.shown(point, 1.0)
        assert shown.sum() == pytest.approx(1, abs=1e-4)
        spreads = [sqrt((shown * axis**2).sum()) for axis in (z, y, x)]
        np.testing.assert_allclose(spreads, expected, rtol=0.06)


@pytest.fixture(scope="module")
def task() -> StenosisTask:
    return StenosisTask(seed=3)


def test_stenosis_takes_half_the_diameter_and_nothing_else(task):
    present, absent = task.patches
    lost = absent - present
    assert lost.min() > -1e-3
    middle = task.place[0]
    away = np.argwhere(lost > 0.02) - 32 + np.rint(middle) - middle
    assert np.linalg.norm(away, axis=1).max() < task.length / 2 + 2.5
    # a raised cosine from no loss to s of the radius loses the integral of r^2 (1 - (1 - s w)^2)
    lad = next(tube for tube in task.patient.organ.arteries if tube.name == "LAD")
    at = np.argmin(np.linalg.norm(lad.points - middle, axis=1))
    s, w = task.severity, (1 + np.cos(np.linspace(-np.pi, np.pi, 2001))) / 2
    volume = np.pi * lad.radius[at] ** 2 * task.length * np.mean(1 - (1 - s * w) ** 2)
    contrast = (1 - task.patient.signals["fat"]) * coil_shading(3, Grid((1, 1, 1), (1, 1, 1), tuple(middle)))
    assert lost.sum() == pytest.approx(volume * contrast.item(), rel=0.1)


def test_patch_is_part_of_the_whole_image(task):
    whole, at = task.whole(96), np.rint(task.place[0]).astype(int) + 48
    near = tuple(slice(max(i - 8, 0), i + 8) for i in at)
    own = tuple(slice(s.start - i + 32, s.stop - i + 32) for s, i in zip(near, at, strict=True))
    np.testing.assert_allclose(
        whole[near], task.patches[1][own][tuple(map(slice, whole[near].shape))], atol=2e-3
    )


@pytest.mark.slow
def test_auc_falls_with_every_fault(task):
    for fault, steps in (
        ("blur", (0.0, 6.0)),
        ("motion", (0.0, 6.0)),
        ("noise", (0.05, 0.6)),
        ("streaks", (0.02, 0.3)),
    ):
        found = [observe(task, ImageQuality(fault, **{fault: step}), n_images=128) for step in steps]
        assert np.all(np.diff([one.detectability for one in found]) < 0), fault
        assert found[0].auc > 0.95 > found[-1].auc, fault


def test_equal_seeds_give_equal_rows(task):
    one, other = (observer_rows(task, QUALITIES[3:5], n_images=60, seed=5) for _ in range(2))
    assert one == other
    assert [row["quality"] for row in one] == ["blur 2.5 mm", "blur 3.5 mm"]


def test_impossible_tasks_are_refused():
    with pytest.raises(ConfigError):
        StenosisTask(seed=3, severity=1.0)
    with pytest.raises(ConfigError):
        StenosisTask(seed=3, share=1.0)
