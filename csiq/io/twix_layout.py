"""How the readouts lie in a Siemens TWIX file, walked independently of the reader.

pymapvbvd takes a truncated file for a whole one and readouts of different sizes for equal ones, so the
record headers (MDH) are walked here first: every readout must lie within the file, the scan must end with
its end mark, and the reader must afterwards find the same number of readouts.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from csiq.errors import RawDataError
from csiq.io.sniff import in_bytes

#: Bits of a readout's evaluation mask.
ACQEND, RTFEEDBACK, HPFEEDBACK, SYNCDATA = 0, 1, 2, 5
REFPHASESTAB, PHASESTAB, PHASCOR = 14, 15, 21
PATREF, PATREF_AND_IMAGE, NOISE, VOP = 22, 23, 25, 53
_NOT_IMAGE = (ACQEND, RTFEEDBACK, HPFEEDBACK, SYNCDATA, REFPHASESTAB, PHASESTAB, PHASCOR, NOISE)


@dataclass(frozen=True)
class _Version:
    """Where things lie in a record: bytes before and per channel, offset of mask, samples, channels."""

    name: str
    before: int
    per_channel: int
    mask: int
    sizes: int


_VB = _Version("VB", 0, 128, 20, 28)
_VD = _Version("VD/VE/XA", 192, 32, 40, 48)


@dataclass(frozen=True)
class Readouts:
    """The readouts of one measurement, in the order of the file: int64 arrays (n,)."""

    mask: np.ndarray
    n_samples: np.ndarray
    n_channels: np.ndarray

    def has(self, bit: int) -> np.ndarray:
        """Return which readouts have a bit of the mask set."""
        return (self.mask >> bit) & 1 == 1

    @property
    def is_image(self) -> np.ndarray:
        """Which readouts are imaging ones, as pymapvbvd decides it."""
        other = np.any([self.has(bit) for bit in _NOT_IMAGE], axis=0)
        return ~(other | (self.has(PATREF) & ~self.has(PATREF_AND_IMAGE)))

    @property
    def is_feedback(self) -> np.ndarray:
        """Which readouts are for feedback, as SI navigators are, as pymapvbvd decides it."""
        return (self.has(RTFEEDBACK) | self.has(HPFEEDBACK)) & ~self.has(VOP)


def walk(path: Path) -> Readouts:
    """Return the readouts of a TWIX file's last measurement: the scan; those before are adjustments.

    Raises
    ------
    RawDataError
        If the file is truncated, damaged or no TWIX file.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            version, start, end = _last_measurement(content, path)
            (header,) = struct.unpack_from("<I", content, start)
            return _walk(content, start + header, end, version, path)
        except (struct.error, ValueError, OverflowError):
            # an offset or size that no file has
            raise _not_twix(path) from None


def _not_twix(path: Path) -> RawDataError:
    return RawDataError("not a readable TWIX file (VB/VD/VE/XA)", file=path)


def _last_measurement(content: mmap.mmap, path: Path) -> tuple[_Version, int, int]:
    first, count = struct.unpack_from("<II", content)
    if not (first < 10000 and count <= 64):
        return _VB, 0, len(content)
    if count == 0:
        raise RawDataError("holds no measurement", file=path, hint="not a readable TWIX file (VB/VD/VE/XA)")
    start, length = struct.unpack_from("<QQ", content, 16 + 152 * (count - 1))
    if start < 8 + 152 * count:
        raise _not_twix(path)
    # XA writes a length of 0; then the end of the file is the end of the scan
    end = start + length if length else len(content)
    if start + 4 > len(content) or end > len(content):
        have, expected = in_bytes(len(content)), in_bytes(end)
        raise RawDataError(f"truncated: {have} of {expected}", file=path, hint="copy it again")
    return _VD, start, end


def _walk(content: mmap.mmap, position: int, end: int, version: _Version, path: Path) -> Readouts:
    found: list[tuple[int, int, int]] = []
    head = version.before or version.per_channel
    while position + head <= end:
        (first,) = struct.unpack_from("<I", content, position)
        (mask,) = struct.unpack_from("<Q", content, position + version.mask)
        n_samples, n_channels = struct.unpack_from("<HH", content, position + version.sizes)
        length = first & 0x1FFFFFF
        if mask >> ACQEND & 1:
            return _readouts(found, path)
        if not mask >> SYNCDATA & 1:
            # The length word is not always right (packed readouts); sample and channel counts are
            length = version.before + n_channels * (version.per_channel + 8 * n_samples)
            found.append((mask, n_samples, n_channels))
        if length < head:
            raise RawDataError(f"damaged at byte {position} (a record of {length} bytes)", file=path)
        position += length
    raise RawDataError(
        f"truncated: the file ends after readout {len(found)}, without the mark at the end of a scan",
        file=path,
        hint="copy it again",
    )


def _readouts(found: list[tuple[int, int, int]], path: Path) -> Readouts:
    if not found:
        raise RawDataError("0 readouts", file=path, hint="was the scan stopped at once?")
    mask = np.array([entry[0] & (2**63 - 1) for entry in found], dtype=np.int64)
    sizes = np.array([entry[1:] for entry in found], dtype=np.int64)
    return Readouts(mask, sizes[:, 0], sizes[:, 1])
