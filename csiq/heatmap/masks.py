"""Where the mask goes in a slice, and what its grades say of each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csiq.errors import ConfigError

#: A range of average grades that is rounding: grades are good to 1e-7, a pixel's share is a few in 1000.
_FLAT = 1e-9


@dataclass(frozen=True)
class Mask:
    """The sliding mask: a square that is set to zero.

    The paper states neither number. Eight voxels hold a coronary artery with its edges, and are wide enough
    that hiding one shows in the grade; at half its side as stride each pixel is hidden four times.

    Attributes
    ----------
    side : int
        Voxels of 1 mm.
    stride : int
        From one position to the next, voxels; at most the side, so that no pixel is skipped.
    """

    side: int = 8
    stride: int = 4

    def __post_init__(self) -> None:
        if self.side < 1:
            raise ConfigError(f"a mask of {self.side} voxels hides nothing", field="--mask")
        if not 1 <= self.stride <= self.side:
            raise ConfigError(
                f"{self.stride} is not between 1 and the mask's {self.side} voxels",
                field="--stride",
                hint="a larger stride leaves pixels out",
            )

    def starts(self, length: int) -> list[int]:
        """Return the first voxels of the valid positions along an axis: all within the slice.

        The last one ends with the slice, even if the stride does not divide the way: no edge is left out.

        Raises
        ------
        ConfigError
            If the mask would hide the whole axis, and no pixel be left to add a grade to.
        """
        if self.side >= length:
            raise ConfigError(f"{self.side} voxels hide a slice of {length}", field="--mask")
        last = length - self.side
        found = list(range(0, last + 1, self.stride))
        return found if found[-1] == last else [*found, last]

    def positions(self, shape: tuple[int, int]) -> list[tuple[slice, slice]]:
        """Return all positions in a slice, rows and columns that are hidden, row by row."""
        rows, columns = (
            [slice(start, start + self.side) for start in self.starts(length)] for length in shape
        )
        return [(row, column) for row in rows for column in columns]


def times_hidden(mask: Mask, shape: tuple[int, int]) -> np.ndarray:
    """Return how often each pixel is hidden, int64 of the slice's shape."""
    rows, columns = (_hidden_along(mask, length) for length in shape)
    return rows[:, None] * columns


def _hidden_along(mask: Mask, length: int) -> np.ndarray:
    hidden = np.zeros(length, np.int64)
    for start in mask.starts(length):
        hidden[start : start + mask.side] += 1
    return hidden


def maps_of(
    mask: Mask, shape: tuple[int, int], baseline: np.ndarray, grades: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the grades of masked slices say of each of their pixels.

    Parameters
    ----------
    mask : Mask
    shape : (int, int)
        Of a slice.
    baseline : float64 array, (n,)
        Grades of the slices with nothing hidden.
    grades : float64 array, (n_positions, n)
        Grades with the mask at :meth:`Mask.positions`.

    Returns
    -------
    average : float64 array, (n, height, width)
        The paper's: mean over the masks that do *not* hide the pixel. Each grade is added to all pixels but
        the hidden ones: that is the sum over all positions less the sum over those that hide the pixel.
    relevance : float64 array, (n, height, width)
        Ours: the baseline minus the mean over the masks that *do* hide the pixel. Positive where hiding
        lowers the grade.
    """
    hidden_sum = np.zeros((len(baseline), *shape))
    for (rows, columns), found in zip(mask.positions(shape), grades, strict=True):
        hidden_sum[:, rows, columns] += found[:, None, None]
    hidden = times_hidden(mask, shape)
    average = (grades.sum(0)[:, None, None] - hidden_sum) / (len(grades) - hidden)
    return average, baseline[:, None, None] - hidden_sum / hidden


def normalised(maps: np.ndarray, by: str = "slice") -> np.ndarray:
    """Return heat maps between 0 and 1.

    Parameters
    ----------
    maps : float64 array, (n, height, width)
    by : str
        ``slice``: each from 0 at its lowest to 1 at its highest value (the paper normalises all slices).
        ``volume``: one range for all, after each slice's mean is taken off: slices then compare, and those
        in which nothing matters stay flat.

    Returns
    -------
    float32 array, (n, height, width)
        0 where a map is flat, because no mask changes the grade.
    """
    over = (1, 2) if by == "slice" else (0, 1, 2)
    centred = maps - maps.mean((1, 2), keepdims=True)
    low = centred.min(over, keepdims=True)
    span = centred.max(over, keepdims=True) - low
    # below what float32 grades are rounded to there is no map to stretch
    flat = span <= _FLAT
    return np.where(flat, 0.0, (centred - low) / np.where(flat, 1.0, span)).astype(np.float32)
