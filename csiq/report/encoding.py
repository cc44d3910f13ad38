"""Slices as small pictures in the page: one encoding for all, so that no image is better for its file.

8 bits, WebP: at equal looks a third smaller than JPEG, and every browser since 2020 shows it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from csiq.report.plots import data_uri
from csiq.report.slices import Slice

#: Bytes of all slices in the page, as base64; the rest of 5 MB is for charts and what else there is.
BUDGET = 3_900_000
#: Pixels of the longer side and quality, best first.
_LEVELS = (
    *((360, 88), (320, 85), (256, 85)),
    *((208, quality) for quality in (90, 85, 80, 75, 70, 65, 60, 52)),
    *((160, 60), (128, 55), (96, 45)),
)
#: Slices that are tried to find the level.
_TRIED = 12


@dataclass(frozen=True)
class Encoding:
    """How slices become pictures.

    Attributes
    ----------
    top : float
        Value shown white; 0 is black.
    side : int
        Pixels of the longer side.
    quality : int
        Of WebP, 0 to 100.
    """

    top: float
    side: int
    quality: int

    def size(self, shown: Slice) -> tuple[int, int]:
        """Return width and height in pixels; voxels that are no cubes keep their proportions."""
        scale = self.side / max(shown.mm)
        return max(1, round(shown.mm[1] * scale)), max(1, round(shown.mm[0] * scale))

    def uri(self, shown: Slice) -> str:
        """Return a slice as a data URI."""
        grey = np.clip(shown.pixels / self.top * 255, 0, 255).astype(np.uint8)
        return _grey_uri(grey.tobytes(), grey.shape, self.size(shown), self.quality)


def encoding_of(slices: Sequence[Slice], top: float, budget: int = BUDGET) -> Encoding:
    """Return the best encoding in which all slices fit into the budget.

    A sample of them is tried, evenly over all, with a tenth to spare.

    Parameters
    ----------
    slices : sequence of Slice
    top : float
        Value shown white.
    budget : int
        Bytes.
    """
    sample = slices[:: max(1, len(slices) // _TRIED)]
    for side, quality in _LEVELS:
        encoding = Encoding(top, side, quality)
        # more pixels than twice the voxels show nothing new
        if sample and side > 2.5 * max(max(s.pixels.shape) for s in sample) and side > 128:
            continue
        mean = sum(len(encoding.uri(s)) for s in sample) / max(len(sample), 1)
        if 1.1 * mean * len(slices) <= budget:
            return encoding
    return Encoding(top, *_LEVELS[-1])


@lru_cache(maxsize=1024)
def _grey_uri(grey: bytes, shape: tuple[int, int], size: tuple[int, int], quality: int) -> str:
    """Return a grey picture; one that was made before is not made again while a run goes on."""
    return picture_uri(np.frombuffer(grey, np.uint8).reshape(shape), size, quality)


def picture_uri(pixels: np.ndarray, size: tuple[int, int], quality: int) -> str:
    """Return a picture as a data URI: WebP, or JPEG where Pillow was built without it.

    Parameters
    ----------
    pixels : uint8 array, (rows, columns) or (rows, columns, 3)
    size : (int, int)
        Width and height it is resampled to.
    quality : int
        0 to 100.
    """
    from PIL import Image, features

    kind = "webp" if features.check("webp") else "jpeg"
    buffer = io.BytesIO()
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    image.save(buffer, kind.upper(), quality=quality, **({"method": 4} if kind == "webp" else {}))
    return data_uri(buffer.getvalue(), f"image/{kind}")
