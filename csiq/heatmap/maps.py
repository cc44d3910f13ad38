"""The heat map of a volume: what was asked for, the maps of each slice, and both as volumes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from csiq.errors import ConfigError, nearest
from csiq.heatmap.masks import Mask
from csiq.quality.patches import ORIENTATIONS, SIDE

#: What the mask shows: zeros, as in the paper, or the slice itself, blurred.
FILLS = ("zero", "blur")
#: How heat maps may be normalised.
NORMALISATIONS = ("slice", "volume")
#: An outer slice of 1 mm reaches half a voxel beyond its centre.
_HALF = 0.5


@dataclass(frozen=True)
class Occlusion:
    """What is hidden, and in which slices.

    Attributes
    ----------
    mask : Mask
    axes : tuple of str
        Orientations of the slices, of ``axial``, ``coronal``, ``sagittal``: across array axis z, y, x.
    offsets : tuple of float, optional
        Where the slices lie, mm from the volume's centre, rising; every millimetre of the volume if None.
    fill : str
        ``zero``, the paper's; or ``blur``, ours: the slice itself, convolved with a Gaussian of 2 mm (SD).
        That hides sharpness and nothing else, while a black square adds edges of its own.
    normalise : str
        ``slice`` or ``volume``; see :func:`csiq.heatmap.masks.normalised`.
    """

    mask: Mask = field(default_factory=Mask)
    axes: tuple[str, ...] = ("axial",)
    offsets: tuple[float, ...] | None = None
    fill: str = "zero"
    normalise: str = "slice"

    def __post_init__(self) -> None:
        for name in self.axes:
            if name not in ORIENTATIONS:
                raise ConfigError(
                    f"no orientation '{name}'", field="--axis", hint=nearest(name, ORIENTATIONS)
                )
        if not self.axes or len(set(self.axes)) < len(self.axes):
            raise ConfigError("expected each orientation once", field="--axis")
        if self.fill not in FILLS:
            raise ConfigError(f"unknown '{self.fill}'", field="--fill", hint=nearest(self.fill, FILLS))
        if self.normalise not in NORMALISATIONS:
            hint = nearest(self.normalise, NORMALISATIONS)
            raise ConfigError(f"unknown '{self.normalise}'", field="--normalise", hint=hint)
        if self.offsets is not None and (not self.offsets or np.any(np.diff(self.offsets) <= 0)):
            raise ConfigError("expected rising offsets", field="offsets")

    @property
    def places(self) -> tuple[float, ...]:
        """Where the slices lie, mm from the centre."""
        if self.offsets is not None:
            return self.offsets
        return tuple(float(x) for x in range(-(SIDE // 2), SIDE - SIDE // 2))


@dataclass(frozen=True)
class Stack:
    """The maps of all slices of one orientation.

    Attributes
    ----------
    axis : str
    offsets : float64 array, (n,)
        mm from the centre of the volume.
    baseline : float64 array, (n,)
        Grades of the slices with nothing hidden, each the mean over its patches.
    average : float64 array, (n, height, width)
        The paper's map before it is normalised: mean grade over the masks that do not hide the pixel.
    heat : float32 array, (n, height, width)
        The same, normalised.
    relevance : float32 array, (n, height, width)
        Ours: baseline minus the mean grade over the masks that hide the pixel.
    """

    axis: str
    offsets: np.ndarray
    baseline: np.ndarray
    average: np.ndarray
    heat: np.ndarray
    relevance: np.ndarray


@dataclass(frozen=True)
class HeatMap:
    """Heat maps of one volume on voxels of 1 mm about its centre.

    Attributes
    ----------
    stacks : tuple of Stack
        One an orientation.
    occlusion : Occlusion
    window : slice
        Rows and columns of the slices that the network sees, of the 208 of 1 mm.
    warnings : tuple of str
        What is odd about the volume.
    """

    stacks: tuple[Stack, ...]
    occlusion: Occlusion
    window: slice
    warnings: tuple[str, ...] = ()

    @property
    def heat(self) -> np.ndarray:
        """The paper's heat map, mean over the orientations; float32 (z, y, x) of 1 mm, 0 to 1.

        The centre of the volume is voxel ``n // 2``. Interpolated between slices, 0 beyond the outer ones.
        """
        return _joined([self._filled(s, s.heat) for s in self.stacks])

    @property
    def relevance(self) -> np.ndarray:
        """Our signed map, mean over the orientations; float32 (z, y, x) of 1 mm, in grades."""
        return _joined([self._filled(s, s.relevance) for s in self.stacks])

    def _filled(self, stack: Stack, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the maps of a stack in every voxel of 1 mm, and which slices along its axis have one."""
        weights = linear_weights(stack.offsets, np.arange(SIDE) - float(SIDE // 2))
        filled = np.zeros((SIDE, SIDE, SIDE), np.float32)
        filled[:, self.window, self.window] = np.tensordot(weights, maps, axes=1)
        axis = ORIENTATIONS.index(stack.axis)
        known = np.expand_dims(weights.any(axis=1), [a for a in range(3) if a != axis])
        return np.moveaxis(filled, 0, axis), known

    def on_grid(
        self, values: np.ndarray, shape: tuple[int, int, int], voxel_size: tuple[float, float, float]
    ) -> np.ndarray:
        """Return a map of 1 mm voxels on those of the volume, linearly interpolated, 0 where there is none.

        Parameters
        ----------
        values : float32 array, (z, y, x)
            :attr:`heat` or :attr:`relevance`.
        shape : (int, int, int)
        voxel_size : (float, float, float)
            mm, z y x.
        """
        for axis, (n, size) in enumerate(zip(shape, voxel_size, strict=True)):
            side = values.shape[axis]
            wanted = (np.arange(n) - n // 2) * size
            weights = linear_weights(np.arange(side) - float(side // 2), wanted)
            values = np.moveaxis(np.tensordot(weights, values, axes=(1, axis)), 0, axis)
        return np.ascontiguousarray(values)


def linear_weights(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the weights that interpolate linearly along an axis; rows beyond the outer samples are zero.

    Parameters
    ----------
    known : float array, (n,)
        Rising positions of the samples.
    wanted : float array, (m,)

    Returns
    -------
    float32 array, (m, n)
    """
    inside = (wanted >= known[0] - _HALF) & (wanted <= known[-1] + _HALF)
    weights = np.stack([np.interp(wanted, known, unit) for unit in np.eye(len(known))], axis=1)
    return (weights * inside[:, None]).astype(np.float32)


def _joined(maps: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the mean over the orientations that have a map there, 0 where none has."""
    total = sum(values * known for values, known in maps)
    count = sum(known.astype(np.float32) for _, known in maps)
    return np.asarray(total / np.maximum(count, 1), dtype=np.float32)
