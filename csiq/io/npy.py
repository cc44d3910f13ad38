"""``.npy`` files of other programs: no pickle runs, and no size is believed that the file does not have."""

from __future__ import annotations

import warnings
from pathlib import Path
from tokenize import TokenError

import numpy as np

from csiq.errors import RawDataError, one_line
from csiq.io.hdf5 import check_memory
from csiq.io.sniff import identify

#: What NumPy raises on damaged headers, or ones that promise more than there is.
_DAMAGE = (ValueError, TypeError, OSError, EOFError, OverflowError, TokenError, RuntimeWarning)


def load_npy(
    path: Path, *, field: str | None = None, expected: str = ".npy", limit: int | None = None
) -> np.ndarray:
    """Return the array of a ``.npy`` file.

    Parameters
    ----------
    path : Path
        That can be opened (:func:`csiq.io.sniff.check_readable`).
    field : str, optional
        For messages: what names the file.
    expected : str
        For messages: what could have been read.
    limit : int, optional
        Bytes that may be used; the memory of the machine by default.

    Raises
    ------
    RawDataError
        If it is damaged or truncated, no ``.npy`` file, or larger than the limit.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # the product of absurd lengths overflows
            # mapped, a header's lengths are held against the file's before anything is allocated
            found = np.load(path, mmap_mode="r", allow_pickle=False)
    except _DAMAGE as error:
        kind = identify(path)
        if kind == "a NumPy array":
            what = f"not a whole .npy of numbers ({one_line(error)})"
            raise RawDataError(what, file=path, field=field) from None
        raise RawDataError(f"is {kind}; expected {expected}", file=path, field=field) from None
    if not isinstance(found, np.ndarray):
        found.close()
        raise RawDataError(f"is {identify(path)}; expected {expected}", file=path, field=field)
    check_memory(found.nbytes, limit, path, field or "size")
    return np.array(found)
