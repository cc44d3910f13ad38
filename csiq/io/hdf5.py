"""HDF5 input that cannot surprise: no link is followed out of the file, no size believed unchecked.

HDF5 may store data in other files (external links, external raw storage, virtual datasets); a hostile
file would have csiq read any file of the user. Each is refused before a byte is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from csiq.errors import CsiqError, RawDataError, one_line
from csiq.io.heap import check_heaps
from csiq.io.sniff import identify, in_bytes, memory_limit

_TRUNCATED = re.compile(r"truncated file: eof = (\d+).*stored_eof = (\d+)")

#: What h5py raises on damaged content.
_DAMAGE = (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError, UnicodeDecodeError)


@contextmanager
def open_h5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; damage found on opening is one clear error.

    Raises
    ------
    RawDataError
        If it is truncated, damaged or no HDF5 file.
    """
    try:
        check_heaps(path)
        file = h5py.File(path, "r", locking="best-effort")
    except _DAMAGE as error:
        raise _unopened(path, error) from None
    with file:
        yield file


@contextmanager
def reading(path: Path, where: str | None = None) -> Iterator[None]:
    """Turn what h5py raises on damaged content into a :class:`RawDataError` that says where."""
    try:
        yield
    except CsiqError:
        raise
    except _DAMAGE as error:
        raise _damaged(path, error, where) from None


def _unopened(path: Path, error: Exception) -> RawDataError:
    try:
        kind = identify(path)
    except OSError:
        kind = "hdf5"  # what the error says has to do
    if kind == "hdf5":
        return _damaged(path, error)
    return RawDataError(f"is {'a Siemens TWIX file' if kind == 'twix' else kind}; expected HDF5", file=path)


def _damaged(path: Path, error: Exception, where: str | None = None) -> RawDataError:
    found = _TRUNCATED.search(str(error))
    if found:
        have, expected = (in_bytes(int(n)) for n in found.groups())
        return RawDataError(f"truncated: {have} of {expected}", file=path, field=where, hint="copy it again")
    return RawDataError(
        f"damaged HDF5 ({one_line(error, 160)})", file=path, field=where, hint="copy it again"
    )


def find_node(file: h5py.File, name: str) -> h5py.Group | h5py.Dataset | None:
    """Return what lies at ``name``, or None; every step must be a plain link within the file.

    Raises
    ------
    RawDataError
        If a step is a soft or external link, or the node cannot be read.
    """
    node: h5py.Group | h5py.Dataset = file
    path, walked = Path(file.filename), ""
    for part in filter(None, name.split("/")):
        walked += f"/{part}"
        with reading(path, walked):
            link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
            if link is None:
                return None
            if not isinstance(link, h5py.HardLink):
                raise RawDataError("is a link; links are not followed", file=path, field=walked)
            node = node[part]
    return node


def find_dataset(file: h5py.File, name: str) -> h5py.Dataset | None:
    """Return the dataset at ``name``, or None; its bytes lie in this file and can be decoded.

    Raises
    ------
    RawDataError
        If it is linked, virtual, stored in another file, or compressed with a filter that is not here.
    """
    node = find_node(file, name)
    if not isinstance(node, h5py.Dataset):
        return None
    path = Path(file.filename)
    with reading(path, name):
        if node.is_virtual or node.external:
            kind = "virtual dataset" if node.is_virtual else "external storage"
            raise RawDataError(f"its data lies in other files ({kind}): refused", file=path, field=name)
        _check_filters(node, path, name)
        # Asked for here once: a garbled type or shape shows now, not in the middle of something else
        _ = node.dtype, node.shape
    return node


def _check_filters(node: h5py.Dataset, path: Path, name: str) -> None:
    plist = node.id.get_create_plist()
    for i in range(plist.get_nfilters()):
        code, _, _, label = plist.get_filter(i)
        if not h5py.h5z.filter_avail(code):
            words = label.decode(errors="replace") or "unnamed"
            raise RawDataError(
                f"compressed with filter {code} ({words}), which is not installed",
                file=path,
                field=name,
                hint="h5repack -f NONE",
            )


def check_size(node: h5py.Dataset, limit: int | None, itemsize: int | None = None) -> None:
    """Raise unless the dataset's declared size fits into memory and, uncompressed, into the file.

    Parameters
    ----------
    node : h5py.Dataset
    limit : int, optional
        Bytes that may be used; None: the memory of the machine.
    itemsize : int, optional
        Bytes of one element once read; the dataset's own by default.
    """
    path = Path(node.file.filename)
    need = int(np.prod(node.shape, dtype=object)) * (itemsize or node.dtype.itemsize)
    check_memory(need, limit, path, node.name)
    with reading(path, node.name):
        raw = node.id.get_create_plist().get_nfilters() == 0
        stored = node.id.get_storage_size()
    if raw and need and stored < int(np.prod(node.shape, dtype=object)) * node.dtype.itemsize:
        raise RawDataError(
            f"declares {in_bytes(need)}, holds {in_bytes(stored)}",
            file=path,
            field=node.name,
            hint="it was not written to the end",
        )


def check_memory(need: int, limit: int | None, path: Path, where: str) -> None:
    """Raise unless ``need`` bytes are within the limit (None: the memory of the machine)."""
    allowed = memory_limit(limit)
    if need > allowed:
        raise RawDataError(
            f"declares {in_bytes(need)}, {in_bytes(allowed)} allowed",
            file=path,
            field=where,
            hint="--max-memory",
        )


def groups_of(file: h5py.File) -> list[str]:
    """Return the names of the groups at the top of the file (links left out)."""
    names = []
    with reading(Path(file.filename), "/"):
        for name in file:
            link = file.get(name, getlink=True)
            if isinstance(link, h5py.HardLink) and file.get(name, getclass=True) is h5py.Group:
                names.append(str(name))
    return names


def text_of(node: h5py.Dataset, path: Path) -> bytes:
    """Return the one text of a dataset.

    Raises
    ------
    RawDataError
        If it holds something else.
    """
    with reading(path, node.name):
        if node.size < 1 or node.size > 16:
            raise RawDataError(f"expected one header, got {node.size}", file=path, field=node.name)
        value = node[()] if node.ndim == 0 else node[(0,) * node.ndim]
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, bytes):
        raise RawDataError(f"expected text, got {node.dtype}", file=path, field=node.name)
    return value
