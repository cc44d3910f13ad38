"""One radial scan, checked when it is made.

Every reader returns an :class:`Acquisition`, every simulated scan is one, and everything behind works on
it alone. Its arrays stay as they were made; a step that changes something returns a new one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from csiq.arrays import to_host, xp_of
from csiq.errors import RawDataError, ShapeError

if TYPE_CHECKING:
    from csiq.delays.tensor import Delays


@dataclass(frozen=True)
class Geometry:
    """Where the reconstructed voxels lie.

    Attributes
    ----------
    shape : (int, int, int)
        Voxels of the reconstruction, z y x; 1 along z for a 2D scan.
    fov : (float, float, float)
        Field of view in mm, z y x.
    affine : float64 array, (4, 4)
        Voxel index (x, y, z) to RAS mm, as in NIfTI. The centre of k-space sits at voxel ``n // 2``.
    known : bool
        False if the file gave no usable orientation; images are then written with NIfTI code 0.
    """

    shape: tuple[int, int, int]
    fov: tuple[float, float, float]
    affine: np.ndarray = field(default_factory=lambda: np.eye(4))
    known: bool = True

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Voxel size in mm, z y x."""
        dz, dy, dx = (f / n for f, n in zip(self.fov, self.shape, strict=True))
        return dz, dy, dx

    def with_shape(self, shape: tuple[int, int, int]) -> Geometry:
        """Return the same field of view on another matrix, the centre of k-space where it was."""
        old = np.array(self.shape[::-1])
        new = np.array(shape[::-1])
        affine = self.affine.copy()
        affine[:3, :3] *= old / new
        centre = self.affine[:3, :3] @ (old // 2) + self.affine[:3, 3]
        affine[:3, 3] = centre - affine[:3, :3] @ (new // 2)
        return replace(self, shape=shape, affine=affine)


@dataclass(frozen=True)
class Navigators:
    """Readouts that only track breathing: superior-inferior (SI) spokes, one at the head of each interleave.

    Attributes
    ----------
    kspace : complex64 array, (n_coils, n_navigators, n_samples)
    times : float64 array, (n_navigators,)
        Seconds from the start of the scan.
    heartbeat : int array, (n_navigators,)
    coord : float32 array, (n_navigators, n_samples, 3), optional
        z y x in cycles per field of view; None if unknown.
    """

    kspace: np.ndarray
    times: np.ndarray
    heartbeat: np.ndarray
    coord: np.ndarray | None = None


@dataclass(frozen=True)
class Acquisition:
    """One radial scan.

    Attributes
    ----------
    kspace : complex64 array, (n_coils, n_spokes, n_samples)
        Imaging spokes in the order of acquisition; navigators and noise are apart. Numbers of another type
        are cast, here and in ``coord``.
    coord : float32 array, (n_spokes, n_samples, 3)
        Sampled positions, z y x, in cycles per field of view (-n/2 .. n/2).
    times : float64 array, (n_spokes,)
        Seconds from the start of the scan.
    heartbeat : int64 array, (n_spokes,)
        Number of the heartbeat (or interleave) a spoke belongs to.
    geometry : Geometry
    navigators : Navigators, optional
    noise : complex64 array, (n_coils, n_noise_samples), optional
        Samples without signal, for whitening.
    triggered : bool
        Whether the acquisition is ECG-triggered (one burst of spokes a heartbeat).
    name : str
        Base name of the file, or what made it.
    sha256 : str
        Of the file; empty if there is none.
    system : dict
        What the report may show of the scanner: ``field_T``, ``TR_s``, ``vendor`` ...; never a name.
    warnings : tuple of str
        What was odd, in words for people.
    delays : Delays, optional
        Gradient delays that were looked for or given; its ``applied`` says whether ``coord`` has them.

    Raises
    ------
    ShapeError
        If the arrays do not fit together.
    RawDataError
        If there is no spoke, no signal, or a trajectory that is not finite, all zero, or off the grid.
    """

    kspace: np.ndarray
    coord: np.ndarray
    times: np.ndarray
    heartbeat: np.ndarray
    geometry: Geometry
    navigators: Navigators | None = None
    noise: np.ndarray | None = None
    triggered: bool = False
    name: str = "scan"
    sha256: str = ""
    system: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    delays: Delays | None = None

    def __post_init__(self) -> None:
        # integers and double precision would double the memory of everything behind
        for name, kinds, dtype in (("kspace", "iufc", np.complex64), ("coord", "iuf", np.float32)):
            array = getattr(self, name)
            if array.dtype != dtype and array.dtype.kind in kinds:
                with np.errstate(over="ignore"):  # what does not fit is infinite, and found below
                    object.__setattr__(self, name, array.astype(dtype))
        _check_shapes(self)
        _check_values(self)

    @property
    def n_coils(self) -> int:
        """Number of receive channels."""
        return int(self.kspace.shape[0])

    @property
    def n_spokes(self) -> int:
        """Number of imaging spokes."""
        return int(self.kspace.shape[1])

    @property
    def n_samples(self) -> int:
        """Number of samples on a spoke."""
        return int(self.kspace.shape[2])

    @property
    def is_2d(self) -> bool:
        """Whether the scan is a single slice."""
        return self.geometry.shape[0] == 1

    @property
    def nyquist_fraction(self) -> float:
        """Acquired spokes over those Nyquist asks for: (pi/2) N^2 diameters in 3D, (pi/2) N in 2D.

        A half spoke (centre-out) counts as half a diameter.
        """
        n = max(self.geometry.shape)
        start, end = self.coord[:, 0], self.coord[:, -1]
        radius = np.maximum(np.linalg.norm(start, axis=-1), np.linalg.norm(end, axis=-1))
        length = np.linalg.norm(end - start, axis=-1) / (2 * np.maximum(radius, 1e-6))
        return float(np.sum(length)) / (np.pi / 2 * n ** (1 if self.is_2d else 2))

    def with_warnings(self, *more: str) -> Acquisition:
        """Return the same scan with further warnings."""
        return replace(self, warnings=(*self.warnings, *more))


def _check_shapes(scan: Acquisition) -> None:
    k, c = scan.kspace, scan.coord
    if k.ndim != 3:
        raise ShapeError(f"expected (n_coils, n_spokes, n_samples), got shape {k.shape}", field="kspace")
    if c.ndim != 3 or c.shape[-1] != 3:
        raise ShapeError(f"expected (n_spokes, n_samples, 3), got shape {c.shape}", field="coord")
    if c.shape[:2] != k.shape[1:]:
        raise ShapeError(
            f"trajectory has {c.shape[0]} spokes x {c.shape[1]} samples, data {k.shape[1]} x {k.shape[2]}",
            file=scan.name,
            field="coord",
        )
    for name in ("times", "heartbeat"):
        got = getattr(scan, name).shape
        if got != (k.shape[1],):
            raise ShapeError(f"expected ({k.shape[1]},), got {got}", file=scan.name, field=name)
    if 0 in k.shape:
        raise RawDataError(f"no imaging data: shape {k.shape}", file=scan.name, field="kspace")
    if k.dtype != np.complex64 or c.dtype != np.float32:
        raise ShapeError(
            f"expected complex64 and float32, got {k.dtype} and {c.dtype}", field="kspace, coord"
        )


def _check_values(scan: Acquisition) -> None:
    xp = xp_of(scan.kspace)
    bad = ~xp.isfinite(scan.kspace)
    if bool(bad.any()):
        coil, spoke, sample = (int(i) for i in to_host(xp.argwhere(bad)[0]))
        raise RawDataError(
            f"sample is not finite: coil {coil}, spoke {spoke}, sample {sample}",
            file=scan.name,
            field="kspace",
            hint="--drop-bad leaves such readouts out",
        )
    if not bool(xp.any(scan.kspace)):
        raise RawDataError("no signal: every sample is zero", file=scan.name, field="kspace")
    bad = ~xp.isfinite(scan.coord)
    if bool(bad.any()):
        spoke, sample, axis = (int(i) for i in to_host(xp.argwhere(bad)[0]))
        raise RawDataError(
            f"trajectory is not finite: spoke {spoke}, sample {sample}, axis {'zyx'[axis]}",
            file=scan.name,
            field="coord",
        )
    if not bool(xp.any(scan.coord)):
        raise RawDataError(
            "trajectory is all zero", file=scan.name, field="coord", hint="give one with --trajectory"
        )
