"""The truth of a cohort's image where the image has it, without simulating the scan again.

Patient, coils and the diaphragm's mean displacement are known of every graded image; where self-navigation
has left the heart is not. It is found by correlating the truth's heart with the image, to fractions of a
voxel.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from csiq.errors import ShapeError
from csiq.quality.features import HeartTruth
from csiq.simulate.anatomy.patient import Patient
from csiq.simulate.anatomy.shapes import Grid
from csiq.simulate.anatomy.truth import heart_truth
from csiq.simulate.motion import MotionState
from csiq.trust.image_quality import coil_shading

#: How far the heart is looked for, mm.
FARTHEST = 12.0
_ROUNDS = 2


def placed_truth(
    volume: np.ndarray, voxel_size: tuple[float, float, float], seed: int, displacement: float
) -> HeartTruth:
    """Return the truth of an image of a cohort's patient.

    Parameters
    ----------
    volume : real array, (z, y, x)
        Magnitude, the heart within 12 mm of where breathing alone would put it.
    voxel_size : (float, float, float)
        mm.
    seed : int
        Of the patient, as ``patients.tsv`` has it.
    displacement : float
        Of the diaphragm, mm, mean over the image's spokes: ``displacement_mm`` of the volume's record.

    Raises
    ------
    ShapeError
        If the image is no volume.
    """
    if volume.ndim != 3:
        raise ShapeError(f"expected a volume, got {volume.shape}")
    patient, state, moved = Patient.from_seed(seed), MotionState(displacement), np.zeros(3)
    shading = coil_shading(seed, _grid(volume, voxel_size, moved))
    truth = heart_truth(patient, _grid(volume, voxel_size, moved), state, shading)
    for _ in range(_ROUNDS):
        moved = moved + heart_shift(volume, truth)
        truth = heart_truth(patient, _grid(volume, voxel_size, moved), state, shading)
    return truth


def heart_shift(volume: np.ndarray, truth: HeartTruth) -> np.ndarray:
    """Return how far an image has the heart from where a truth has it, mm z y x.

    The largest correlation of the truth's heart, less its mean, with the image, over shifts by voxels; then
    the top of a parabola along each axis.
    """
    box = _box(truth)
    shown = np.asarray(volume[box], dtype=np.float32)
    heart = truth.heart[box]
    pattern = np.where(heart, truth.volume[box] - truth.volume[truth.heart].mean(), 0).astype(np.float32)
    spectrum = fft.rfftn(shown) * np.conj(fft.rfftn(pattern))
    match = fft.fftshift(fft.irfftn(spectrum, s=shown.shape))
    middle = np.array(match.shape) // 2
    reach = np.maximum(np.floor(FARTHEST / truth.voxel_size).astype(int), 1)
    near = match[tuple(slice(int(m - r), int(m + r) + 1) for m, r in zip(middle, reach, strict=True))]
    top = np.array(np.unravel_index(np.argmax(near), near.shape))
    finer = [_top_of_parabola(near, top, axis) for axis in range(3)]
    return np.asarray((top - reach + np.array(finer)) * truth.voxel_size)


def _top_of_parabola(values: np.ndarray, at: np.ndarray, axis: int) -> float:
    """Return where a parabola through three values has its top, as a part of a step."""
    if not 0 < at[axis] < values.shape[axis] - 1:
        return 0.0
    step = np.eye(3, dtype=int)[axis]
    before, here, after = (float(values[tuple(at + turn * step)]) for turn in (-1, 0, 1))
    bend = before - 2 * here + after
    return (before - after) / (2 * bend) if bend < 0 else 0.0


def _box(truth: HeartTruth) -> tuple[slice, ...]:
    """Return the box of the heart with room for it to be moved."""
    margin = np.ceil(FARTHEST / truth.voxel_size).astype(int) + 1
    spans = []
    for axis, more in enumerate(margin):
        there = np.flatnonzero(truth.heart.any(axis=tuple(a for a in range(3) if a != axis)))
        spans.append(slice(max(int(there[0]) - int(more), 0), int(there[-1]) + int(more) + 1))
    return tuple(spans)


def _grid(volume: np.ndarray, voxel_size: tuple[float, float, float], moved: np.ndarray) -> Grid:
    """Return the grid of an image in a patient whose heart has moved by ``moved`` mm in it."""
    n_z, n_y, n_x = volume.shape
    z, y, x = -moved
    return Grid((n_z, n_y, n_x), voxel_size, (float(z), float(y), float(x)))
