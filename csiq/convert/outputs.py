"""Where a conversion writes: nothing is replaced that nobody said may be, nothing stays half written."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csiq.errors import ConfigError, OutputError, ResourceError
from csiq.io.atomic import TEMPORARY
from csiq.io.held_folder import held_folder, remove_own_files

#: The record that says csiq made a DICOM folder, and the files it writes there.
RECORD = "csiq.json"
_OWN = re.compile(r"csiq\.json|(phase-\d+/)?\d{4,}\.dcm")


def refuse(paths: list[Path], source: list[Path], *, overwrite: bool) -> None:
    """Refuse outputs that are there already, that are the input, or that have no folder.

    Raises
    ------
    OutputError
        If one exists (without ``overwrite``), or is the input.
    ConfigError
        If the folder it is to lie in does not exist.
    """
    inputs = {path.resolve() for path in source}
    for path in paths:
        if path.resolve() in inputs:
            raise OutputError("is the input", file=path, hint="give another name")
        if path.is_dir():
            raise OutputError("exists and is a folder", file=path, hint="give another name")
        if path.exists() and not overwrite:
            raise OutputError("exists already", file=path, hint="--overwrite replaces it")
        if not path.parent.is_dir():
            raise ConfigError("its folder does not exist", file=path, field="OUT", hint="make it first")


@contextmanager
def series_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a folder to write to that takes its place, whole, when the block ends well.

    Parameters
    ----------
    folder : Path
    overwrite : bool
        Replace what csiq wrote there; other files stay.

    Raises
    ------
    OutputError
        If there is something in it (without ``overwrite``), or csiq did not make it.
    ResourceError
        If it cannot be written.
    """
    if not folder.parent.is_dir():
        raise ConfigError("its folder does not exist", file=folder, field="OUT", hint="make it first")
    with held_folder(folder) as found:
        if found and not overwrite:
            raise OutputError("is not empty", file=folder, hint="--overwrite, or another folder")
        if found and not (folder / RECORD).is_file():
            raise OutputError("csiq did not make it", file=folder, hint="choose another folder")
        beside = folder.parent / f".{folder.name}.{secrets.token_hex(4)}{TEMPORARY}"
        try:
            beside.mkdir()
            yield beside
            _take_over(folder, beside)
        except OSError as error:
            words = error.strerror or str(error)
            raise ResourceError(f"cannot be written: {words}", file=folder, hint="make room?") from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            if not any(folder.iterdir()) and not found:
                shutil.rmtree(folder, ignore_errors=True)


def _take_over(folder: Path, beside: Path) -> None:
    # The record comes last: a folder without it is not whole, and not taken for csiq's
    files = sorted(
        (path for path in beside.rglob("*") if path.is_file()), key=lambda path: (path.name == RECORD, path)
    )
    for path in files:
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    remove_own_files(folder, _OWN, tuple(p.name for p in folder.glob("phase-*") if p.is_dir()))
    for path in files:
        place = folder / path.relative_to(beside)
        place.parent.mkdir(exist_ok=True)
        os.replace(path, place)
