import numpy as np
import pytest

from csiq.errors import ShapeError
from csiq.quality.features import HeartTruth, QualityError, Vessel
from csiq.trust.haarpsi import ALPHA, C, haarpsi
from csiq.trust.similarity import grey_values, similarity, ssim, ssim_map


def waves() -> tuple[np.ndarray, np.ndarray]:
    """Return two smooth images that other programs have compared."""
    y, x = np.mgrid[:96, :128]
    one = 127.5 + 60 * np.sin(x / 7) + 60 * np.cos(y / 11 + x / 23)
    return one, 127.5 + 60 * np.sin((x + 1.5) / 7) + 48 * np.cos(y / 11 + x / 23)


def noisy(rng, shape=(37, 50)):
    one = rng.uniform(0, 255, shape)
    return one, np.clip(one + rng.normal(0, 20, shape), 0, 255)


def convolved(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return MATLAB's conv2(image, kernel, 'same'), sum by sum."""
    height, width = kernel.shape
    out = np.zeros(image.shape)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            for i in range(height):
                for j in range(width):
                    row, column = y + height // 2 - i, x + width // 2 - j
                    if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                        out[y, x] += image[row, column] * kernel[i, j]
    return out


def plain_haarpsi(one: np.ndarray, other: np.ndarray) -> float:
    """Return the published definition with plain sums."""
    images = [convolved(image, np.full((2, 2), 0.25))[::2, ::2] for image in (one, other)]
    above, below = 0.0, 0.0
    for turned in (False, True):
        coefficients = []
        for scale in (1, 2, 3):
            kernel = np.full((2**scale, 2**scale), 2.0**-scale)
            kernel[: 2**scale // 2] *= -1
            kernel = kernel.T if turned else kernel
            coefficients.append([np.abs(convolved(image, kernel)) for image in images])
        fine = [(2 * a * b + C) / (a**2 + b**2 + C) for a, b in coefficients[:2]]
        weight = np.maximum(*coefficients[2])
        above += (weight / (1 + np.exp(-ALPHA * (fine[0] + fine[1]) / 2))).sum()
        below += weight.sum()
    share = above / below
    return (np.log(share / (1 - share)) / ALPHA) ** 2


@pytest.mark.parametrize(
    ("subsample", "published"), [(True, 0.9109663706192161), (False, 0.9427843917428274)]
)
def test_haarpsi_is_that_of_the_authors_program(subsample, published):
    # their Python program of 2018-01-08, run on the same two images
    assert haarpsi(*waves(), subsample=subsample) == pytest.approx(published, abs=1e-12)


@pytest.mark.parametrize("shape", [(18, 13), (16, 16)])
def test_haarpsi_is_its_definition(rng, shape):
    one, other = noisy(rng, shape)
    assert haarpsi(one, other) == pytest.approx(plain_haarpsi(one, other), abs=1e-12)


def test_haarpsi_of_a_volume_counts_all_slices_as_one_image(rng):
    one, other = noisy(rng, (3, 40, 40))
    assert haarpsi(one[:1], other[:1]) == pytest.approx(haarpsi(one[0], other[0]), abs=1e-12)
    mask = np.zeros(one.shape, bool)
    mask[1] = True
    assert haarpsi(one, other, mask=mask) == pytest.approx(haarpsi(one[1], other[1]), abs=1e-12)


def test_haarpsi_at_its_ends(rng):
    one, other = noisy(rng)
    assert haarpsi(one, one) == pytest.approx(1.0, abs=1e-12)
    assert haarpsi(np.zeros((8, 8)), np.zeros((8, 8))) == 1.0
    assert np.isnan(haarpsi(one, other, mask=np.zeros(one.shape, bool)))
    far = np.clip(one + np.random.default_rng(1).normal(0, 80, one.shape), 0, 255)
    assert haarpsi(one, far) < haarpsi(one, other) < 1
    with pytest.raises(ShapeError):
        haarpsi(one, other[1:])


def test_ssim_is_that_of_scikit_image():
    # scikit-image 0.26.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    assert ssim(*waves()) == pytest.approx(0.957822613387, abs=1e-11)


def test_ssim_at_one_pixel_is_its_formula(rng):
    one, other = noisy(rng, (30, 30))
    at = np.arange(-5, 6)
    weights = np.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2))
    weights /= weights.sum()
    a, b = (image[10:21, 8:19] for image in (one, other))
    mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
    var_a, var_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
    both = (weights * (a - mean_a) * (b - mean_b)).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    expected /= (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    assert ssim_map(one, other)[15, 13] == pytest.approx(expected, abs=1e-12)


@pytest.fixture
def heart(rng) -> HeartTruth:
    from scipy.ndimage import gaussian_filter

    volume = gaussian_filter(rng.standard_normal((24, 48, 48)), 2.5)
    volume = ((volume - volume.min()) / np.ptp(volume)).astype(np.float32)
    mask = np.zeros(volume.shape, bool)
    mask[6:18, 12:36, 12:36] = True
    blood = mask & (volume > 0.6)
    line = np.array([[8.0, 20, 20], [16, 20, 20]])
    vessels = {"RCA": Vessel(line, np.ones(2))}
    return HeartTruth(volume, mask, blood, mask & ~blood, vessels, np.ones(3))


def test_scale_does_not_matter_and_faults_do(heart, rng):
    from scipy.ndimage import gaussian_filter

    same = similarity(heart.volume, heart)
    assert (same.haarpsi, same.ssim) == pytest.approx((1, 1), abs=1e-6)
    noise = rng.standard_normal(heart.volume.shape).astype(np.float32)
    found = [similarity(heart.volume + sd * noise, heart) for sd in (0.02, 0.05, 0.1, 0.2)]
    assert np.all(np.diff([one.haarpsi for one in found]) < 0)
    assert np.all(np.diff([one.ssim for one in found]) < 0)
    assert similarity(gaussian_filter(heart.volume, 2), heart).haarpsi < 0.9
    scaled = similarity(-7e4j * (heart.volume + 0.05 * noise), heart)
    assert (scaled.haarpsi, scaled.ssim) == pytest.approx((found[1].haarpsi, found[1].ssim), abs=1e-5)


def test_only_the_heart_counts(heart):
    changed = heart.volume.copy()
    changed[:, :, 44:] = 0
    changed[:3] = 0
    found = similarity(changed, heart)
    assert (found.haarpsi, found.ssim) == pytest.approx((1, 1), abs=1e-6)


def test_grey_values_follow_the_rule(heart):
    grey, expected = grey_values(3 * heart.volume, heart)
    bright = np.percentile(heart.volume[heart.heart], 99.5)
    np.testing.assert_allclose(expected, np.clip(255 * heart.volume / bright, 0, 255), rtol=1e-5)
    np.testing.assert_allclose(grey, expected, rtol=1e-5)


def test_images_that_show_nothing_are_refused(heart):
    with pytest.raises(QualityError):
        similarity(np.zeros_like(heart.volume), heart)
    with pytest.raises(ShapeError):
        similarity(heart.volume[1:], heart)
