"""Graded volumes as NIfTI of 16-bit integers with a scale: half the size of floats, read as floats."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from csiq.errors import ShapeError
from csiq.io.atomic import write_bytes

_TOP = 32767
_SCANNER = 1  # NIfTI code: aligned to the scanner


def write_int16(path: str | Path, volume: np.ndarray, affine: np.ndarray) -> str:
    """Write a magnitude volume as 16-bit integers, atomically; return the SHA-256 of the file.

    Parameters
    ----------
    path : path
        Ends in ``.nii``: uncompressed, so that patches can be read from the file as they are needed. The
        noise in an image leaves little to compress: level 1 of gzip saves a tenth to a sixth.
    volume : real array, (z, y, x)
        Not negative. The largest value becomes 32767, so that a step is 3e-5 of it.
    affine : float array, (4, 4)
        Voxel (x, y, z) to RAS mm.

    Raises
    ------
    ShapeError
        If it is not a volume of finite numbers from 0 on.
    ResourceError
        If it cannot be written.
    """
    import nibabel

    path = Path(path)
    values = np.asarray(volume)
    if values.ndim != 3 or values.dtype.kind not in "fiu":
        raise ShapeError(f"expected a real (z, y, x), got {values.dtype} {values.shape}", file=path)
    if not (np.isfinite(values).all() and values.min() >= 0):
        raise ShapeError("expected finite magnitudes", file=path)
    slope = float(values.max()) / _TOP or 1.0
    stored = np.rint(values / slope).astype(np.int16).transpose(2, 1, 0)
    image = nibabel.Nifti1Image(stored, np.asarray(affine, float))
    image.set_qform(affine, _SCANNER)
    image.set_sform(affine, _SCANNER)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_slope_inter(slope, 0.0)
    content = bytes(image.to_bytes())
    write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()


def bytes_of_volume(matrix: int) -> int:
    """Return how large the file of a volume is."""
    return 2 * matrix**3 + 352
