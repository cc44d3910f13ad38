"""Never half a file under a final name: write beside, flush, fsync, rename, fsync the folder."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from csiq.errors import ResourceError, one_line
from csiq.io.sniff import in_bytes

#: End of the name of files that are being written; what a killed run leaves behind ends so.
TEMPORARY = ".csiq-tmp"

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; when the block ends well, it takes the name ``path``.

    The caller writes and closes the temporary file. If the block raises, or the process is killed, what
    lay under ``path`` is as it was.

    Parameters
    ----------
    path : path

    Yields
    ------
    Path
        With the suffixes of ``path`` in front of the temporary one left intact for writers that look at
        them: ``.phase-1.1f3a.csiq-tmp.nii.gz``.

    Raises
    ------
    ResourceError
        If the disk is full, the folder is gone or must not be written.
    """
    path = Path(path)
    stem, dot, suffixes = path.name.partition(".")
    temporary = path.with_name(f".{stem}.{secrets.token_hex(4)}{TEMPORARY}{dot}{suffixes}")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as error:
        raise _resource_error(error, path, temporary) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, content: str) -> None:
    """Write a whole text file atomically, UTF-8."""
    write_bytes(path, content.encode())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _resource_error(error: OSError, path: Path, temporary: Path) -> ResourceError:
    if error.errno in _FULL:
        needed, held = 0, 0
        with suppress(OSError):
            needed, held = temporary.stat().st_size, temporary.stat().st_blocks * 512
        free = shutil.disk_usage(path.parent).free + held
        return ResourceError(
            f"disk full: needs {in_bytes(needed)} or more, {in_bytes(free)} free",
            file=path,
            hint="make room; what was there before is kept",
        )
    words = error.strerror or one_line(error)
    return ResourceError(
        f"cannot be written: {words}", file=path, hint="check the folder and its permissions"
    )
