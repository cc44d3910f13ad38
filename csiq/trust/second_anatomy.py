"""A heart that the simulator did not make: labels and centrelines painted in the contrast of the sequence.

The files (labels, centrelines and radii of BodyParts3D, CC BY-SA 2.1 JP; measured chests) are no part of
csiq: a folder that holds them is given.

References
----------
Mitsuhashi N, et al. BodyParts3D: 3D structure database for anatomical concepts. Nucleic Acids Res
2009;37:D782-D785.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from csiq.errors import RawDataError
from csiq.quality.centreline import Vessel
from csiq.quality.features import HeartTruth

#: Signal of each label, arterial blood 1.
SIGNAL = {0: 0.15, 1: 1.0, 2: 0.95, 3: 1.0, 4: 0.95, 5: 0.30, 6: 0.30, 7: 0.30, 8: 0.30, 9: 0.30, 17: 0.90}
FAT = 0.15
#: Trunks by which the formula judges, from the ostium on.
TRUNKS = {"RCA": ("FJ2723",), "LAD": ("FJ2737", "FJ2631"), "LCX": ("FJ2649",)}
#: Measured chests that can lie around the heart.
CHESTS = ("mr3d_lge_3t_thorax", "ct_chest_noncontrast")

_LABELS, _LINES = "bp3d_heart_labels.nii.gz", "bp3d_coronary_centerlines.csv"
_MARGIN = 12.0
_APART = 4.0  # mm between the heart and the measured chest


@dataclass(frozen=True)
class Branch:
    """Centreline (n, 3) z y x in mm of the patient, radius (n,) in mm."""

    points: np.ndarray
    radius: np.ndarray


def read_branches(folder: Path) -> dict[str, Branch]:
    """Return the coronary branches by their identifier."""
    rows: dict[str, list[list[float]]] = {}
    with (folder / _LINES).open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            names = ("z_ras_mm", "y_ras_mm", "x_ras_mm", "radius_mm")
            rows.setdefault(row["branch_id"], []).append([float(row[name]) for name in names])
    return {name: Branch(np.array(r)[:, :3], np.array(r)[:, 3]) for name, r in rows.items()}


def read_labels(folder: Path) -> tuple[np.ndarray, np.ndarray, float]:
    """Return labels (z, y, x), the position of voxel 0 in mm (z y x), and the voxel's edge in mm."""
    import nibabel

    image: Any = nibabel.load(folder / _LABELS)
    affine = image.affine
    if not np.allclose(affine[:3, :3], np.diag(np.diag(affine)[:3])):
        raise RawDataError("expected axes along x, y and z of the patient", file=folder / _LABELS)
    labels = np.asarray(image.dataobj).transpose(2, 1, 0)
    return labels, affine[:3, 3][::-1].copy(), float(affine[0, 0])


