"""The folder of a reading session: a page to hand out, and a key to keep."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from csiq.errors import OutputError, ResourceError
from csiq.io.atomic import TEMPORARY, write_text
from csiq.io.tables import Cell, write_table
from csiq.reading.images import displayed, encode
from csiq.reading.order import ReadingConfig, Session, plan_session
from csiq.reading.page import render
from csiq.reading.sources import Source

#: What stays with the host: which case is which volume.
KEY = "key.tsv"
#: What the reader gets, a folder that needs nothing else.
PAGE = "page"
#: Columns of the key.
GRADE_KEY = ("session", "item", "position", "reading", "volume")
PAIR_KEY = ("session", "item", "position", "reading", "a", "b", "left")
_OWN = re.compile(r"key\.tsv|page/index\.html|page/images/c[0-9a-f]{7}\.js")

#: Called after every image: how many are done, and of how many.
OnImage = Callable[[int, int], None]


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes
    ----------
    folder : Path
    session : str
    n_cases, n_repeats, n_images : int
        Cases without repeats, repeats, image files.
    n_bytes : int
        Size of all images.
    """

    folder: Path
    session: str
    n_cases: int
    n_repeats: int
    n_images: int
    n_bytes: int


def write_session(
    sources: Sequence[Source],
    folder: str | Path,
    config: ReadingConfig | None = None,
    *,
    overwrite: bool = False,
    on_image: OnImage | None = None,
) -> Written:
    """Write a reading session: ``page/`` for the reader, ``key.tsv`` for the host.

    Nothing below ``page/`` tells a volume's name, path, patient or grade, nor whether a case is a repeat.

    Parameters
    ----------
    sources : sequence of Source
        From :func:`csiq.reading.sources.find_sources`.
    folder : path
        Missing or empty.
    config : ReadingConfig, optional
    overwrite : bool
        Remove what csiq wrote there first; nothing else is touched.
    on_image : callable, optional

    Raises
    ------
    OutputError
        If there is something in the folder.
    RawDataError
        If a volume cannot be read, or there is no pair.
    ResourceError
        If it cannot be written.
    """
    folder, config = Path(folder), config or ReadingConfig()
    session = plan_session(sources, config)
    _make_ready(folder, overwrite=overwrite)
    n_bytes, digest = 0, hashlib.sha256(session.session.encode())
    # in the order of their names: the files' times tell nothing of the order of the volumes
    for done, (name, index) in enumerate(session.images.items(), start=1):
        script = encode(name, displayed(sources[index]))
        write_text(folder / PAGE / "images" / f"{name}.js", script)
        n_bytes += len(script)
        digest.update(script.encode())
        if on_image is not None:
            on_image(done, len(session.images))
    # equal names with other voxels are another session: what a browser kept of the one is not of the other
    session = replace(session, session=f"s{digest.hexdigest()[:11]}")
    write_table(folder / KEY, _key(session, sources, config), PAIR_KEY if config.pairs else GRADE_KEY)
    # last: a page that is there is complete
    write_text(folder / PAGE / "index.html", render(session, config))
    n_repeats = sum(case.reading == 2 for case in session.cases)
    n_cases = len(session.cases) - n_repeats
    return Written(folder, session.session, n_cases, n_repeats, len(session.images), n_bytes)


def _key(session: Session, sources: Sequence[Source], config: ReadingConfig) -> list[dict[str, Cell]]:
    rows: list[dict[str, Cell]] = []
    for position, case in enumerate(session.cases, start=1):
        names = [sources[i].name for i in case.volumes]
        row: dict[str, Cell] = {"session": session.session, "item": case.item}
        row |= {"position": position, "reading": case.reading}
        if config.pairs:
            row |= {"a": names[0], "b": names[1], "left": "b" if case.swapped else "a"}
        else:
            row |= {"volume": names[0]}
        rows.append(row)
    return rows


def _make_ready(folder: Path, *, overwrite: bool) -> None:
    images = folder / PAGE / "images"
    if folder.exists() and not folder.is_dir():
        raise OutputError("is a file, expected a folder", file=folder)
    found = [p for p in folder.rglob("*") if p.is_file()] if folder.is_dir() else []
    if found and not overwrite:
        raise OutputError("is not empty", file=folder, hint="choose another folder with -o, or --overwrite")
    if found and not (folder / KEY).is_file() and not images.is_dir():
        raise OutputError("csiq did not make it", file=folder, hint="choose another folder")
    try:
        for path in found:
            if _OWN.fullmatch(path.relative_to(folder).as_posix()) or TEMPORARY in path.name:
                path.unlink()
        images.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"cannot be made: {error.strerror}", file=folder) from None
