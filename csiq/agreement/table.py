"""Tables of readers: one row a case, one column a reader, checked as a whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from csiq.agreement.scale import HALVES
from csiq.cohort.checked_table import CheckedTable
from csiq.errors import ConfigError, RawDataError, nearest

#: What the first column may be called: in a table of readers, and in a graded manifest.
KEYS = ("id", "volume")
#: Columns of a manifest that hold no grades, whatever is in them.
_NO_READERS = ("patient", "split")
_COLLECT = "csiq read --collect {} --key key.tsv -o readers.tsv makes a table of readers"
_PAIRS = ("holds verdicts on pairs, not grades", "csiq agree compares grades")
#: Columns by which other tables of ``csiq read`` are known, what they are, and what to do.
_OF_READING = (
    ({"session", "item", "reader", "grade"}, ("is what one reader sent back", _COLLECT)),
    ({"session", "item", "reader", "choice"}, _PAIRS),
    ({"reading", "a", "b", "verdict"}, _PAIRS),
    ({"session", "item", "position", "reading"}, ("is the key of a reading", _COLLECT)),
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)
_MISSING = ("", "nan", "na")


@dataclass(frozen=True)
class ReaderTable:
    """Grades of several readers.

    Attributes
    ----------
    ids : tuple of str
        Cases.
    readers : dict of str to float64 array, (n_cases,)
        In the order of the columns; NaN where missing.
    left_out : tuple of str
        Columns without any number, such as comments.
    """

    ids: tuple[str, ...]
    readers: dict[str, np.ndarray]
    left_out: tuple[str, ...]

    @property
    def off_scale(self) -> int:
        """How many grades are below 0 or above 4; kappa clips them."""
        grades = np.concatenate(list(self.readers.values()))
        return int(((grades < HALVES[0]) | (grades > HALVES[-1])).sum())


def read_readers(path: str | Path, only: Sequence[str] = ()) -> ReaderTable:
    """Read a table of readers, or a graded manifest.

    Cells are separated by tabs. The first column, ``id`` or ``volume``, names the case; every other column
    that holds numbers is a reader, save ``patient`` and ``split``. A cell that is empty, ``nan`` or ``NA``
    is missing.

    Parameters
    ----------
    path : path
    only : sequence of str
        Readers that are wanted; all by default.

    Raises
    ------
    ManifestError
        With everything that is wrong, each with its line: columns, cells that are no numbers, a case that
        is there twice, fewer than two readers.
    RawDataError
        If the file cannot be read, or is another table of ``csiq read``.
    ConfigError
        If there is no such file, or a wanted reader is not in it.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder, expected a table" if path.is_dir() else "no such file"
        raise ConfigError(what, file=path, hint="check the path")
    table = CheckedTable(path, (), further=".*")
    _check_kind(table)
    key = table.columns[0]
    candidates = [name for name in table.columns[1:] if name.lower() not in _NO_READERS]
    _check_wanted(only, candidates, path)
    wanted = [name for name in candidates if not only or name in only]
    left_out = [name for name in wanted if not only and _is_text(table, name)]
    readers = [name for name in wanted if name not in left_out]
    _check_header(table, readers)
    grades = [[_grade(table, line, name, cells[name]) for name in readers] for line, cells in table.rows]
    ids = tuple(table.text(line, cells, key) for line, cells in table.rows)
    table.unique(key, "is there before")
    table.refuse()
    columns = np.array(grades, np.float64).reshape(len(ids), len(readers)).T
    return ReaderTable(ids, dict(zip(readers, columns, strict=True)), tuple(left_out))


def _check_kind(table: CheckedTable) -> None:
    """Refuse a table of ``csiq read`` that is not yet, or never, one of readers."""
    for columns, (what, hint) in _OF_READING:
        if columns <= set(table.columns):
            result = table.path.name if "grade" in columns else "RESULT.tsv"
            raise RawDataError(what, file=table.path, hint=hint.format(result))


def _check_wanted(only: Sequence[str], there: Sequence[str], path: Path) -> None:
    for name in only:
        if name not in there:
            raise ConfigError(
                f"there is no column '{name}'", file=path, field="--reader", hint=nearest(name, there)
            )


def _check_header(table: CheckedTable, readers: Sequence[str]) -> None:
    if len(table.columns) == 1:
        table.fault(1, "one column; cells have to be separated by tabs")
        return
    if table.columns[0].lower() not in KEYS:
        table.fault(1, f"the first column is '{table.columns[0]}', expected 'id'")
    if "" in table.columns:
        table.fault(1, "a column has no name")
    if len(readers) < 2:
        found = f" ({readers[0]})" if readers else ""
        table.fault(1, f"{len(readers)} columns of grades{found}, a comparison needs two or more")


def _is_text(table: CheckedTable, name: str) -> bool:
    """Return whether a column says something, but never a number."""
    said = [cells[name] for _, cells in table.rows if cells[name].lower() not in _MISSING]
    return bool(said) and not any(_NUMBER.fullmatch(cell) or _COMMA.fullmatch(cell) for cell in said)


def _grade(table: CheckedTable, line: int, name: str, cell: str) -> float:
    if cell.lower() in _MISSING:
        return float("nan")
    if not _NUMBER.fullmatch(cell):
        hint = ", write a decimal point" if _COMMA.fullmatch(cell) else ""
        table.fault(line, f"{name} '{cell}' is no number{hint}")
        return float("nan")
    value = float(cell)
    if not np.isfinite(value):
        table.fault(line, f"{name} '{cell}' is too large")
        return float("nan")
    return value
