"""The folder of one run: who may write to it, what may be removed, and how its files are written."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from csiq.acquisition import Geometry
from csiq.errors import OutputError, RawDataError, ResourceError
from csiq.io import lock
from csiq.io.atomic import TEMPORARY, atomic_write, write_bytes, write_text
from csiq.io.held_folder import make_folder
from csiq.io.tables import Cell, read_json, read_table, write_json, write_table
from csiq.io.volumes import end_checkpoints, read_checkpoint, write_checkpoint, write_volumes

__all__ = [
    "RunFolder",
    "atomic_write",
    "is_run_folder",
    "read_json",
    "read_table",
    "write_bytes",
    "write_json",
    "write_table",
    "write_text",
]

#: Every file csiq writes into a run folder, by name.
OWN_FILES = re.compile(
    r"run\.json|curves\.(tsv|png|svg)|(shadow|truth)\.tsv|ranking\.(json|tsv|png|svg)|fractions\.(tsv|png)|respiration\.tsv"
    r"|report\.html|csiq\.log|phase-\d+\.(nii\.gz|nii|json)|volumes\.h5|checkpoint(\.prev)?\.h5|extend\.h5"
)
_OWN_ITERATES = re.compile(r"iter-\d+\.h5")


def is_run_folder(path: str | Path) -> bool:
    """Return whether csiq made a folder: its ``run.json`` says so."""
    try:
        content = read_json(Path(path) / "run.json")
    except RawDataError:
        return False
    return isinstance(content, dict) and "csiq" in content and "schema_version" in content


class RunFolder:
    """A locked folder that results are written to.

    Made by :meth:`open`, best in a ``with`` statement, which lets go of the lock at its end.

    Attributes
    ----------
    path : Path
    """

    def __init__(self, path: Path, held: lock.FolderLock) -> None:
        self.path = path
        self._lock = held

    @classmethod
    def open(cls, path: str | Path, *, overwrite: bool = False, resume: bool = False) -> RunFolder:
        """Make the folder ready before any work starts.

        A folder that is missing is made; an empty one is fine, and one in which a run failed before it had
        anything to show is emptied.

        Parameters
        ----------
        path : path
        overwrite : bool
            Remove what csiq wrote there; nothing else is touched.
        resume : bool
            Keep what is there.

        Raises
        ------
        OutputError
            If there is something in it (without either option), or another run is writing to it.
        ResourceError
            If it cannot be made or written to.
        """
        path = Path(path)
        make_folder(path)
        folder = cls(path, lock.FolderLock(path))
        try:
            folder._prepare(overwrite, resume)
        except BaseException:
            folder.close()
            raise
        return folder

    def _prepare(self, overwrite: bool, resume: bool) -> None:
        self._test_writing()
        found = [p for p in self.path.iterdir() if p.name != lock.NAME and TEMPORARY not in p.name]
        if self._failed_at_once(found):
            overwrite = True
        if found and not (overwrite or resume):
            complete = " (a complete run)" if self.status == "complete" else ""
            raise OutputError(f"is not empty{complete}", file=self.path, hint="--overwrite or --resume")
        self._remove_temporary()
        if not is_run_folder(self.path):
            foreign = sorted(p.name for p in found if OWN_FILES.fullmatch(p.name) and p.name != "csiq.log")
            if foreign:
                raise OutputError(
                    f"csiq did not make it, and would replace {foreign[0]}",
                    file=self.path,
                    hint="choose another folder with -o",
                )
        elif overwrite and not resume:
            self.remove_own_files()

    def _failed_at_once(self, found: Sequence[Path]) -> bool:
        """Return whether nothing is there but the word of a run that failed."""
        return {p.name for p in found} <= {"run.json", "csiq.log"} and self.status == "failed"

    def _test_writing(self) -> None:
        test = self.path / f".test{TEMPORARY}"
        try:
            test.write_bytes(b"csiq")
        except OSError as error:
            raise ResourceError(
                f"cannot be written: {error.strerror}", file=self.path, hint="choose another folder with -o"
            ) from None
        finally:
            with suppress(OSError):
                test.unlink(missing_ok=True)

    def _remove_temporary(self) -> None:
        """Remove what killed runs left half written."""
        for folder in (self.path, self.path / "iterates"):
            if folder.is_dir():
                for leftover in folder.glob(f".*{TEMPORARY}*"):
                    leftover.unlink(missing_ok=True)

    def remove_own_files(self) -> None:
        """Remove the files csiq writes, by name; folders go only if that leaves them empty."""
        iterates = self.path / "iterates"
        if iterates.is_dir() and not iterates.is_symlink():
            for file in iterates.iterdir():
                if _OWN_ITERATES.fullmatch(file.name):
                    file.unlink()
            with suppress(OSError):
                iterates.rmdir()
        for file in self.path.iterdir():
            if OWN_FILES.fullmatch(file.name) and not file.is_dir():
                file.unlink()

    @property
    def status(self) -> str | None:
        """What ``run.json`` says: running, complete, interrupted or failed; None without one."""
        try:
            content = read_json(self.path / "run.json")
        except RawDataError:
            return None
        return str(content.get("status")) if isinstance(content, dict) else None

    def write_json(self, name: str, content: Any) -> None:
        """Write a JSON file; see :func:`csiq.io.tables.write_json`."""
        write_json(self.path / name, content)

    def write_table(
        self, name: str, rows: Iterable[Mapping[str, Cell]], columns: Sequence[str] | None = None
    ) -> None:
        """Write a table; see :func:`csiq.io.tables.write_table`."""
        write_table(self.path / name, rows, columns)

    def write_volumes(self, volumes: np.ndarray, geometry: Geometry, iteration: int | Sequence[int]) -> None:
        """Write ``volumes.h5``."""
        write_volumes(self.path / "volumes.h5", volumes, geometry, iteration)

    def write_iterate(self, volumes: np.ndarray, geometry: Geometry, iteration: int) -> None:
        """Write ``iterates/iter-003.h5``."""
        folder = self.path / "iterates"
        folder.mkdir(exist_ok=True)
        write_volumes(folder / f"iter-{iteration:03d}.h5", volumes, geometry, iteration)

    def write_checkpoint(self, arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Any]) -> None:
        """Write ``checkpoint.h5``; the one before becomes ``checkpoint.prev.h5``."""
        write_checkpoint(self.path, arrays, attributes)

    def read_checkpoint(self) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """Return the latest checkpoint that is whole, or None."""
        return read_checkpoint(self.path)

    def end_checkpoints(self, *, keep: bool) -> None:
        """Remove the checkpoints of a run that is complete, or keep the last to extend it from."""
        end_checkpoints(self.path, keep=keep)

    def free_bytes(self) -> int:
        """Return how much room the disk has."""
        return shutil.disk_usage(self.path).free

    def close(self) -> None:
        """Let go of the lock."""
        self._lock.release()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
