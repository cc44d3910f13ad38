"""Raw scans in, results out.

Readers return an :class:`csiq.acquisition.Acquisition`; which one is chosen by the file's first bytes.
"""

from __future__ import annotations

from pathlib import Path

from csiq.acquisition import Acquisition
from csiq.errors import CsiqError, RawDataError
from csiq.io.options import ReadOptions

__all__ = ["ReadOptions", "read_acquisition"]


def read_acquisition(path: str | Path, options: ReadOptions | None = None) -> Acquisition:
    """Read a raw scan: ISMRMRD or plain arrays (HDF5), Siemens TWIX (``.dat``), BART (``.cfl``), ``.npy``.

    Readers of other packages (:mod:`csiq.plugins`) are asked about files that csiq does not know.

    Parameters
    ----------
    path : path
    options : ReadOptions, optional

    Returns
    -------
    Acquisition

    Raises
    ------
    RawDataError
        If it is no raw scan, damaged, or says something impossible.
    ConfigError
        If there is no such file, or an option does not fit it.
    """
    path = Path(path)
    try:
        return _read(path, options or ReadOptions())
    except CsiqError as error:
        if error.file is not None:
            raise
        # What is found in arrays does not know the file they come from
        raise type(error)(error.what, file=path, field=error.field, hint=error.hint) from error


def _read(path: Path, options: ReadOptions) -> Acquisition:
    from csiq.io.sniff import RAW, check_readable, identify

    if path.suffix in (".cfl", ".hdr"):
        from csiq.io.bart import read_bart

        return read_bart(path, options)
    check_readable(path, RAW)
    kind = identify(path)
    if kind == "hdf5":
        return _read_hdf5(path, options)
    if kind != "twix" and (other := _read_by_plugin(path, options)) is not None:
        return other
    if kind == "twix" or path.suffix.lower() == ".dat":
        from csiq.io.twix import read_twix

        return read_twix(path, options)
    if kind == "a NumPy array":
        from csiq.io.plain_arrays import read_npy

        return read_npy(path, options)
    raise RawDataError(
        f"is {kind}; expected ISMRMRD (HDF5), Siemens TWIX (.dat) or BART (.cfl)",
        file=path,
        hint="docs/formats.md says what is read",
    )


def _read_hdf5(path: Path, options: ReadOptions) -> Acquisition:
    from csiq.io.ismrmrd import is_ismrmrd, read_ismrmrd

    if is_ismrmrd(path, options):
        return read_ismrmrd(path, options)
    from csiq.io.plain_arrays import read_plain_h5

    # Without k-space and trajectory it is no scan of plain arrays: the error is ISMRMRD's
    other = _read_by_plugin(path, options) or read_plain_h5(path, options)
    return other or read_ismrmrd(path, options)


def _read_by_plugin(path: Path, options: ReadOptions) -> Acquisition | None:
    """Return a scan that a reader of another package takes, None if none does."""
    from csiq.io.finish import finish
    from csiq.plugins import reader_of

    reader = reader_of(path)
    return None if reader is None else finish(reader.read_acquisition(path, options), options)
