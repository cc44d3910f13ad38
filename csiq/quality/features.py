"""What can be measured of an image whose truth is known: sharp vessels, contrast, noise, streaks.

Everything is relative to physical scales (mm, the signal of blood), so that neither the image's scale nor its
phase matters.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace

import numpy as np

from csiq.errors import RawDataError, ShapeError
from csiq.quality.centreline import Field, Vessel, centreline, refine
from csiq.quality.residual import Residual, residual
from csiq.quality.sharpness import Surroundings, VesselSharpness, Windows, local_noise, vessel_sharpness

__all__ = ["Features", "HeartTruth", "QualityError", "Vessel", "measure"]

#: Least noise that is told, as a share of blood: beyond, displays and eyes see none.
LEAST_NOISE = 1e-3
# mm round the heart that blurred copies of the truth need
_MARGIN = 8.0


class QualityError(RawDataError):
    """An image that shows nothing: blank, constant or not finite."""


@dataclass(frozen=True)
class HeartTruth:
    """What a perfect reconstruction would show, and where things are in it.

    Attributes
    ----------
    volume : float32 array, (z, y, x)
        In the position of the image (its mean displacement).
    heart, blood, myocardium : bool array, (z, y, x)
        The heart with its coronaries; blood in left ventricle and aorta, away from walls; the core of the
        ventricular wall.
    vessels : dict of str to Vessel
        RCA, LAD and LCX in the frame of the volume.
    voxel_size : float64 array, (3,)
        mm.

    Raises
    ------
    ShapeError
        If shapes differ, or a mask or the list of vessels is empty.
    """

    volume: np.ndarray
    heart: np.ndarray
    blood: np.ndarray
    myocardium: np.ndarray
    vessels: dict[str, Vessel]
    voxel_size: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "voxel_size", np.asarray(self.voxel_size, np.float64))
        masks = {name: getattr(self, name) for name in ("heart", "blood", "myocardium")}
        for name, mask in masks.items():
            if mask.shape != self.volume.shape:
                raise ShapeError(f"is {mask.shape}, the truth {self.volume.shape}", field=name)
            if not mask.any():
                raise ShapeError("is empty", field=name)
        if not self.vessels:
            raise ShapeError("there is none", field="vessels")
        if self.volume.ndim != 3 or self.voxel_size.shape != (3,):
            raise ShapeError(
                f"expected a volume and three voxel sizes, got {self.volume.shape}", field="volume"
            )


@dataclass(frozen=True)
class Features:
    """What was measured of one image.

    Attributes
    ----------
    vessels : dict of str to VesselSharpness
    edge_width : float
        20-80 % edge width, mm, mean of the vessels over what is seen of them.
    edge_sharpness : float
        %/mm, likewise.
    deriche : float
        Etienne's percentage, likewise.
    diameter : float
        mm, likewise.
    visible_length : float
        mm, all vessels together.
    visible_share : float
        Mean of the vessels, 0 to 1.
    cnr : float
        Blood less myocardium over the SD of noise and streaks in both.
    noise : float
        SD from voxel to voxel over the signal of blood.
    streaks : float
        SD between blocks of 6 mm over the signal of blood, noise taken off.
    shift : float
        Way of the vessels from where the truth has them, mm, mean.
    """

    vessels: dict[str, VesselSharpness] = field(repr=False)
    edge_width: float
    edge_sharpness: float
    deriche: float
    diameter: float
    visible_length: float
    visible_share: float
    cnr: float
    noise: float
    streaks: float
    shift: float

    @property
    def whole_sharpness(self) -> float:
        """Edge sharpness over the whole length, %/mm: what is not seen has none."""
        return float(np.mean([v.edge_sharpness * v.visible_share for v in self.vessels.values()]))

    @property
    def whole_deriche(self) -> float:
        """Etienne's percentage over the whole length."""
        return float(np.mean([v.deriche * v.visible_share for v in self.vessels.values()]))

    def as_dict(self) -> dict[str, float]:
        """Return all numbers in one level, those of a vessel as ``RCA_edge_width``."""
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "vessels"}
        for name, vessel in self.vessels.items():
            found |= {f"{name}_{key}": value for key, value in asdict(vessel).items()}
        return found


