"""The observer's task: a stenosis of half the LAD's diameter, there or not, in images of a quality.

Anatomy and place are fixed and known; noise differs from image to image. Only a patch round the stenosis is
made, as the whole image would show it there.

A stenosis in a vessel of 3 mm is seen in all but hopeless images by an observer without noise of its own.
People are less efficient; :data:`INTERNAL_NOISE` and a stenosis far down the vessel keep AUC from being 1
throughout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from csiq.errors import ConfigError
from csiq.quality.centreline import Vessel, centreline
from csiq.simulate.anatomy.packing import Packed
from csiq.simulate.anatomy.patient import Patient, packed
from csiq.simulate.anatomy.raster import paint
from csiq.simulate.anatomy.shapes import Grid, Shape, Tube
from csiq.simulate.motion import MotionState
from csiq.trust.image_quality import QUALITIES, ImageQuality, coil_shading
from csiq.trust.model_observer import Detection, detect, laguerre_gauss

#: Internal noise of the observer, see :func:`csiq.trust.model_observer.detect`: an efficiency of a tenth.
INTERNAL_NOISE = 3.0
#: Channels: how many, ``a`` and SD along the vessel, mm.
N_CHANNELS, WIDTH, DEPTH = 6, 4.0, 0.5
_PATCH, _SEEN, _APART, _CUBE = (
    64,
    21,
    24,
    96,
)  # voxels: painted, looked at, between patches of noise, of noise
_VOXEL = 1.0  # mm


@dataclass(frozen=True)
class StenosisTask:
    """A patient who may have a stenosis.

    Attributes
    ----------
    seed : int
        Of the patient.
    share : float
        Where along the LAD it is, 0 to 1.
    severity : float
        Share of the diameter that is lost in its middle.
    length : float
        mm, from where the vessel begins to be narrower to where it ends to be.
    """

    seed: int
    share: float = 0.8
    severity: float = 0.5
    length: float = 6.0

    def __post_init__(self) -> None:
        for name, fits in (
            ("share", 0 < self.share < 1),
            ("severity", 0 <= self.severity < 1),
            ("length", self.length > 0),
        ):
            if not fits:
                raise ConfigError(f"{getattr(self, name)} is out of range", field=name)

    @cached_property
    def patient(self) -> Patient:
        """Whose LAD it is."""
        return Patient.from_seed(self.seed)

    @cached_property
    def place(self) -> tuple[np.ndarray, np.ndarray]:
        """Middle of the stenosis, mm z y x, and the unit vector along the vessel there, of the patient."""
        lad = next(tube for tube in self.patient.organ.arteries if tube.name == "LAD")
        line = centreline(Vessel(lad.points, lad.radius))
        at = round(self.share * (len(line.points) - 1))
        way = line.points[min(at + 2, len(line.points) - 1)] - line.points[max(at - 2, 0)]
        return line.points[at], way / np.linalg.norm(way)

    @cached_property
    def patches(self) -> tuple[np.ndarray, np.ndarray]:
        """Signal round the stenosis, with and without it, float32 (64, 64, 64), blood 1; coils shade it."""
        grid = self._grid(_PATCH, self.place[0])
        shading = coil_shading(self.seed, grid)
        found = [paint(self._packed(there), self._paints(), grid) * shading for there in (True, False)]
        return found[0], found[1]

    def whole(self, matrix: int = 208) -> np.ndarray:
        """Return the signal of the whole patient without a stenosis, float32 (n, n, n), voxels of 1 mm."""
        grid = self._grid(matrix, np.zeros(3))
        return paint(self._packed(False), self._paints(), grid) * coil_shading(self.seed, grid)

    def channels(self) -> np.ndarray:
        """Return the observer's channels on the voxels it looks at, float64 (21^3, n)."""
        middle, along = self.place
        near = self._grid(_SEEN, middle)
        axes = (near.axis(axis) for axis in range(3))
        away = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3) - middle
        length = away @ along
        across = np.linalg.norm(away - length[:, None] * along, axis=1)
        return laguerre_gauss(across, length, width=WIDTH, depth=DEPTH, n=N_CHANNELS)

    def outputs(self, quality: ImageQuality, n_images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return what channels give of images with and without the stenosis, float64 (n_images, n) each."""
        channels = self.channels().astype(np.float32)
        rng = np.random.default_rng(seed)
        found = []
        for signal in self.patches:
            seen = _middle(quality.shown(signal, _VOXEL)).ravel()
            noise = _disturbances(quality, n_images, rng)
            found.append([np.hypot(seen + real, imaginary) @ channels for real, imaginary in noise])
        return np.array(found[0], dtype=np.float64), np.array(found[1], dtype=np.float64)

    def _grid(self, n: int, about: np.ndarray) -> Grid:
        """Return a grid whose voxels are some of the whole image's."""
        z, y, x = np.rint(about / _VOXEL) * _VOXEL
        return Grid((n, n, n), (_VOXEL, _VOXEL, _VOXEL), (float(z), float(y), float(x)))

    def _packed(self, there: bool) -> Packed:
        shapes: list[Shape] = list(self.patient.shapes)
        if there:
            shapes = [self._narrowed(s) if isinstance(s, Tube) and s.name == "LAD" else s for s in shapes]
        return packed(self.patient, tuple(shapes), MotionState())

    def _paints(self) -> list[float]:
        return [self.patient.signals[shape.tissue] for shape in self.patient.shapes]

    def _narrowed(self, tube: Tube) -> Tube:
        """Return a vessel with the stenosis, a raised cosine; fat fills what blood leaves."""
        steps = np.linalg.norm(np.diff(tube.points, axis=0), axis=1)
        along = np.concatenate([[0.0], np.cumsum(steps)])
        more = np.union1d(along, np.arange(0.0, along[-1], 0.25))
        points = np.stack([np.interp(more, along, tube.points[:, a]) for a in range(3)], axis=1)
        middle = more[np.argmin(np.linalg.norm(points - self.place[0], axis=1))]
        from_middle = np.clip(np.abs(more - middle) / (self.length / 2), 0, 1)
        lost = self.severity * (1 + np.cos(np.pi * from_middle)) / 2
        heart, liver = (np.interp(more, along, w) for w in (tube.follow_heart, tube.follow_liver))
        radius = np.interp(more, along, tube.radius) * (1 - lost)
        return replace(tube, points=points, radius=radius, follow_heart=heart, follow_liver=liver)


def observe(task: StenosisTask, quality: ImageQuality, *, n_images: int = 400, seed: int = 0) -> Detection:
    """Return how well the stenosis is detected in images of a quality.

    Parameters
    ----------
    task : StenosisTask
    quality : ImageQuality
    n_images : int
        With the stenosis, and as many without; half of them train the observer.
    seed : int
    """
    present, absent = task.outputs(quality, n_images, seed)
    return detect(present, absent, internal_noise=INTERNAL_NOISE, seed=seed)


def observer_rows(
    task: StenosisTask, qualities: Sequence[ImageQuality] = QUALITIES, *, n_images: int = 400, seed: int = 0
) -> list[dict[str, str | float]]:
    """Return a row a quality: ``quality``, ``auc``, ``auc_low``, ``auc_high``, ``detectability``.

    The image to grade beside it is ``quality.image(task.whole(), 1.0, seed)``.
    """
    rows: list[dict[str, str | float]] = []
    for quality in qualities:
        found = observe(task, quality, n_images=n_images, seed=seed)
        row: dict[str, str | float] = {"quality": quality.name, "auc": found.auc, "auc_low": found.low}
        rows.append({**row, "auc_high": found.high, "detectability": found.detectability})
    return rows


def _middle(patch: np.ndarray) -> np.ndarray:
    first = patch.shape[0] // 2 - _SEEN // 2
    return patch[(slice(first, first + _SEEN),) * 3]


def _disturbances(
    quality: ImageQuality, n_images: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield real and imaginary part of noise and streaks of one patch after the other, (21^3,) each."""
    starts = [np.array(place) * _APART for place in np.ndindex(*(_CUBE // _APART,) * 3)]
    for number in range(n_images):
        if number % len(starts) == 0:
            parts = quality.disturbance((_CUBE, _CUBE, _CUBE), _VOXEL, rng)
        cut = tuple(slice(int(s), int(s) + _SEEN) for s in starts[number % len(starts)])
        yield parts[0][cut].ravel(), parts[1][cut].ravel()