def render(folder: Path, voxel: float = 1.0) -> HeartTruth:
    """Paint the heart with partial volume on cubic voxels, two to three points of about 0.5 mm an axis.

    Parameters
    ----------
    folder : Path
        Holds ``bp3d_heart_labels.nii.gz`` and ``bp3d_coronary_centerlines.csv``.
    voxel : float
        Edge, mm.
    """
    labels, origin, edge = read_labels(folder)
    branches = read_branches(folder)
    labels = _without_coronaries_and_gaps(labels)
    factor = max(2, round(voxel / 0.5))
    fine_edge = voxel / factor
    start = origin - _MARGIN
    count = np.ceil((np.array(labels.shape) * edge + 2 * _MARGIN) / voxel).astype(int)
    axes = [start[a] + fine_edge * np.arange(count[a] * factor) for a in range(3)]
    indices = [np.rint((axes[a] - origin[a]) / edge).astype(int) for a in range(3)]
    inside = [(i >= 0) & (i < n) for i, n in zip(indices, labels.shape, strict=True)]
    fine = np.zeros([len(a) for a in axes], np.uint8)
    clipped = [np.clip(i, 0, n - 1) for i, n in zip(indices, labels.shape, strict=True)]
    fine[np.ix_(*inside)] = labels[np.ix_(*[c[i] for c, i in zip(clipped, inside, strict=True)])]
    table = np.zeros(256, np.float32)
    table[list(SIGNAL)] = list(SIGNAL.values())
    signal = table[fine]
    lumen = _lumen(signal.shape, start, fine_edge, branches)
    signal += lumen * (1 - signal)
    shape = (count[0], factor, count[1], factor, count[2], factor)
    volume = signal.reshape(shape).mean(axis=(1, 3, 5))
    coarse = fine[factor // 2 :: factor, factor // 2 :: factor, factor // 2 :: factor]
    centre = start + fine_edge * (factor - 1) / 2
    return HeartTruth(
        volume=volume,
        heart=ndimage.binary_dilation(coarse > 0, iterations=round(5 / voxel)),
        blood=ndimage.binary_erosion(coarse == 1, iterations=round(3 / voxel)),
        myocardium=ndimage.binary_erosion(coarse == 5, iterations=round(2 / voxel)),
        vessels={name: _vessel([branches[b] for b in ids], centre) for name, ids in TRUNKS.items()},
        voxel_size=np.full(3, voxel),
    )


def _without_coronaries_and_gaps(labels: np.ndarray) -> np.ndarray:
    """Return labels with arteries taken out and the slits between chambers and walls closed."""
    artery = (labels >= 11) & (labels <= 16)
    found = np.where(artery, 0, labels)
    solid = ndimage.binary_closing(found > 0, iterations=2)
    gaps = solid & (found == 0) & ~artery
    nearest = ndimage.distance_transform_edt(found == 0, return_distances=False, return_indices=True)
    return np.where(gaps, found[tuple(nearest)], found).astype(np.uint8)


def _lumen(shape: tuple[int, ...], start: np.ndarray, edge: float, branches: dict[str, Branch]) -> np.ndarray:
    """Return the share of each fine voxel that lies within an artery."""
    found = np.zeros(shape, np.float32)
    for branch in branches.values():
        for point, radius in zip(branch.points, branch.radius, strict=True):
            _paint_ball(found, (point - start) / edge, radius / edge)
    return found


def _paint_ball(found: np.ndarray, centre: np.ndarray, radius: float) -> None:
    low = np.maximum(np.floor(centre - radius - 1).astype(int), 0)
    high = np.minimum(np.ceil(centre + radius + 2).astype(int), found.shape)
    axes = [np.arange(low[a], high[a]) - centre[a] for a in range(3)]
    distance = np.sqrt(sum(g**2 for g in np.meshgrid(*axes, indexing="ij", sparse=True)))
    block = found[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    np.maximum(block, np.clip(radius - distance + 0.5, 0, 1), out=block)


def _vessel(parts: list[Branch], origin: np.ndarray) -> Vessel:
    points = np.concatenate([part.points for part in parts]) - origin
    return Vessel(points, np.concatenate([part.radius for part in parts]))


def scaled(truth: HeartTruth, factor: float) -> HeartTruth:
    """Return the heart of another size: equal voxels, taken to be ``factor`` times as large."""
    vessels = {name: Vessel(v.points * factor, v.radius * factor) for name, v in truth.vessels.items()}
    return replace(truth, vessels=vessels, voxel_size=truth.voxel_size * factor)


def centred(truth: HeartTruth, n: int) -> HeartTruth:
    """Return a truth on ``n`` voxels an axis with the middle of the heart in voxel ``n // 2``, in fat."""
    there = np.argwhere(truth.heart)
    middle = (there.min(axis=0) + there.max(axis=0)) // 2
    shift = n // 2 - middle

    def fitted(values: np.ndarray, fill: float) -> np.ndarray:
        """Return values (z, y, x) moved by ``shift`` onto n^3 voxels; ``fill`` comes in from outside."""
        found = np.full((n, n, n), fill, values.dtype)
        low, high = np.maximum(shift, 0), np.minimum(shift + values.shape, n)
        to = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        of = tuple(slice(a, b) for a, b in zip(low - shift, high - shift, strict=True))
        found[to] = values[of]
        return found

    masks = {name: fitted(getattr(truth, name), False) for name in ("heart", "blood", "myocardium")}
    moved = shift * truth.voxel_size
    vessels = {name: Vessel(v.points + moved, v.radius) for name, v in truth.vessels.items()}
    return replace(truth, volume=fitted(truth.volume, FAT), vessels=vessels, **masks)


def in_chest(truth: HeartTruth, file: Path) -> HeartTruth:
    """Return a heart with a measured chest 4 mm and more away from it, in place of even fat."""
    around = _chest(file, truth.volume.shape, truth.voxel_size)
    inner = ndimage.binary_erosion(truth.heart, iterations=max(round(3 / truth.voxel_size[0]), 1))
    far = ndimage.distance_transform_edt(~inner, sampling=truth.voxel_size) - _APART
    weight = np.clip(far, 0, 1).astype(np.float32)  # over 1 mm, so that no edge is added
    return replace(truth, volume=(truth.volume + weight * (around - truth.volume)).astype(np.float32))


def _chest(file: Path, shape: tuple[int, ...], voxel_size: np.ndarray) -> np.ndarray:
    """Return the middle of a measured volume on the voxels asked for, from 0 to three times fat."""
    import nibabel

    image: Any = nibabel.load(file)
    values = np.asarray(image.dataobj, np.float32).transpose(2, 1, 0)
    spacing = np.array(image.header.get_zooms())[::-1]
    low, high = np.percentile(values, (1, 99))
    values = np.clip((values - low) / (high - low), 0, 1)
    index = [
        (np.arange(n, dtype=np.float32) - n / 2) * v / d + m / 2
        for n, v, d, m in zip(shape, voxel_size, spacing, values.shape, strict=True)
    ]
    places = np.stack(np.meshgrid(*index, indexing="ij"))
    return np.asarray(3 * FAT * ndimage.map_coordinates(values, places, order=1, mode="nearest"))
