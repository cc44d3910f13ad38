"""What an input file is, from its first bytes, and whether it can be read at all."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from csiq.errors import ConfigError, RawDataError, one_line

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"

#: Offset and bytes that give a format away, and what people call it.
_MAGIC = (
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"%PDF", "a PDF document"),
    (0, b"MATLAB 5.0", "a MATLAB 5 file"),
    (0, b"<?xml", "an XML text"),
    (128, b"DICM", "a DICOM file"),
    (344, b"n+1\0", "a NIfTI image"),
)


#: What ``expected`` is of commands that read raw data.
RAW = "one raw file"


def check_readable(path: Path, expected: str = "a file", *, field: str | None = None) -> None:
    """Raise one clear error unless ``path`` is a file that can be opened and holds something.

    Parameters
    ----------
    path : Path
    expected : str
        For messages: what it should be if it is a folder.
    field : str, optional
        For messages: the option that names it.

    Raises
    ------
    ConfigError
        If there is no such file, or it is a folder, a pipe or a device.
    RawDataError
        If it must not be read, is empty, or is a damaged gzip file.
    """
    try:
        check_is_file(path, expected, field=field)
        with path.open("rb") as stream:
            empty = not stream.read(1)
    except PermissionError:
        hint = "chmod u+r, or ask its owner"
        raise RawDataError("no permission to read it", file=path, field=field, hint=hint) from None
    except OSError as error:
        raise RawDataError(f"cannot be read: {error.strerror}", file=path, field=field) from None
    if empty:
        raise RawDataError("the file is empty (0 bytes)", file=path, field=field, hint="copy it again")
    if path.suffix.lower() == ".gz":
        check_gzip(path)


def check_is_file(
    path: Path, expected: str = "a file", *, field: str | None = None, hint: str = "check the path"
) -> None:
    """Raise unless ``path`` is a file.

    Parameters
    ----------
    path : Path
    expected : str
        For messages: what it should be if it is a folder.
    field : str, optional
        For messages: the option that names it.
    hint : str
        What to do if there is nothing of that name.

    Raises
    ------
    ConfigError
        If there is no such file, or it is a folder, a pipe or a device.
    """
    if path.is_dir():
        advice = "name the file; csiq cohort run takes many scans" if expected == RAW else "name the file"
        raise ConfigError(f"is a folder, expected {expected}", file=path, field=field, hint=advice)
    if not path.exists():
        raise ConfigError("no such file", file=path, field=field, hint=hint)
    # a pipe or a device: whoever opens it may wait for ever, and readers go back and forth
    if not path.is_file():
        raise ConfigError("is no ordinary file", file=path, field=field, hint="write it to a file first")


def check_gzip(path: Path) -> None:
    """Raise unless a gzip file is whole and its checksum right.

    The checksum comes last, and who reads just the voxels he needs never gets there.

    Raises
    ------
    RawDataError
        If it is truncated or damaged.
    """
    try:
        with gzip.open(path) as stream:
            while stream.read(1 << 20):
                pass
    except (OSError, EOFError, zlib.error) as error:
        raise RawDataError(
            f"damaged gzip file ({one_line(error)})", file=path, hint="copy it again"
        ) from None


def identify(path: Path) -> str:
    """Return ``hdf5``, ``twix``, or words for people about a file of another kind."""
    with path.open("rb") as stream:
        head = stream.read(512)
        if _has_hdf5_signature(stream, head):
            return "hdf5"
        if _looks_like_twix(stream, head):
            return "twix"
    for offset, magic, words in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return words
    if not head.strip(b"\0"):
        return "a file of zeros"
    printable = sum(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head)
    return "a text file" if printable == len(head) else "an unknown binary file"


def _has_hdf5_signature(stream: BinaryIO, head: bytes) -> bool:
    # A user block may come first: the signature then sits at 512, 1024, 2048 ...
    offset = 512
    while head[: len(HDF5_SIGNATURE)] != HDF5_SIGNATURE:
        if offset > 1 << 20:
            return False
        stream.seek(offset)
        head = stream.read(len(HDF5_SIGNATURE))
        if not head:
            return False
        offset *= 2
    return True


def _looks_like_twix(stream: BinaryIO, head: bytes) -> bool:
    if len(head) < 24:
        return False
    first, second = struct.unpack_from("<II", head)
    start = 0
    if first < 10000 and 1 <= second <= 64:
        # VD/VE/XA: the measurement's header starts at an offset stated in the table of measurements
        (start,) = struct.unpack_from("<Q", head, 16)
    if start > os.fstat(stream.fileno()).st_size:
        return False
    stream.seek(start)
    # The named parameter buffers stand at the start of every TWIX header, VB and VD alike
    text = stream.read(1 << 16)
    return b"<XProtocol>" in text or b"MeasYaps" in text


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def memory_limit(stated: int | None) -> int:
    """Return the bytes a reader may use: what was stated, else the memory of the machine."""
    if stated is not None:
        return stated
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def in_bytes(n: float) -> str:
    """Return a number of bytes for people: ``298.7 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.0f} B" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} TB"
