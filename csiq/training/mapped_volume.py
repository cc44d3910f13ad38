"""A volume that stays on disk: what is asked for is read, scaled and made float32."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from csiq.errors import RawDataError, one_line
from csiq.io.atomic import atomic_write

_TOP = 32767
_INTEGERS, _REALS = "iu", "iuf"


@dataclass(frozen=True)
class MappedVolume:
    """Where the voxels of a volume lie in a file; nothing is held in memory or kept open.

    Indexing and :meth:`take` read from the file; ``np.asarray`` reads all of it.

    Attributes
    ----------
    path : Path
    offset : int
        Bytes before the first voxel.
    stored : str
        dtype in the file, with its byte order.
    shape : (int, int, int)
        z, y, x; x lies together in the file.
    voxel_size : (float, float, float)
        mm, z y x.
    slope, intercept : float
        A voxel is ``slope * stored + intercept``.
    """

    path: Path
    offset: int
    stored: str
    shape: tuple[int, ...]
    voxel_size: tuple[float, float, float]
    slope: float = 1.0
    intercept: float = 0.0

    ndim = 3
    dtype = np.dtype(np.float32)

    @property
    def is_integer(self) -> bool:
        """Whether integers are stored, which are all finite."""
        return np.dtype(self.stored).kind in _INTEGERS

    @property
    def nbytes(self) -> int:
        """Bytes of the voxels in the file."""
        return int(np.prod(self.shape)) * np.dtype(self.stored).itemsize

    def mapped(self) -> np.ndarray:
        """Return what is stored, mapped from disk, unscaled.

        Raises
        ------
        RawDataError
            If the file is gone or too short.
        """
        try:
            return np.memmap(self.path, self.stored, mode="r", offset=self.offset, shape=self.shape)
        except (OSError, ValueError) as error:
            raise RawDataError(f"cannot be read: {one_line(error)}", file=self.path) from None

    def __getitem__(self, key: Any) -> np.ndarray:
        return self._scaled(self.mapped()[key])

    def take(self, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> np.ndarray:
        """Return planes, as :func:`numpy.take` does."""
        return self._scaled(np.take(self.mapped(), indices, axis=axis))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._scaled(self.mapped()), dtype=dtype)

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        real = np.array(values, dtype=np.float32)
        if self.slope != 1.0:
            real *= np.float32(self.slope)
        if self.intercept != 0.0:
            real += np.float32(self.intercept)
        return real


def map_nifti(path: Path) -> MappedVolume:
    """Return a volume in an uncompressed NIfTI file.

    Raises
    ------
    RawDataError
        If it is damaged, not of three axes, or neither integers nor floats.
    """
    import nibabel

    try:
        image: Any = nibabel.load(path)
        proxy, shape = image.dataobj, tuple(int(n) for n in image.shape)
        zooms = [float(size) for size in image.header.get_zooms()[:3]]
        stored, offset, slope, intercept = proxy.dtype, proxy.offset, proxy.slope, proxy.inter
    except (OSError, ValueError, EOFError, AttributeError, nibabel.filebasedimages.ImageFileError) as error:
        raise RawDataError(f"no readable NIfTI image ({one_line(error)})", file=path) from None
    shape = (*shape[:3],) if len(shape) > 3 and all(n == 1 for n in shape[3:]) else shape
    if len(shape) != 3:
        raise RawDataError(f"expected three axes, got shape {shape}", file=path)
    if stored.kind not in _REALS:
        raise RawDataError(f"expected integers or floats, got {stored}", file=path)
    found = MappedVolume(
        path, int(offset), stored.str, shape[::-1], (zooms[2], zooms[1], zooms[0]), slope, intercept
    )
    if path.stat().st_size < found.offset + found.nbytes:
        raise RawDataError("is cut short", file=path)
    return found


def write_mapped(path: Path, volume: np.ndarray, voxel_size: tuple[float, float, float]) -> MappedVolume:
    """Write a volume as a 16-bit ``.npy`` with a JSON beside it; return it mapped.

    Values that are not finite make it float32, so that whoever checks can see them.

    Parameters
    ----------
    path : Path
        Ends in ``.npy``.
    volume : real array, (z, y, x)
    voxel_size : (float, float, float)
        mm, z y x.
    """
    magnitude = np.abs(volume)
    slope, stored = 1.0, magnitude.astype(np.float32)
    if np.isfinite(magnitude).all():
        slope = float(magnitude.max(initial=0)) / _TOP or 1.0
        stored = np.rint(magnitude / slope).astype(np.int16)
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.save(file, np.ascontiguousarray(stored))
    content = {"voxel_size_mm": list(voxel_size), "slope": slope}
    with atomic_write(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
    return map_npy(path)


def map_npy(path: Path) -> MappedVolume:
    """Return a volume in a ``.npy`` file with a JSON beside it that says ``voxel_size_mm`` (z y x).

    Raises
    ------
    RawDataError
        If either is missing or damaged.
    """
    try:
        array = np.load(path, mmap_mode="r")
        beside = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        z, y, x = (float(size) for size in beside["voxel_size_mm"])
        slope = float(beside.get("slope", 1.0))
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        hint = f"{path.with_suffix('.json').name} beside it says voxel_size_mm (z y x)"
        raise RawDataError(f"no readable .npy volume ({one_line(error)})", file=path, hint=hint) from None
    if not isinstance(array, np.memmap) or array.ndim != 3 or array.dtype.kind not in _REALS:
        raise RawDataError(f"expected three axes of numbers, got {array.dtype} {array.shape}", file=path)
    if not array.flags.c_contiguous:
        raise RawDataError("expected C order", file=path)
    return MappedVolume(path, int(array.offset), array.dtype.str, array.shape, (z, y, x), slope)