def measure(image: np.ndarray, truth: HeartTruth) -> Features:
    """Measure an image against its truth.

    Parameters
    ----------
    image : real or complex array, (z, y, x)
        On the truth's voxels; any scale, any phase.
    truth : HeartTruth

    Raises
    ------
    ShapeError
        If the shapes differ, or no vessel of the truth has an edge of its own.
    QualityError
        If the image is blank or constant in the heart, or not finite.
    """
    x, shown, local = _magnitudes(image, truth)
    blood = float(x[local.blood].mean(dtype=np.float64))
    pair = [Field(v, truth.voxel_size, 1) for v in (x, shown)]
    lines = {name: centreline(vessel) for name, vessel in local.vessels.items()}
    placed = {name: refine(pair[0], pair[1], line) for name, line in lines.items()}
    ways = np.array(
        [placed[name].points.mean(axis=0) - line.points.mean(axis=0) for name, line in lines.items()]
    )
    left = residual(x, shown, local.heart, truth.voxel_size, ways.mean(axis=0))
    cubic = [Field.cubic(v, truth.voxel_size) for v in (x, shown)]
    unexplained = Field(left.volume, truth.voxel_size, 0)
    vessels = {}
    for name, line in lines.items():
        edges = Surroundings.of(Windows.of(cubic[1], line))
        noise = local_noise(unexplained, placed[name])
        found = vessel_sharpness(Windows.of(cubic[0], placed[name]), edges, blood, noise)
        if found is not None:
            vessels[name] = found
    if not vessels:
        raise ShapeError("no vessel of the truth has an edge of its own", field="vessels")
    return _summary(vessels, x, local, left, float(np.linalg.norm(ways, axis=1).mean()))


def _magnitudes(image: np.ndarray, truth: HeartTruth) -> tuple[np.ndarray, np.ndarray, HeartTruth]:
    """Return the magnitudes of image (largest 1) and truth round the heart, and all of the truth there."""
    if image.shape != truth.volume.shape:
        raise ShapeError(f"image {image.shape} and truth {truth.volume.shape} differ")
    local, region = _round_heart(truth)
    x = np.abs(image[region])
    top = float(x.max())
    if not np.isfinite(top):
        raise QualityError("the image has values that are not finite", field="image")
    if not (top > 0 and np.ptp(x[local.heart]) > 1e-6 * top and x[local.blood].any()):
        raise QualityError("the image is blank or constant in the heart", field="image")
    return (x / top).astype(np.float32), np.abs(local.volume).astype(np.float32), local


def _round_heart(truth: HeartTruth) -> tuple[HeartTruth, tuple[slice, ...]]:
    """Return the truth within ``_MARGIN`` mm round the heart, and where that is."""
    margin = np.ceil(_MARGIN / truth.voxel_size).astype(int)
    region = []
    for axis, more in enumerate(margin):
        others = tuple(a for a in range(3) if a != axis)
        where = np.flatnonzero(truth.heart.any(axis=others))
        region.append(slice(max(int(where[0]) - more, 0), int(where[-1]) + more + 1))
    cut = tuple(region)
    origin = np.array([s.start for s in cut]) * truth.voxel_size
    vessels = {name: Vessel(v.points - origin, v.radius) for name, v in truth.vessels.items()}
    masks = {name: getattr(truth, name)[cut] for name in ("heart", "blood", "myocardium")}
    return replace(truth, volume=truth.volume[cut], vessels=vessels, **masks), cut


def _summary(
    vessels: dict[str, VesselSharpness], x: np.ndarray, truth: HeartTruth, left: Residual, shift: float
) -> Features:
    blood, wall = (float(x[mask].mean(dtype=np.float64)) for mask in (truth.blood, truth.myocardium))
    even = truth.blood | truth.myocardium
    spread = max(float(np.sqrt(np.mean(left.volume[even] ** 2, dtype=np.float64))), LEAST_NOISE * blood)

    def mean(name: str) -> float:
        return float(np.mean([getattr(vessel, name) for vessel in vessels.values()]))

    return Features(
        vessels=vessels,
        edge_width=mean("edge_width"),
        edge_sharpness=mean("edge_sharpness"),
        deriche=mean("deriche"),
        diameter=mean("diameter"),
        visible_length=sum(vessel.visible_length for vessel in vessels.values()),
        visible_share=mean("visible_share"),
        cnr=(blood - wall) / spread,
        noise=left.fine / blood,
        streaks=left.coarse / blood,
        shift=shift,
    )
