"""Images and where they lie in the patient: what every image format is read into and written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from csiq.acquisition import Geometry
from csiq.errors import ConfigError, RawDataError, ShapeError


@dataclass(frozen=True)
class ImageSet:
    """Volumes on one grid, one a phase.

    Attributes
    ----------
    values : float32 or complex64 array, (n_phases, z, y, x)
    geometry : Geometry
        Where the voxels lie; ``known`` is False if the file did not say.
    name : str
        Of the file they come from.
    simulated : bool, optional
        Whether they were simulated; None if nothing says so.
    system : mapping
        What is known of the scanner, in the words of :class:`csiq.acquisition.Acquisition`.
    identity : mapping
        Who was scanned and when, by DICOM keyword; empty unless it was asked for.
    warnings : tuple of str
        What was odd, in words for people.

    Raises
    ------
    ShapeError
        If the values are not of the geometry's shape.
    RawDataError
        If there is no voxel.
    """

    values: np.ndarray
    geometry: Geometry
    name: str = "images"
    simulated: bool | None = None
    system: Mapping[str, Any] = field(default_factory=dict)
    identity: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape, wanted = self.values.shape, tuple(self.geometry.shape)
        if self.values.ndim != 4 or shape[1:] != wanted:
            raise ShapeError(f"expected (n_phases, *{wanted}), got {shape}", file=self.name)
        if self.values.dtype not in (np.float32, np.complex64):
            raise ShapeError(f"expected float32 or complex64, got {self.values.dtype}", file=self.name)
        if self.values.size == 0:
            raise RawDataError(f"holds no voxel: shape {shape}", file=self.name)

    @property
    def n_phases(self) -> int:
        """Number of volumes."""
        return len(self.values)

    @property
    def is_complex(self) -> bool:
        """Whether the voxels are complex."""
        return np.iscomplexobj(self.values)

    def magnitude(self) -> ImageSet:
        """Return the moduli of complex voxels; real ones stay as they are, negative ones too."""
        return replace(self, values=np.abs(self.values)) if self.is_complex else self

    def phase(self, number: int) -> ImageSet:
        """Return one phase, counted from 1.

        Raises
        ------
        ConfigError
            If there is no such phase.
        """
        if not 1 <= number <= self.n_phases:
            what = f"there is no phase {number}; it holds {self.n_phases}"
            raise ConfigError(what, file=self.name, field="--phase")
        return replace(self, values=self.values[number - 1 : number])

    def noted(self, *more: str) -> ImageSet:
        """Return the same images with further warnings."""
        return replace(self, warnings=(*self.warnings, *more))


def as_voxels(values: np.ndarray) -> np.ndarray:
    """Return an array as float32, or complex64 if it is complex, in C order."""
    kind = np.complex64 if np.iscomplexobj(values) else np.float32
    return np.ascontiguousarray(values, dtype=kind)
