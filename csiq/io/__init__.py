"""Raw scans in, results out.

Readers return an :class:`csiq.acquisition.Acquisition`; which one is chosen by the file's first bytes.
"""

from __future__ import annotations

from pathlib import Path

from csiq.acquisition import Acquisition
from csiq.errors import RawDataError
from csiq.io.options import ReadOptions

__all__ = ["ReadOptions", "read_acquisition"]


def read_acquisition(path: str | Path, options: ReadOptions | None = None) -> Acquisition:
    """Read a raw scan: ISMRMRD (HDF5), Siemens TWIX (``.dat``), or what another package reads.

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
    from csiq.io.sniff import check_readable, identify

    path, options = Path(path), options or ReadOptions()
    check_readable(path)
    kind = identify(path)
    if kind == "hdf5":
        from csiq.io.ismrmrd import is_ismrmrd, read_ismrmrd

        other = None if is_ismrmrd(path, options) else _read_by_plugin(path, options)
        return other or read_ismrmrd(path, options)
    if kind != "twix" and (other := _read_by_plugin(path, options)) is not None:
        return other
    if kind == "twix" or path.suffix.lower() == ".dat":
        from csiq.io.twix import read_twix

        return read_twix(path, options)
    raise RawDataError(
        f"is {kind}; expected ISMRMRD (HDF5) or Siemens TWIX (.dat)",
        file=path,
        hint="convert it to ISMRMRD",
    )


def _read_by_plugin(path: Path, options: ReadOptions) -> Acquisition | None:
    """Return a scan that a reader of another package takes, None if none does."""
    from csiq.io.finish import finish
    from csiq.plugins import reader_of

    reader = reader_of(path)
    return None if reader is None else finish(reader.read_acquisition(path, options), options)
