"""What an image looks like, in 89 numbers: brightness, coarse layout, and power over spatial frequency.

They answer whether a volume is like those a network was trained on (:mod:`csiq.quality.domain`), not how good
it is. Layout and spectra are taken for each orientation apart, so that swapped axes show; both are averaged
over mirror images, because a volume stored left to right is still the same heart.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np

from csiq.arrays import Array, to_host, xp_of
from csiq.quality.patches import ORIENTATIONS

_FLOOR = 1e-3
#: Edges of the rings of spatial frequency, cycles per voxel, and of the two whose directions are told apart.
RINGS = (0.01, 0.02, 0.035, 0.06, 0.09, 0.13, 0.18, 0.24, 0.32, 0.42, 0.5)
DIRECTED = ((0.02, 0.06), (0.09, 0.24))
#: Blocks of the layout along half an axis, both halves averaged.
_BLOCKS = 4
_BRIGHTNESS = (
    "log 10th percentile within 64 mm",
    "log median within 64 mm",
    "log 90th percentile within 64 mm",
    "log median beyond 64 mm",
    "log 90th percentile beyond 64 mm",
)
_RADIUS = 64
#: Every second voxel of a slice settles a percentile.
_STEP = 2


def _names() -> tuple[str, ...]:
    found = list(_BRIGHTNESS)
    for name in ORIENTATIONS:
        found += [f"{name} log power {a:g} to {b:g}" for a, b in pairwise(RINGS)]
        found += [f"{name} log power along rows over columns {a:g} to {b:g}" for a, b in DIRECTED]
        found += [f"{name} log mean of block {r}, {c}" for r in range(_BLOCKS) for c in range(_BLOCKS)]
    return tuple(found)


#: What the numbers are, in order. Blocks count from the edge of the slice to its middle.
DESCRIPTORS = _names()


def describe_slices(slices: Array) -> np.ndarray:
    """Return the descriptors of the slices of one volume.

    Parameters
    ----------
    slices : float32 array, (3, n_offsets, side, side)
        NumPy or CuPy, from :func:`csiq.quality.patches.volume_slices`; values that are not finite count as
        zero. The side is a multiple of 8.

    Returns
    -------
    float64 array, (89,)
        As named in :data:`DESCRIPTORS`, on the host.
    """
    xp = xp_of(slices)
    values = slices if bool(xp.isfinite(slices).all()) else xp.nan_to_num(slices, posinf=0.0, neginf=0.0)
    power, layout = _log_power(values), _layout(values)
    parts = [_brightness(values)]
    for orientation in range(len(ORIENTATIONS)):
        parts += [power[orientation], layout[orientation]]
    return np.concatenate(parts)


def _brightness(values: Array) -> np.ndarray:
    xp = xp_of(values)
    few = values[..., ::_STEP, ::_STEP].reshape(-1, *[-(-n // _STEP) for n in values.shape[-2:]])
    at = (xp.arange(few.shape[-1]) * _STEP - values.shape[-1] // 2) ** 2
    near = at[:, None] + at <= _RADIUS**2
    inner = xp.percentile(few[:, near], xp.asarray([10.0, 50.0, 90.0]))
    outer = xp.percentile(few[:, ~near], xp.asarray([50.0, 90.0]))
    return np.log(np.maximum(to_host(xp.concatenate([inner, outer])), 0) + _FLOOR)


def _layout(values: Array) -> np.ndarray:
    """Return the log means of blocks, mirror images averaged, (3, 16)."""
    xp = xp_of(values)
    both, side = 2 * _BLOCKS, values.shape[-1]
    blocks = values.reshape(3, -1, both, side // both, both, side // both).mean(axis=(1, 3, 5))
    blocks = (blocks + blocks[:, ::-1])[:, :_BLOCKS]
    blocks = (blocks + blocks[:, :, ::-1])[:, :, :_BLOCKS] / 4
    # a fiftieth of the brightness of blood: below it there is nothing but noise
    return np.asarray(to_host(xp.log(xp.maximum(blocks, 0) + 0.02)), dtype=np.float64).reshape(3, -1)


def _log_power(values: Array) -> np.ndarray:
    """Return the log mean power in each ring, and along rows over along columns, (3, 12)."""
    xp = xp_of(values)
    side = values.shape[-1]
    window, members = _window(side), _members(side)
    spectra = xp.fft.rfft2(values * xp.asarray(window)) if xp is not np else _rfft2(values * window)
    power = (spectra.real**2 + spectra.imag**2).mean(axis=1).reshape(3, -1)
    mean = to_host(power @ xp.asarray(members)).astype(np.float64) / float((window**2).sum())
    rings, ways = mean[:, : len(RINGS) - 1], mean[:, len(RINGS) - 1 :].reshape(3, -1, 2)
    floor = 1e-9
    return np.concatenate(
        [np.log(rings + floor), np.log(ways[..., 0] + floor) - np.log(ways[..., 1] + floor)], axis=1
    )


def _rfft2(values: np.ndarray) -> np.ndarray:
    import scipy.fft

    # NumPy's would be in double precision
    return np.asarray(scipy.fft.rfft2(values, overwrite_x=True))


@lru_cache(maxsize=4)
def _window(side: int) -> np.ndarray:
    line = np.hanning(side + 2)[1:-1].astype(np.float32)
    return line[:, None] * line


@lru_cache(maxsize=4)
def _members(side: int) -> np.ndarray:
    """Return weights, a column each, that average a half spectrum over rings and the two ways of some."""
    row, column = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    radius = np.hypot(row, column)
    # the half that is not computed is the mirror image of the other
    counted = np.where(column > 0, 2.0, 1.0) * np.ones_like(radius)
    chosen = [(radius >= a) & (radius < b) for a, b in pairwise(RINGS)]
    for a, b in DIRECTED:
        ring, along = (radius >= a) & (radius < b), np.abs(column) > np.abs(row)
        chosen += [ring & along, ring & ~along]
    weights = np.stack([(ring * counted / (ring * counted).sum()).ravel() for ring in chosen], axis=1)
    return weights.astype(np.float32)
