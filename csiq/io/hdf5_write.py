"""HDF5 output that survives a full disk.

A write error inside the HDF5 library leaves objects that cannot be closed, and the process dies of a
segmentation fault instead of an error (HDF5 2.0.0). So the library never sees one: a file object takes all
it writes, remembers the first error, and the caller gets it once the file is closed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py


class _Sink(io.RawIOBase):
    """A file that never fails: after the first error it takes and drops everything."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self.error: OSError | None = None

    def readable(self) -> bool:
        """Return True: HDF5 reads back what it wrote."""
        return True

    def writable(self) -> bool:
        """Return True, also after an error: HDF5 must not see it."""
        return True

    def seekable(self) -> bool:
        """Return True: HDF5 writes at any place."""
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move in the file; return the new place, bytes from the start."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place in the file, bytes from the start."""
        return self._file.tell()

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Fill the buffer from the file; return the bytes read, 0 at its end."""
        return self._file.readinto(buffer) or 0

    def write(self, data: memoryview, /) -> int:  # type: ignore[override]
        """Write all bytes and return their number; keep the first error and drop what comes after it."""
        rest = memoryview(data)
        size = len(rest)
        try:
            while rest and self.error is None:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None, /) -> int:
        """Cut or lengthen the file to ``size`` bytes; keep an error if it is the first."""
        try:
            return self._file.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def close(self) -> None:
        """Close the file; unlike a write, an error here is raised."""
        self._file.close()
        super().close()


@contextmanager
def create_h5(path: Path) -> Iterator[h5py.File]:
    """Create an HDF5 file; what the disk refuses is raised when the block ends.

    Raises
    ------
    OSError
        The first error in writing, with its number.
    """
    sink = _Sink(path)
    try:
        with h5py.File(sink, "w", libver=("v110", "v110")) as file:
            yield file
    except Exception:
        if sink.error is not None:
            raise sink.error from None
        raise
    finally:
        sink.close()
    if sink.error is not None:
        raise sink.error
