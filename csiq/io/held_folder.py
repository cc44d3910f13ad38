"""A folder that results are written to: made, held against others, and looked into."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from csiq._version import __version__
from csiq.errors import OutputError, RawDataError, ResourceError
from csiq.io import lock
from csiq.io.atomic import TEMPORARY
from csiq.io.tables import read_json, strict, write_json


def make_folder(folder: Path) -> None:
    """Make a folder if it is missing.

    Raises
    ------
    OutputError
        If there is a file of that name.
    ResourceError
        If it cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError("exists and is no folder", file=folder, hint="choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "choose another folder"
        raise ResourceError(f"cannot be made: {error.strerror}", file=folder, hint=hint) from None


@contextmanager
def held_folder(folder: Path) -> Iterator[list[Path]]:
    """Make a folder and hold it; nobody else of csiq's writes to it meanwhile.

    Parameters
    ----------
    folder : Path

    Yields
    ------
    list of Path
        What is in it, beside the lock and what killed programs left half written.

    Raises
    ------
    OutputError
        If another process holds it, or it is no folder.
    ResourceError
        If it cannot be made or written to.
    """
    make_folder(folder)
    held = lock.FolderLock(folder)
    try:
        yield [p for p in folder.iterdir() if p.name != lock.NAME and TEMPORARY not in p.name]
    finally:
        held.release()


@contextmanager
def own_folder(
    folder: Path, record: str, *, overwrite: bool = False, resume: bool = False
) -> Iterator[list[Path]]:
    """Hold a folder that is empty, or that csiq made and may go on with.

    Parameters
    ----------
    folder : Path
    record : str
        Name of the file without which csiq did not make it.
    overwrite, resume : bool
        One of the two lets it have something in it. Nothing is removed here.

    Yields
    ------
    list of Path
        As :func:`held_folder`.

    Raises
    ------
    OutputError
        If there is something in it, csiq did not make it, or another process holds it.
    ResourceError
        If it cannot be made or written to.
    """
    with held_folder(folder) as found:
        if found and not (overwrite or resume):
            raise OutputError("is not empty", file=folder, hint="--resume or --overwrite")
        if found and not (folder / record).is_file():
            raise OutputError("csiq did not make it", file=folder, hint="choose another folder")
        yield found


def write_record(path: Path, config: Mapping[str, Any], status: str, **content: Any) -> dict[str, Any]:
    """Write what a folder says of itself and return it, as it comes back from JSON.

    Parameters
    ----------
    path : Path
        The record itself.
    config : mapping
        What the folder is of.
    status : str
    **content
        What there is to say more.
    """
    record = {"schema_version": 1, "status": status, "csiq": __version__, "config": config, **content}
    plain = dict(strict(record))
    write_json(path, plain)
    return plain


def config_in(path: Path) -> dict[str, Any]:
    """Return what a folder is of, by its record.

    Raises
    ------
    OutputError
        If the record cannot be read.
    """
    try:
        return dict(read_json(path)["config"])
    except (RawDataError, KeyError, TypeError, ValueError):
        raise OutputError("its record cannot be read", file=path.parent, hint="--overwrite") from None


def remove_own_files(folder: Path, own: re.Pattern[str], subfolders: tuple[str, ...] = ()) -> None:
    """Remove files by their paths within a folder; subfolders go only if that leaves them empty.

    Parameters
    ----------
    folder : Path
    own : pattern
        Matches the paths of all files csiq writes there, as in ``tables/pairs.tsv``.
    subfolders : tuple of str
        Those csiq makes.
    """
    inside = [path for name in subfolders for path in sorted(folder.glob(f"{name}/*"))]
    for path in [*sorted(folder.glob("*")), *inside]:
        ours = own.fullmatch(path.relative_to(folder).as_posix()) or TEMPORARY in path.name
        if ours and path.is_file() and not path.is_symlink():
            path.unlink()
    for name in subfolders:
        sub = folder / name
        if sub.is_dir() and not any(sub.iterdir()):
            sub.rmdir()
