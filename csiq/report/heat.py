"""Where the grade of the best phase comes from: the central slices, masked bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from csiq.errors import RawDataError
from csiq.heatmap import HeatMap, Mask, Occlusion, occlusion_map
from csiq.heatmap.figure import HEAT, OPACITY, SIGNED
from csiq.heatmap.maps import linear_weights
from csiq.heatmap.view import array_orientation, orientation_known
from csiq.io.nifti import read_volume
from csiq.quality.patches import ORIENTATIONS, SIDE
from csiq.report.encoding import picture_uri
from csiq.report.facts import number
from csiq.report.images import framed
from csiq.report.record import Record
from csiq.report.slices import Slice, slices_of, volume_of, window_of_slices

if TYPE_CHECKING:
    from csiq.quality.grade import Grader

#: The paper's, 8 mm: half a minute for three slices.
_MASK = Mask()
#: Pixels of the longer side.
_SIDE, _QUALITY = 300, 85


def heat_of(record: Record, grader: Grader) -> dict[str, Any]:
    """Return heat maps of the central slices of the best phase.

    The paper's map (black masks) and csiq's own relevance (masks that blur), each of the slice in its own
    orientation; see docs/heatmap.md.

    Raises
    ------
    RawDataError
        If there is no such image, or it is dark.
    """
    ranking = record.ranking
    phase = ranking.best_phase if ranking is not None and ranking.best_phase else 1
    path = record.folder / f"phase-{phase}.nii.gz"
    volume, voxel_size, affine = read_volume(path)
    if min(volume.shape) == 1:
        raise RawDataError("a single slice has no heat map", file=path)
    given = _Given(volume, voxel_size, affine, orientation_known(path))
    # all orientations at once: what every mask needs is made once
    maps = [
        occlusion_map(grader, volume, voxel_size, Occlusion(_MASK, ORIENTATIONS, (0.0,), fill))
        for fill in ("zero", "blur")
    ]
    planes = [_plane(given, maps, axis) for axis in given.axes()]
    top = window_of_slices([image for image, _, _ in planes])
    signed = np.concatenate([lost.pixels.ravel() for _, _, lost in planes])
    limit = float(np.quantile(np.abs(signed), 0.998)) or 1.0
    return {
        "phase": phase,
        "limit": number(limit, ".2g"),
        "planes": [_pictures(phase, plane, top, limit) for plane in planes],
    }


@dataclass(frozen=True)
class _Given:
    """A volume (z, y, x), its voxels in mm, and how it lies in the patient."""

    volume: np.ndarray
    voxel_size: tuple[float, float, float]
    affine: np.ndarray
    oriented: bool

    def axes(self) -> list[str]:
        """Return the array's orientations that show axial, coronal and sagittal slices of the patient."""
        return [array_orientation(name, self.affine) if self.oriented else name for name in ORIENTATIONS]

    def shown(self, plane: np.ndarray, axis: int) -> Slice:
        """Return a plane across an array axis as it is shown; of signed numbers too."""
        laid = np.expand_dims(plane, axis).transpose(2, 1, 0)
        # slices are magnitudes: what is below zero goes by itself
        high, low = (
            slices_of(volume_of(np.maximum(sign * laid, 0), self.affine, oriented=self.oriented))[0]
            for sign in (1, -1)
        )
        return replace(high, pixels=high.pixels - low.pixels)


def _plane(given: _Given, maps: Sequence[HeatMap], name: str) -> tuple[Slice, Slice, Slice]:
    """Return the central slice of an orientation of the array, its heat map and its relevance."""
    axis = ORIENTATIONS.index(name)
    zero, blur = (next(stack for stack in one.stacks if stack.axis == name) for one in maps)
    middle = given.volume.take(given.volume.shape[axis] // 2, axis=axis)
    laid = (_on_voxels(found, maps[0], given, axis) for found in (zero.heat[0], blur.relevance[0]))
    heat, lost = (given.shown(plane, axis) for plane in laid)
    return given.shown(middle, axis), heat, lost


def _on_voxels(found: np.ndarray, heat: HeatMap, given: _Given, axis: int) -> np.ndarray:
    """Return a map of 1 mm pixels on the voxels of the volume's slice, 0 where there is none."""
    known = np.arange(SIDE)[heat.window] - float(SIDE // 2)
    shape, size = given.volume.shape, given.voxel_size
    rows, columns = (
        linear_weights(known, (np.arange(shape[a]) - shape[a] // 2) * size[a]) for a in range(3) if a != axis
    )
    return np.asarray(rows @ found @ columns.T)


def _pictures(phase: int, plane: tuple[Slice, Slice, Slice], top: float, limit: float) -> dict[str, Any]:
    image, heat, lost = plane
    grey = np.clip(image.pixels / top, 0, 1)
    name = f"phase {phase}, {image.plane}"
    pictures = [
        (_over(grey, np.clip(heat.pixels, 0, 1), HEAT), f"{name}, heat map"),
        (_over(grey, np.clip(0.5 + 0.5 * lost.pixels / limit, 0, 1), SIGNED), f"{name}, relevance"),
    ]
    return {
        "plane": image.plane,
        "pictures": [
            _framed(pixels, image, alt) | {"plane": image.plane, "letters": image.letters}
            for pixels, alt in pictures
        ],
    }


def _over(grey: np.ndarray, values: np.ndarray, colours: str) -> np.ndarray:
    """Return a map's colours over a slice, as the figures of ``csiq heatmap`` blend them."""
    from matplotlib import colormaps

    colour = colormaps[colours](values)[..., :3]
    return np.asarray(255 * ((1 - OPACITY) * grey[..., None] + OPACITY * colour), dtype=np.uint8)


def _framed(pixels: np.ndarray, image: Slice, alt: str) -> dict[str, Any]:
    scale = _SIDE / max(image.mm)
    size = max(1, round(image.mm[1] * scale)), max(1, round(image.mm[0] * scale))
    return framed(image.mm, picture_uri(pixels, size, _QUALITY), size, alt)
