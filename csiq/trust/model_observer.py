"""A channelised Hotelling observer, which tells images with a signal from those without.

The observer sees an image through a few channels, ``v = U' g``, and weighs them by Hotelling's template

    w = S^-1 (mean of v with the signal - mean of v without),   S = mean of both covariances

estimated from training images; its rating of another image is ``w' v``. Channels are Laguerre-Gauss functions
across the vessel and a Gaussian along it,

    u_p(r, z) = (sqrt 2 / a) exp(-pi r^2 / a^2) L_p(2 pi r^2 / a^2) exp(-z^2 / (2 d^2))

AUC is the share of pairs of images, one with and one without, that ratings order rightly. Where templates and
images are Gaussian, it is Phi(d' / sqrt 2).

References
----------
Abbey CK, Barrett HH. Human- and model-observer performance in ramp-spectrum noise: effects of regularization
and object variability. J Opt Soc Am A 2001;18:473-488. Barrett HH, Yao J, Rolland JP, Myers KJ. Model
observers for assessment of image quality. Proc Natl Acad Sci USA 1993;90:9758-9765.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.agreement.columns import midranks
from csiq.errors import ShapeError

#: How often ratings are resampled, and what share of the resampled AUCs an interval holds.
N_RESAMPLES, LEVEL = 500, 0.90


@dataclass(frozen=True)
class Detection:
    """How well a signal is detected.

    Attributes
    ----------
    auc : float
        Area under the ROC curve, of images the template was not trained on.
    low, high : float
        Bootstrap interval over these images, 90 %.
    detectability : float
        d' of the same ratings: difference of means over the root of the mean variance. It goes on where AUC
        is 1.
    """

    auc: float
    low: float
    high: float
    detectability: float


def laguerre_gauss(
    across: np.ndarray, along: np.ndarray, *, width: float, depth: float, n: int
) -> np.ndarray:
    """Return Laguerre-Gauss channels.

    Parameters
    ----------
    across, along : float arrays, (n_voxels,)
        Distance from the axis and along it, mm.
    width : float
        ``a``, mm: of the widest lobe.
    depth : float
        SD along the axis, mm; infinite for channels of one slice.
    n : int
        Channels, of order 0 to n - 1.

    Returns
    -------
    float64 array, (n_voxels, n)
        Each of unit length.
    """
    argument = 2 * np.pi * (across / width) ** 2
    polynomials = [np.ones_like(argument), 1 - argument]
    for p in range(1, n - 1):
        following = (2 * p + 1 - argument) * polynomials[p] - p * polynomials[p - 1]
        polynomials.append(following / (p + 1))
    envelope = np.exp(-argument / 2 - along**2 / (2 * depth**2))
    channels = envelope[:, None] * np.stack(polynomials[:n], axis=1)
    return np.asarray(channels / np.linalg.norm(channels, axis=0))


def detect(
    present: np.ndarray, absent: np.ndarray, *, internal_noise: float = 0.0, seed: int = 0
) -> Detection:
    """Train an observer on the first half of images and have it rate the second.

    Parameters
    ----------
    present, absent : float arrays, (n_images, n_channels)
        What channels give of images with and without the signal.
    internal_noise : float
        SD of the observer's own noise over that of its ratings. People reach a share of
        ``1 / (1 + internal_noise^2)`` of a noiseless observer's d'^2: their efficiency.
    seed : int
        Of internal noise and bootstrap.

    Raises
    ------
    ShapeError
        If there are fewer than twice as many images as channels, or shapes do not fit.
    """
    if present.ndim != 2 or present.shape[1:] != absent.shape[1:]:
        raise ShapeError(f"channels of {present.shape} and {absent.shape} do not fit together")
    half, n_channels = min(len(present), len(absent)) // 2, present.shape[1]
    if half < 2 * n_channels:
        raise ShapeError(f"{half} images to train {n_channels} channels on", hint="at least twice as many")
    template = hotelling(present[:half], absent[:half])
    rng = np.random.default_rng(seed)
    with_it, without = present[half:] @ template, absent[half:] @ template
    if internal_noise:
        spread = internal_noise * np.sqrt((with_it.var() + without.var()) / 2)
        with_it, without = (r + spread * rng.standard_normal(len(r)) for r in (with_it, without))
    low, high = _interval(with_it, without, rng)
    noise = np.sqrt((with_it.var(ddof=1) + without.var(ddof=1)) / 2)
    apart = float((with_it.mean() - without.mean()) / noise) if noise > 0 else float("nan")
    return Detection(area_under_roc(with_it, without), low, high, apart)


def hotelling(present: np.ndarray, absent: np.ndarray) -> np.ndarray:
    """Return Hotelling's template of channel outputs (n_images, n_channels), float64 (n_channels,)."""
    spread = (np.cov(present, rowvar=False) + np.cov(absent, rowvar=False)) / 2
    return np.linalg.solve(np.atleast_2d(spread), present.mean(axis=0) - absent.mean(axis=0))


def area_under_roc(present: np.ndarray, absent: np.ndarray) -> float:
    """Return the share of pairs of ratings that are in order, equal ones as half (Mann and Whitney)."""
    n, m = len(present), len(absent)
    ranks = midranks(np.concatenate([present, absent]))
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def _interval(present: np.ndarray, absent: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Return the bootstrap interval of the AUC, images with and without the signal drawn apart."""
    wins = (present[:, None] > absent) + 0.5 * (present[:, None] == absent)
    n, m = wins.shape
    one = rng.multinomial(n, np.full(n, 1 / n), N_RESAMPLES) / n
    other = rng.multinomial(m, np.full(m, 1 / m), N_RESAMPLES) / m
    areas = ((one @ wins) * other).sum(axis=1)
    low, high = np.quantile(areas, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
