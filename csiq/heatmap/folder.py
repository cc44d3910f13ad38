"""What a heat map leaves on disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from csiq._version import __version__
from csiq.acquisition import Geometry
from csiq.errors import OutputError
from csiq.heatmap.animation import write_animation
from csiq.heatmap.maps import HeatMap
from csiq.heatmap.view import ACROSS, view_of
from csiq.io.atomic import atomic_write
from csiq.io.held_folder import held_folder
from csiq.io.nifti import write_nifti
from csiq.quality.patches import HALF_EDGE

#: Every file that is written into the folder.
OWN_FILES = (
    "heatmap.nii.gz",
    "heatmap.json",
    "relevance.nii.gz",
    "relevance.json",
    "heatmap.png",
    "heatmap.svg",
    "heatmap.gif",
    "heatmap.mp4",
)
#: Slices of the figure as parts of the cube of patch centres: -24, 0 and 24 of 40 mm.
_SHOWN = (-0.6, 0.0, 0.6)
_USE = "Research use only. Simulated readers graded the images the shipped networks learned from."
_MEANING = {
    "heatmap": "The paper's map: mean grade over the masks that do not hide the voxel, normalised to 0-1.",
    "relevance": "csiq's own: grade of the slice minus the mean grade over the masks that hide the voxel.",
}


@dataclass(frozen=True)
class Explained:
    """A volume with its heat map, and what is known of both.

    Attributes
    ----------
    volume : float32 array, (z, y, x)
    affine : float64 array, (4, 4)
        Voxel (x, y, z) to RAS mm.
    voxel_size : (float, float, float)
        mm, z y x.
    found : HeatMap
    record : dict
        What the sidecars say beside mask, slices and meaning: volume, model, grade, warnings.
    orientation : str
        That of the patient which figure and film show.
    oriented : bool
        Whether the file knows its orientation; if not, the overlays do not either.
    """

    volume: np.ndarray
    affine: np.ndarray
    voxel_size: tuple[float, float, float]
    found: HeatMap
    record: dict[str, Any]
    orientation: str = "axial"
    oriented: bool = True


@contextmanager
def open_folder(folder: Path, *, overwrite: bool = False) -> Iterator[None]:
    """Make the folder of a heat map ready and hold it.

    Parameters
    ----------
    folder : Path
        Missing or empty, unless ``overwrite``.
    overwrite : bool
        Remove what csiq wrote there; nothing else is touched.

    Raises
    ------
    OutputError
        If there is something in it, or another process writes to it.
    ResourceError
        If it cannot be made or written to.
    """
    with held_folder(folder) as found:
        if found and not overwrite:
            raise OutputError("is not empty", file=folder, hint="--overwrite, or another folder with -o")
        if found and not (folder / "heatmap.json").is_file():
            raise OutputError("csiq wrote no heat map there", file=folder, hint="choose another with -o")
        yield


def write_heat_map(folder: Path, explained: Explained, animation: str = "gif") -> dict[str, Any]:
    """Write overlays, figure and film, and return what ``heatmap.json`` says.

    Both overlays have shape and affine of the volume: every viewer lays them over it, voxel on voxel.

    Parameters
    ----------
    folder : Path
        Opened by :func:`open_folder`.
    explained : Explained
    animation : str
        ``gif``, ``mp4`` or ``none``.
    """
    found = explained.found
    shape = explained.volume.shape
    heat, relevance = (
        found.on_grid(values, shape, explained.voxel_size) for values in (found.heat, found.relevance)
    )
    for name in OWN_FILES:  # those of an earlier heat map; heatmap.json, which marks the folder as ours, last
        if name != "heatmap.json":
            (folder / name).unlink(missing_ok=True)
    fov = [n * size for n, size in zip(shape, explained.voxel_size, strict=True)]
    geometry = Geometry(shape, (fov[0], fov[1], fov[2]), explained.affine, explained.oriented)
    records = {name: _record(explained, name) for name in _MEANING}
    write_nifti(folder / "heatmap.nii.gz", heat, geometry, sidecar=records["heatmap"])
    write_nifti(folder / "relevance.nii.gz", relevance, geometry, sidecar=records["relevance"])
    _write_pictures(folder, explained, (heat, relevance), animation)
    return records["heatmap"]


def _write_pictures(
    folder: Path, explained: Explained, maps: tuple[np.ndarray, np.ndarray], animation: str
) -> None:
    from csiq.heatmap.figure import heat_figure
    from csiq.report.figures import save

    view = view_of(explained.volume, *maps, explained.affine)
    record, orientation = explained.record, explained.orientation
    blurred = explained.found.occlusion.fill == "blur"
    heading = f"{record['volume']}: grade {record['grade']:.2f} by {record['model']['name']}. "
    heading += f"{'Masks blur (ours)' if blurred else 'Black masks (paper)'}. Research use only."
    places = explained.found.occlusion.places
    edge = max(0.0, min(HALF_EDGE, -places[0], places[-1]))
    shown = tuple(part * edge for part in _SHOWN if edge or not part)
    for kind in ("png", "svg"):
        with atomic_write(folder / f"heatmap.{kind}") as temporary:
            save(heat_figure(view, orientation, shown, heading), temporary, kind)
    if animation != "none":
        others = tuple(axis for axis in range(3) if axis != ACROSS[orientation])
        # slices without a map tell nothing
        filmed = [int(place) for place in np.flatnonzero(view.heat.any(axis=others))]
        filmed = filmed or view.places(orientation, shown)
        write_animation(folder / f"heatmap.{animation}", view, orientation, filmed)


def _record(explained: Explained, name: str) -> dict[str, Any]:
    occlusion = explained.found.occlusion
    values = np.concatenate([stack.relevance.ravel() for stack in explained.found.stacks])
    return {
        "schema_version": 1,
        "csiq": __version__,
        "use": _USE,
        "what": _MEANING[name],
        **explained.record,
        "mask": occlusion.mask.side,
        "stride": occlusion.mask.stride,
        "fill": occlusion.fill,
        "normalise": occlusion.normalise,
        "axes": list(occlusion.axes),
        "offsets_mm": list(occlusion.places),
        "slice_grades": {stack.axis: stack.baseline for stack in explained.found.stacks},
        "relevance_min": float(values.min()),
        "relevance_max": float(values.max()),
    }
