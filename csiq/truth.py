"""Iterates of a simulated scan held against its truth: reference quality and NRMSE.

The truth lies beside a simulated raw file (``scan.truth.h5``; :mod:`csiq.simulate.truth`). It knows four
phases of true breathing; the phases of a reconstruction are those of the signal it found, and each is held
against the true one of its number.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from csiq.acquisition import Geometry
from csiq.arrays import Array, to_host
from csiq.errors import RawDataError
from csiq.io.hdf5 import find_dataset, open_h5, reading
from csiq.quality import reference
from csiq.quality.centreline import Vessel
from csiq.quality.features import Features, HeartTruth, QualityError, measure

#: The simulator paints this much at the edge of the view coarsely, mm; no error is measured there.
RIM = 10.0
_MASKS = ("heart_masks", "blood_masks", "myocardium_masks")
_VESSELS = ("RCA", "LAD", "LCX")

_log = logging.getLogger("csiq")


def nrmse(volume: np.ndarray, truth: np.ndarray, voxel_size: Sequence[float] | None = None) -> float:
    """Return the error of a magnitude image over the norm of the truth, the image's scale fitted.

    Parameters
    ----------
    volume : real or complex array, (z, y, x)
    truth : real array, (z, y, x)
    voxel_size : sequence of float, optional
        mm z y x; what lies within :data:`RIM` of an edge is then left out, on axes long enough for that.

    Returns
    -------
    float
        nan if the truth is empty or the image blank.
    """
    rims = [round(RIM / size) if voxel_size is not None else 0 for size in voxel_size or (1.0,) * 3]
    inside = tuple(
        slice(rim, n - rim) if n > 2 * rim else slice(None) for rim, n in zip(rims, truth.shape, strict=True)
    )
    magnitude = np.abs(volume[inside]).astype(np.float64)
    true = np.asarray(truth[inside], np.float64)
    # sums, no dot products: those of BLAS depend on how many threads it has
    power, energy = float(np.sum(true**2)), float(np.sum(magnitude**2))
    if not (power > 0 and energy > 0):
        return math.nan
    magnitude *= np.sum(magnitude * true) / energy
    return math.sqrt(float(np.sum((magnitude - true) ** 2)) / power)


@dataclass(frozen=True)
class KnownTruth:
    """A truth file that fits a scan; volumes and masks are read when they are needed.

    Make it with :meth:`open`.

    Attributes
    ----------
    path : Path
    voxel_size : (float, float, float)
        mm.
    has_reference : bool
        Whether it holds what the reference quality needs: masks of heart, blood and myocardium, centrelines,
        and volumes rather than slices.
    """

    path: Path
    voxel_size: tuple[float, float, float]
    has_reference: bool

    @classmethod
    def open(cls, path: str | Path, geometry: Geometry, n_phases: int) -> KnownTruth:
        """Return the truth of a scan.

        Raises
        ------
        RawDataError
            If the file cannot be read, or is the truth of other voxels or another number of phases.
        """
        path = Path(path)
        with open_h5(path) as file:
            volumes = find_dataset(file, "volumes")
            if volumes is None or volumes.ndim != 4:
                raise RawDataError("holds no true volumes", file=path, field="/volumes")
            if volumes.shape != (n_phases, *geometry.shape):
                found, wanted = (
                    " x ".join(map(str, s)) for s in (volumes.shape, (n_phases, *geometry.shape))
                )
                raise RawDataError(f"is {found}, the reconstruction {wanted}", file=path, field="/volumes")
            masks = [find_dataset(file, name) for name in _MASKS]
            complete = all(mask is not None and mask.shape == volumes.shape for mask in masks)
            lines = all(
                find_dataset(file, f"centrelines/phase-{p}/{name}") is not None
                for p in range(1, n_phases + 1)
                for name in _VESSELS
            )
        return cls(path, geometry.voxel_size, complete and lines and min(geometry.shape) > 1)

    def measure(self, volumes: Array) -> list[tuple[float, float]]:
        """Return reference quality and NRMSE of each phase of an iterate.

        Parameters
        ----------
        volumes : complex64 array, (n_phases, z, y, x)

        Returns
        -------
        list of (float, float)
            nan where there is nothing to measure: no masks, an image that shows nothing.
        """
        return [(_reference_of(features), error) for features, error in self.look(volumes)]

    def look(self, volumes: Array) -> list[tuple[Features | None, float]]:
        """Return what is measured of each phase of an iterate, and its NRMSE; see :meth:`measure`.

        Parameters
        ----------
        volumes : complex64 array, (n_phases, z, y, x)

        Returns
        -------
        list of (Features or None, float)
            None where there is nothing to measure.
        """
        with open_h5(self.path) as file, reading(self.path, "/volumes"):
            return [self._looked(file, index, to_host(volume)) for index, volume in enumerate(volumes)]

    def _looked(self, file: h5py.File, index: int, volume: np.ndarray) -> tuple[Features | None, float]:
        true = np.asarray(file["volumes"][index], np.float32)
        error = nrmse(volume, true, self.voxel_size)
        if not self.has_reference:
            return None, error
        try:
            return measure(volume, self._heart(file, index, true)), error
        except QualityError as fault:
            _log.info("phase %d has no reference quality: %s", index + 1, fault)
            return None, error

    def _heart(self, file: h5py.File, index: int, volume: np.ndarray) -> HeartTruth:
        heart, blood, myocardium = (np.asarray(file[name][index], bool) for name in _MASKS)
        size = np.array(self.voxel_size)
        middle = size * (np.array(volume.shape) // 2)  # patient space has its origin there
        group = file[f"centrelines/phase-{index + 1}"]  # open() has looked at it
        lines = {name: np.asarray(group[name], np.float64) for name in _VESSELS}
        vessels = {name: Vessel(line[:, :3] + middle, line[:, 3]) for name, line in lines.items()}
        return HeartTruth(volume, heart, blood, myocardium, vessels, size)


def _reference_of(features: Features | None) -> float:
    return math.nan if features is None else reference.grade(features)
