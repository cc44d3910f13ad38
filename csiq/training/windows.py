"""Windows cut at random from mapped volumes: what a network sees in training.

The network is fully convolutional: a window of 160 x 160 holds 3 x 3 patches of 128 x 128, 16 apart, and
costs little more than one. Windows lie anywhere with all their patch centres in the cube of half edge hp4.
The centre of the cube is then covered by more windows than its border; :func:`place_weights` evens that out,
so that every centre of the cube counts the same.

Every random choice follows from (seed, iteration).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from csiq.quality.network import PATCH, STRIDE
from csiq.quality.patches import interpolation_matrix
from csiq.training.loss import class_weights, classes_of
from csiq.training.mapped_volume import MappedVolume
from csiq.training.settings import TrainConfig

#: Streams of random numbers of a training, so that none follows from another.
_ORDER, _WINDOWS = 1, 2


@dataclass(frozen=True)
class Batch:
    """What one step is taken on.

    Attributes
    ----------
    windows : float32 array, (batch, window, window)
    grades : float32 array, (batch,)
    weights : float32 array, (batch, n, n)
        Of each patch in the loss.
    volume_weights : float32 array, (batch,)
        Of each volume: those of its patches without what evens out their places.
    """

    windows: np.ndarray
    grades: np.ndarray
    weights: np.ndarray
    volume_weights: np.ndarray


@dataclass(frozen=True)
class Place:
    """Where a window lies.

    Attributes
    ----------
    orientation : int
        Axis across it: 0 axial, 1 coronal, 2 sagittal.
    across : int
        Voxel of 1 mm from the centre of the volume along that axis.
    row, column : int
        Of the centre of its first patch, likewise.
    """

    orientation: int
    across: int
    row: int
    column: int


class Drawing:
    """Draws the batches of a training.

    Parameters
    ----------
    volumes : sequence of MappedVolume
    grades : sequence of float
    scales : sequence of float
        What each volume is divided by.
    config : TrainConfig
    """

    def __init__(
        self, volumes: list[MappedVolume], grades: list[float], scales: list[float], config: TrainConfig
    ) -> None:
        self._volumes, self._grades, self._scales = volumes, np.array(grades, np.float32), scales
        self.config = config
        balanced = config.balance == "draw"
        self._weights = np.ones(len(grades)) if balanced else class_weights(grades)
        classes = classes_of(grades)
        self._members = [np.flatnonzero(classes == one) for one in np.unique(classes)]

    def chosen(self, iteration: int) -> np.ndarray:
        """Return which volume each window of a step is of; those of one volume follow each other.

        With ``weights``, all volumes in a random order, then in another one, and so on: batches go on where
        the one before ended. With ``draw``, grades evenly, then volumes evenly.
        """
        config, n = self.config, len(self._volumes)
        count = config.batch // config.windows
        if config.balance == "draw":
            rng = np.random.default_rng((config.seed, _ORDER, iteration))
            drawn = rng.integers(len(self._members), size=count)
            return np.repeat([rng.choice(self._members[one]) for one in drawn], config.windows)
        first = iteration * count
        rounds = range(first // n, (first + count - 1) // n + 1)
        orders = [np.random.default_rng((config.seed, _ORDER, turn)).permutation(n) for turn in rounds]
        start = first - rounds[0] * n
        return np.repeat(np.concatenate(orders)[start : start + count], config.windows)

    def batch(self, iteration: int) -> Batch:
        """Return the windows, grades and weights of one step."""
        config = self.config
        rng = np.random.default_rng((config.seed, _WINDOWS, iteration))
        chosen = self.chosen(iteration)
        windows = np.empty((len(chosen), config.window, config.window), np.float32)
        weights = np.empty((len(chosen), config.patches_a_side, config.patches_a_side), np.float32)
        along = place_weights(config.half_edge, config.patches_a_side)
        for slot, which in enumerate(chosen):
            place = draw_place(rng, config.half_edge, config.patches_a_side)
            window = cut_window(self._volumes[which], place, config.window)
            window /= np.float32(self._scales[which])
            row, column = (along[start + config.half_edge] for start in (place.row, place.column))
            turn = int(rng.integers(4)), bool(rng.integers(2))
            windows[slot] = turned(window, *turn) * np.float32(
                rng.uniform(1 - config.intensity, 1 + config.intensity)
            )
            weights[slot] = turned(np.outer(row, column), *turn) * self._weights[which]
        return Batch(windows, self._grades[chosen], weights, self._weights[chosen].astype(np.float32))


def draw_place(rng: np.random.Generator, half_edge: int, n_patches: int) -> Place:
    """Return a random place: any orientation, all patch centres within the cube."""
    last = half_edge - STRIDE * (n_patches - 1)
    row, column = (int(start) for start in rng.integers(-half_edge, last + 1, size=2))
    return Place(int(rng.integers(3)), int(rng.integers(-half_edge, half_edge + 1)), row, column)


def place_weights(half_edge: int, n_patches: int) -> np.ndarray:
    """Return the weights of a window's patches along one side, for each place of its first patch.

    A centre that k of the windows cover weighs 1/k, times a constant that makes the mean over all 1: drawn
    evenly, windows then see every centre of the cube with the same weight.

    Returns
    -------
    float64 array, (n_places, n_patches)
        Row 0 is the window that begins at ``-half_edge``.
    """
    centres = np.arange(-half_edge, half_edge + 1)
    starts = np.arange(-half_edge, half_edge - STRIDE * (n_patches - 1) + 1)
    seen = starts[:, None] + STRIDE * np.arange(n_patches)
    cover = np.bincount((seen + half_edge).ravel(), minlength=len(centres))
    # centres no window can reach exist only where windows are wider than the cube, which TrainConfig refuses
    weights = 1.0 / cover[seen + half_edge]
    return weights / weights.mean()


def turned(window: np.ndarray, quarters: int, flip: bool) -> np.ndarray:
    """Return a window after quarter turns and, perhaps, a flip."""
    window = np.rot90(window, quarters)
    return window[:, ::-1] if flip else window


def cut_window(volume: MappedVolume, place: Place, side: int) -> np.ndarray:
    """Read a window of 1 mm voxels from a volume on disk.

    Parameters
    ----------
    volume : MappedVolume
    place : Place
    side : int

    Returns
    -------
    float32 array, (side, side)
        Magnitude; zero outside the volume.
    """
    rows = place.row - PATCH // 2 + np.arange(side)
    columns = place.column - PATCH // 2 + np.arange(side)
    wanted: list[np.ndarray] = [rows, columns]
    wanted.insert(place.orientation, np.array([place.across]))
    sizes = volume.voxel_size
    if max(abs(size - 1) for size in sizes) < 1e-4:
        return _plain_window(volume, wanted).reshape(side, side)
    lines = zip(volume.shape, sizes, wanted, strict=True)
    matrices = [_interpolation(n, size, int(where[0]), len(where)) for n, size, where in lines]
    spans = [_span(matrix) for matrix in matrices]
    block = np.abs(volume[tuple(spans)])
    for axis, (matrix, span) in enumerate(zip(matrices, spans, strict=True)):
        block = np.moveaxis(np.tensordot(matrix[:, span], block, axes=(1, axis)), 0, axis)
    return block.reshape(side, side)


@lru_cache(maxsize=1024)
def _interpolation(n: int, voxel_size: float, first: int, count: int) -> np.ndarray:
    """Return the matrix of a line; there are as many as sizes of voxels times places of windows."""
    return interpolation_matrix(n, voxel_size, np.arange(first, first + count))


def _plain_window(volume: MappedVolume, wanted: list[np.ndarray]) -> np.ndarray:
    """Read a window of a volume whose voxels are 1 mm: nothing is interpolated."""
    found = np.zeros([len(where) for where in wanted], np.float32)
    inside, here = [], []
    for n, where in zip(volume.shape, wanted, strict=True):
        first = int(where[0]) + n // 2
        low, high = max(first, 0), min(first + len(where), n)
        inside.append(slice(low, max(high, low)))
        here.append(slice(low - first, max(high, low) - first))
    found[tuple(here)] = np.abs(volume[tuple(inside)])
    return found


def _span(matrix: np.ndarray) -> slice:
    """Return the samples that have any weight."""
    used = np.flatnonzero(matrix.any(axis=0))
    return slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 1)
