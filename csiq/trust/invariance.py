"""What does not change an image's quality must not change its grade."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from csiq.io.tables import Cell
from csiq.quality.assessor import as_assessor

#: A grade may change by less than this.
LIMIT = 0.1
SCALES = (0.1, 10.0, 1000.0)
SHIFTS = (0.25, 0.5)
_AXES = "zyx"
_PLANES = {"zy": (0, 1), "zx": (0, 2), "yx": (1, 2)}

Voxels = tuple[float, float, float]


def changes() -> Iterator[tuple[str, Callable[[np.ndarray], np.ndarray], tuple[int, int, int]]]:
    """Yield name and function of each change, and how it orders the axes.

    Intensity scale; flips; 90-degree turns in both directions; shifts by 1/4 and 1/2 voxel. The voxel in the
    middle (``n // 2``) stays in the middle.
    """
    for factor in SCALES:
        yield f"scale x{factor:g}", partial(np.multiply, np.float32(factor)), (0, 1, 2)
    for axis in range(3):
        yield f"flip {_AXES[axis]}", partial(flipped, axis=axis), (0, 1, 2)
    for name, (a, b) in _PLANES.items():
        order = [0, 1, 2]
        order[a], order[b] = b, a
        for turns in (1, 3):
            there = (order[0], order[1], order[2])
            yield f"turn {name} {90 * turns}", partial(turned, plane=(a, b), turns=turns), there
    for axis in range(3):
        for way in SHIFTS:
            yield f"shift {_AXES[axis]} {way:g}", partial(shifted, way=way, axis=axis), (0, 1, 2)


def invariance_rows(grader: Any, name: str, volume: np.ndarray, voxel_size: Voxels) -> list[dict[str, Cell]]:
    """Grade an image before and after each of :func:`changes`.

    Parameters
    ----------
    grader : Assessor, torch.nn.Module or callable
    name : str
        Of the case.
    volume : float32 array, (z, y, x)
        Magnitude.
    voxel_size : (float, float, float)
        mm, z y x.

    Returns
    -------
    list of dict
        ``case change_of before after change passed``.
    """
    assessor = as_assessor(grader)
    before = float(assessor.grade(volume, voxel_size).grade)
    rows: list[dict[str, Cell]] = []
    for what, change, order in changes():
        size = (voxel_size[order[0]], voxel_size[order[1]], voxel_size[order[2]])
        after = float(assessor.grade(np.ascontiguousarray(change(volume)), size).grade)
        rows.append(
            {
                "case": name,
                "change_of": what,
                "before": before,
                "after": after,
                "change": after - before,
                "passed": int(abs(after - before) < LIMIT),
            }
        )
    return rows


def flipped(volume: np.ndarray, axis: int) -> np.ndarray:
    """Return a volume mirrored at its middle voxel, ``n // 2``.

    With an even number of voxels the first one has no partner on the other side, and stays.
    """
    found = np.flip(volume, axis)
    return np.roll(found, 1, axis) if volume.shape[axis] % 2 == 0 else found


def turned(volume: np.ndarray, plane: tuple[int, int], turns: int) -> np.ndarray:
    """Return a volume turned by 90 degrees a few times about its middle voxel, in the plane of two axes."""
    for _ in range(turns % 4):
        volume = flipped(np.swapaxes(volume, *plane), plane[0])
    return volume


def shifted(volume: np.ndarray, way: float, axis: int) -> np.ndarray:
    """Return a volume shifted by a part of a voxel, by a phase ramp; nothing is blurred.

    The magnitude of what comes out: at sharp borders of a magnitude image, values a little below zero.
    """
    n = volume.shape[axis]
    shape = [1, 1, 1]
    shape[axis] = n // 2 + 1
    ramp = np.exp(-2j * np.pi * way * np.fft.rfftfreq(n)).reshape(shape)
    moved = np.fft.irfft(np.fft.rfft(np.asarray(volume, np.float32), axis=axis) * ramp, n, axis=axis)
    return np.abs(moved).astype(np.float32)
