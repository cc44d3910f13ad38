"""What an image shows in the heart that the truth does not: noise and streaks, without its blur.

The image is fitted, within the heart, by the truth as it would look under blur: the truth itself, copies of
it widened by Gaussians and moved along z by up to 13 mm, derivatives for what is left of a shift, a slow
shading and a constant. What the fit does not explain is noise or streaks; blur, motion and misplacement are
judged at the edges of vessels instead.

Blocks of 6 mm split it into what changes from voxel to voxel (noise) and what changes from block to block
(streaks, ghosts): the two components of variance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import fft

#: Edge of the blocks, mm.
BLOCK = 6.0
# standard deviations of Gaussians, and for each the ways along z (either way), mm
_BLURS = {0.8: (1.5, 3.0, 4.5), 1.6: (7.0, 10.0, 13.0), 3.2: ()}
_DERIVED = 0.8
_RIDGE = 1e-6


@dataclass(frozen=True)
class Residual:
    """What is in the image and not in the truth.

    Attributes
    ----------
    volume : float32 array, (z, y, x)
        In the image's units; zero outside the heart.
    fine, coarse : float
        SD from voxel to voxel, and from block to block, in the image's units.
    """

    volume: np.ndarray
    fine: float
    coarse: float


def residual(
    image: np.ndarray, truth: np.ndarray, heart: np.ndarray, voxel_size: np.ndarray, shift: np.ndarray
) -> Residual:
    """Hold an image against the truth under blur.

    Parameters
    ----------
    image, truth : float32 array, (z, y, x)
        Magnitudes.
    heart : bool array, (z, y, x)
    voxel_size : float64 array, (3,)
        mm.
    shift : float64 array, (3,)
        How far the image's vessels lie from the truth's, mm.
    """
    columns = [basis[heart] for basis in _under_blur(truth, voxel_size, shift)]
    still = truth[heart]
    columns += [still * place for place in _places(heart)]
    columns.append(np.ones(len(still), np.float32))
    matrix = np.stack(columns)
    matrix /= np.sqrt(np.mean(matrix**2, axis=1, keepdims=True)) + np.float32(1e-12)
    found = image[heart]
    # a float32 product of 10^6 terms is exact to 1e-4 of what matters; the small system is solved in double
    gram = (matrix @ matrix.T).astype(np.float64) / len(found)
    aim = (matrix @ found).astype(np.float64) / len(found)
    weights = np.linalg.solve(gram + _RIDGE * np.eye(len(gram)), aim)
    volume = np.zeros(image.shape, np.float32)
    volume[heart] = found - weights.astype(np.float32) @ matrix
    return Residual(volume, *_components(volume, heart, voxel_size))


def _under_blur(truth: np.ndarray, voxel_size: np.ndarray, shift: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the shifted truth: as it is, wider, moved along z, its derivatives."""
    shape = [fft.next_fast_len(n, real=True) for n in truth.shape]
    full = [fft.fftfreq(n, d) for n, d in zip(shape, voxel_size, strict=True)]
    kz, ky, kx = np.ix_(full[0], full[1], fft.rfftfreq(shape[2], voxel_size[2]))
    ramp = [
        np.exp(-2j * np.pi * k * s).astype(np.complex64) for k, s in zip((kz, ky, kx), shift, strict=True)
    ]
    spectrum = fft.rfftn(truth, shape) * ramp[0] * ramp[1] * ramp[2]

    def back(filtered: np.ndarray) -> np.ndarray:
        return np.asarray(fft.irfftn(filtered, shape)[tuple(slice(n) for n in truth.shape)])

    yield back(spectrum)
    for width, ways in _BLURS.items():
        gauss = [np.exp(-2 * (np.pi * k * width) ** 2).astype(np.float32) for k in (kz, ky, kx)]
        blur = spectrum * gauss[0] * gauss[1] * gauss[2]
        yield back(blur)
        for way in (sign * w for w in ways for sign in (1, -1)):
            yield back(blur * np.exp(-2j * np.pi * kz * way).astype(np.complex64))
        if width == _DERIVED:
            for k in (kz, ky, kx):
                yield back(blur * (2j * np.pi * k).astype(np.complex64))


def _places(heart: np.ndarray) -> list[np.ndarray]:
    """Return z, y and x of the heart's voxels, -1 to 1 across the volume."""
    inside = np.nonzero(heart)
    return [(2 * i / n - 1).astype(np.float32) for i, n in zip(inside, heart.shape, strict=True)]


def _components(volume: np.ndarray, heart: np.ndarray, voxel_size: np.ndarray) -> tuple[float, float]:
    """Return the SD within blocks and that between them; blocks count that lie in the heart by half."""
    edge = [max(2, round(BLOCK / size)) for size in voxel_size]
    cut = tuple(slice(n // e * e) for n, e in zip(volume.shape, edge, strict=True))
    shape = [part for n, e in zip(volume.shape, edge, strict=True) for part in (n // e, e)]

    def sums(values: np.ndarray) -> np.ndarray:
        return np.asarray(values[cut].reshape(shape).sum(axis=(1, 3, 5), dtype=np.float64))

    count, total, power = sums(heart), sums(volume), sums(volume**2)
    kept = count >= 0.5 * np.prod(edge)
    if not kept.any():
        kept = count >= min(2.0, count.max())
    n, mean = count[kept], total[kept] / count[kept]
    within = np.sum(power[kept] - n * mean**2) / max(np.sum(n - 1), 1)
    between = np.sum(n * mean**2) / np.sum(n) - within * len(n) / np.sum(n)
    return float(np.sqrt(max(within, 0.0))), float(np.sqrt(max(between, 0.0)))
