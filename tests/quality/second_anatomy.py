"""A heart that the simulator did not make: labels and centrelines painted in the contrast of the sequence.

The files (``anatomy`` of the measured data; its README names sources and licences) stay where they are.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

from csiq.operators import ForwardModel
from csiq.quality.centreline import Vessel
from csiq.quality.features import HeartTruth
from csiq.trajectory import (
    default_interleaves,
    density_compensation,
    phyllotaxis_directions,
    phyllotaxis_order,
    radial_coord,
)

#: Signal of each label, arterial blood 1.
SIGNAL = {0: 0.15, 1: 1.0, 2: 0.95, 3: 1.0, 4: 0.95, 5: 0.30, 6: 0.30, 7: 0.30, 8: 0.30, 9: 0.30, 17: 0.90}
FAT = 0.15
#: Trunks by which the formula judges, from the ostium on.
TRUNKS = {"RCA": ("FJ2723",), "LAD": ("FJ2737", "FJ2631"), "LCX": ("FJ2649",)}

_MARGIN = 12.0


@dataclass(frozen=True)
class Branch:
    """Centreline (n, 3) z y x in mm of the patient, radius (n,) in mm."""

    points: np.ndarray
    radius: np.ndarray


def read_branches(folder: Path) -> dict[str, Branch]:
    """Return the coronary branches by their identifier."""
    rows: dict[str, list[list[float]]] = {}
    with (folder / "bp3d_coronary_centerlines.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            names = ("z_ras_mm", "y_ras_mm", "x_ras_mm", "radius_mm")
            rows.setdefault(row["branch_id"], []).append([float(row[name]) for name in names])
    return {name: Branch(np.array(r)[:, :3], np.array(r)[:, 3]) for name, r in rows.items()}


def read_labels(folder: Path) -> tuple[np.ndarray, np.ndarray, float]:
    """Return labels (z, y, x), the position of voxel 0 in mm (z y x), and the voxel's edge in mm."""
    image = nibabel.load(folder / "bp3d_heart_labels.nii.gz")
    affine = image.affine
    assert np.allclose(affine[:3, :3], np.diag(np.diag(affine)[:3]))
    labels = np.asarray(image.dataobj).transpose(2, 1, 0)
    return labels, affine[:3, 3][::-1].copy(), float(affine[0, 0])


def render(folder: Path, voxel: float = 1.0) -> HeartTruth:
    """Paint the heart with partial volume on cubic voxels, two to three points of about 0.5 mm an axis."""
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


def moved_average(volume: np.ndarray, travel: float, voxel: float) -> np.ndarray:
    """Return the mean of a volume over even displacements along z, ``travel`` mm from end to end."""
    n = volume.shape[0]
    k = np.fft.rfftfreq(n)
    spectrum = np.fft.rfft(volume, axis=0) * np.sinc(k * travel / voxel)[:, None, None]
    return np.fft.irfft(spectrum, n, axis=0).astype(np.float32)


def breathing_average(volume: np.ndarray, travel: float, voxel: float) -> np.ndarray:
    """Return the mean of a volume over breaths along z that dwell at one end (sin^4), at its mean place."""
    n = volume.shape[0]
    place = travel * np.sin(np.pi * (np.arange(400) + 0.5) / 400) ** 4
    turns = np.fft.rfftfreq(n)[:, None] * (place - place.mean()) / voxel
    transfer = np.exp(-2j * np.pi * turns).mean(axis=1)
    spectrum = np.fft.rfft(volume, axis=0) * transfer[:, None, None]
    return np.fft.irfft(spectrum, n, axis=0).astype(np.float32)


def blurred(volume: np.ndarray, fwhm: float, voxel: float) -> np.ndarray:
    """Return a volume under a Gaussian of a full width at half maximum, mm."""
    return ndimage.gaussian_filter(volume, fwhm / np.sqrt(8 * np.log(2)) / voxel)


def noisy(volume: np.ndarray, snr: float, seed: int = 0) -> np.ndarray:
    """Return a volume with complex Gaussian noise: blood (1) over the SD of one part is ``snr``."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((2, *volume.shape), dtype=np.float32) / np.float32(snr)
    return volume + noise[0] + 1j * noise[1]


def in_cube(truth: HeartTruth, n: int) -> HeartTruth:
    """Return a truth on ``n`` voxels an axis: fat is added, or margin cut off, at the far ends."""

    def fitted(values: np.ndarray, fill: float) -> np.ndarray:
        widths = [(0, max(n - size, 0)) for size in values.shape]
        return np.pad(values, widths, constant_values=fill)[:n, :n, :n]

    masks = {name: fitted(getattr(truth, name), False) for name in ("heart", "blood", "myocardium")}
    return replace(truth, volume=fitted(truth.volume, FAT), **masks)


def gridded(volume: np.ndarray, share: float, noise: float, seed: int = 0) -> np.ndarray:
    """Return a volume scanned by a phyllotaxis with a share of Nyquist's spokes, and gridded.

    Parameters
    ----------
    noise : float
        SD of real and imaginary part of a sample of a unitary transform.
    """
    n = volume.shape[0]
    n_spokes = round(share * np.pi / 2 * n**2)
    order = phyllotaxis_order(n_spokes, default_interleaves(n_spokes))
    coord = radial_coord(phyllotaxis_directions(order), n, 2 * n)
    model = ForwardModel([coord], np.ones((1, n, n, n), np.complex64), threads=1)
    kspace = model(volume[None].astype(np.complex64))
    rng = np.random.default_rng(seed)
    both = noise * rng.standard_normal((2, *kspace.shape), dtype=np.float32)
    return np.asarray(model.H(density_compensation(coord) * (kspace + both[0] + 1j * both[1]))[0])
