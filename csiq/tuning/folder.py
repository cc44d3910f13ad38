"""The folder of a sweep: who may write to it, what is in it, and what may be removed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from csiq.errors import OutputError, RawDataError
from csiq.io.held_folder import held_folder, remove_own_files
from csiq.io.tables import read_json, strict, write_json, write_table
from csiq.pipeline import Result
from csiq.tuning.images import png_of, window_of
from csiq.tuning.point import Point

RECORD, TABLE, PAGE, POINTS = "tune.json", "tune.tsv", "tune.html", "points"
#: Every file csiq writes into it, by its path there.
OWN_FILES = re.compile(r"tune\.(json|tsv|png|svg|html)|points/lamda-[0-9.e+-]+\.(json|png)")


class TuneFolder:
    """A folder that is held while a sweep writes to it.

    Attributes
    ----------
    path : Path
    record : dict or None
        What ``tune.json`` said when it was opened; None if it is new.
    """

    def __init__(self, path: Path, record: dict[str, Any] | None) -> None:
        self.path = path
        self.record = record
        self._window: float | None = record.get("window") if record is not None else None

    @classmethod
    @contextmanager
    def open(cls, path: Path, *, overwrite: bool = False, resume: bool = False) -> Iterator[TuneFolder]:
        """Make the folder ready and hold it.

        Parameters
        ----------
        path : Path
            Missing or empty, unless one of the options is given.
        overwrite : bool
            Remove what csiq wrote there; nothing else is touched.
        resume : bool
            Keep what is there.

        Raises
        ------
        OutputError
            If there is something in it (without either option), csiq did not make it, or another process
            writes to it.
        ResourceError
            If it cannot be made or written to.
        """
        with held_folder(path) as found:
            record = record_of(path)
            if found and not (overwrite or resume):
                complete = " (a complete sweep)" if (record or {}).get("status") == "complete" else ""
                raise OutputError(f"is not empty{complete}", file=path, hint="--overwrite or --resume")
            if found and record is None:
                raise OutputError("csiq did not make it", file=path, hint="choose another folder with -o")
            if found and overwrite:
                remove_own_files(path, OWN_FILES, (POINTS,))
                record = None
            (path / POINTS).mkdir(exist_ok=True)
            yield cls(path, record)

    def write_record(self, content: dict[str, Any]) -> None:
        """Write ``tune.json``."""
        write_json(self.path / RECORD, {**content, "window": self._window})

    def write_point(self, point: Point) -> None:
        """Write ``points/lamda-0.02.json``."""
        write_json(self._of(point.lamda, "json"), strict(point.as_json()))

    def write_table(self, points: Sequence[Point]) -> None:
        """Write ``tune.tsv``."""
        write_table(self.path / TABLE, [point.row() for point in points])

    def write_images(self, lamda: float, result: Result) -> None:
        """Write ``points/lamda-0.02.png``: the same slice of the first and the last phase.

        The window is that of the first weight that was finished, for all.
        """
        from csiq.io.atomic import write_bytes

        geometry = result.geometry
        if self._window is None:
            self._window = window_of(result.volumes, geometry)
        write_bytes(self._of(lamda, "png"), png_of(result.volumes, geometry, self._window))

    def points(self) -> list[Point]:
        """Return the finished points; what is damaged counts as not finished."""
        found = []
        for path in sorted((self.path / POINTS).glob("lamda-*.json")):
            try:
                found.append(Point.from_json(read_json(path)))
            except RawDataError:
                continue
        return found

    def _of(self, lamda: float, kind: str) -> Path:
        return self.path / image_name(lamda, kind)


def image_name(lamda: float, kind: str = "png") -> str:
    """Return where a file of a weight lies within the folder."""
    return f"{POINTS}/lamda-{lamda!r}.{kind}"


def record_of(path: Path) -> dict[str, Any] | None:
    """Return ``tune.json`` of a folder; None if csiq wrote none there."""
    try:
        found = read_json(path / RECORD)
    except RawDataError:
        return None
    return found if isinstance(found, dict) and "csiq" in found and "schema_version" in found else None
