"""One slice of the first and of the last phase, side by side: what a grade of single phases cannot show.

The coronal slice: breathing moves the diaphragm up and down in it. Where both halves are alike, the penalty
has made one image of all phases.
"""

from __future__ import annotations

import io

import numpy as np

from csiq.acquisition import Geometry
from csiq.report.slices import Slice, slices_of, volume_of, window_of_slices

#: The longer side of a slice, pixels, at most and at least.
_SIDE = (208, 416)
_GAP = 4


def window_of(volumes: np.ndarray, geometry: Geometry) -> float:
    """Return the magnitude shown white."""
    return window_of_slices([_slice(volume, geometry) for volume in (volumes[0], volumes[-1])])


def png_of(volumes: np.ndarray, geometry: Geometry, window: float) -> bytes:
    """Return the two slices as a PNG, 8 bits.

    Parameters
    ----------
    volumes : complex or real array, (n_phases, z, y, x)
    geometry : Geometry
    window : float
        Magnitude shown white; 0 is black.
    """
    from PIL import Image

    pair = [_grey(_slice(volume, geometry), window) for volume in (volumes[0], volumes[-1])]
    gap = np.full((pair[0].shape[0], _GAP), 255, np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.hstack([pair[0], gap, pair[1]])).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _slice(volume: np.ndarray, geometry: Geometry) -> Slice:
    turned = volume_of(volume.transpose(2, 1, 0), geometry.affine, oriented=geometry.known)
    found = slices_of(turned)
    return next((one for one in found if one.plane == "coronal"), found[0])


def _grey(shown: Slice, window: float) -> np.ndarray:
    from PIL import Image

    grey = np.clip(shown.pixels / window * 255, 0, 255).astype(np.uint8)
    side = min(max(2 * max(grey.shape), _SIDE[0]), _SIDE[1])
    scale = side / max(shown.mm)
    size = (max(1, round(shown.mm[1] * scale)), max(1, round(shown.mm[0] * scale)))
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC))
