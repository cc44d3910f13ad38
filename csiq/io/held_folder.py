"""A folder that results are written to: made, held against others, and looked into."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csiq.errors import OutputError, ResourceError
from csiq.io import lock
from csiq.io.atomic import TEMPORARY


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
        raise OutputError("exists and is no folder", file=folder, hint="choose another with -o")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "choose another folder with -o"
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
