"""A table somebody may have typed: everything that is wrong with it is said at once, with the lines."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

from csiq.errors import RawDataError, nearest
from csiq.io.sniff import check_is_file

#: Largest grade of the scale; readers use halves.
BEST = 4.0
#: What a missing cell says.
MISSING = "nan"
_SHOWN = 30
#: What else people separate cells by.
_NAMES = {",": "commas", ";": "semicolons", "|": "bars", " ": "spaces"}


class ManifestError(RawDataError):
    """A manifest with something wrong in it.

    Attributes
    ----------
    problems : tuple of str
        Each with its line, in the order of the lines.
    """

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        left = len(problems) - _SHOWN
        more = [f"and {left} more"] if left > 0 else []
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        super().__init__(f"{count}: " + ", ".join([*problems[:_SHOWN], *more]), file=path)


class CheckedTable:
    """The rows of a table and what is wrong with them, collected line by line.

    Parameters
    ----------
    path : Path
    required, optional : sequence of str
        Columns that must, and may, be there.
    further : str
        Pattern of the names of any number of other columns.

    Attributes
    ----------
    columns, further, missing : list of str
        All columns, those whose names follow the pattern, and required ones that are not there.
    rows : list of (int, dict)
        Number of the line, and its cells by column, as text; empty in a column that is missing.

    Raises
    ------
    RawDataError
        If the file cannot be read.
    """

    def __init__(
        self, path: Path, required: Sequence[str], optional: Sequence[str] = (), further: str = "$^"
    ) -> None:
        self.path, self.faults = path, list[tuple[int, str]]()
        lines = _lines(path)
        between = _between(lines[0])
        if between != "\t":
            # it is read all the same, so that everything else that is wrong with it is said, too
            self.fault(1, f"cells are separated by {_NAMES[between]}, expected tabs")
        self.columns = _cells(lines[0], between)
        self.further = [name for name in self.columns if re.fullmatch(further, name)]
        self.missing = [name for name in required if name not in self.columns]
        self._check_columns({*required, *optional, *self.further})
        absent = dict.fromkeys(self.missing, "")
        self.rows: list[tuple[int, dict[str, str]]] = []
        for number, line in enumerate(lines[1:], start=2):
            cells = _cells(line, between)
            if len(cells) == len(self.columns):
                self.rows.append((number, {**absent, **dict(zip(self.columns, cells, strict=True))}))
            elif line.strip():
                self.fault(number, f"{len(cells)} cells, the header has {len(self.columns)}")
        if not self.rows:
            self.fault(len(lines), "no row that can be read")

    def _check_columns(self, known: set[str]) -> None:
        for name in self.missing:
            self.fault(1, f"column '{name}' is missing")
        for name in sorted(set(self.columns) - known):
            self.fault(1, f"column '{name}' is not known ({nearest(name, known)})")
        for name in sorted({n for n in self.columns if self.columns.count(n) > 1}):
            self.fault(1, f"column '{name}' is there twice")

    def fault(self, line: int, what: str) -> None:
        """Write down what is wrong in a line."""
        self.faults.append((line, what))

    def refuse(self) -> None:
        """Raise what was found, in the order of the lines."""
        if self.faults:
            ordered = sorted(self.faults, key=lambda fault: fault[0])
            raise ManifestError(self.path, [f"line {line}: {what}" for line, what in ordered])

    def text(self, line: int, cells: dict[str, str], name: str) -> str:
        """Return a cell that has to say something."""
        if cells[name] in ("", MISSING) and name not in self.missing:
            self.fault(line, f"no {name}")
        return cells[name]

    def file_of(self, line: int, cell: str, name: str, *, check: bool) -> Path:
        """Return the path of a cell, relative to the table's folder; look whether it is there."""
        found = self.path.parent / cell
        if cell in ("", MISSING):
            if name not in self.missing:
                self.fault(line, f"no {name}")
        elif check and not found.exists():
            self.fault(line, f"{name} '{cell}' is not there")
        elif check and found.is_dir():
            self.fault(line, f"{name} '{cell}' is a folder")
        return found

    def grade(self, line: int, name: str, cell: str, *, halves: bool) -> float:
        """Return a grade of the scale, ``nan`` if it is missing or wrong."""
        try:
            value = float(cell)
        except ValueError:
            hint = ", write a decimal point" if re.fullmatch(r"\d,\d+", cell) else ""
            self.fault(line, f"{name} '{cell}' is no number{hint}")
            return math.nan
        if math.isnan(value):
            return value
        if not 0 <= value <= BEST:
            self.fault(line, f"{name} {cell} is off the scale 0 to 4")
        elif halves and not (2 * value).is_integer():
            self.fault(line, f"{name} {cell} is no half grade")
        return value

    def unique(self, name: str, words: str) -> None:
        """Note where a column says what an earlier line said."""
        if name in self.missing:
            return
        first: dict[str, int] = {}
        for line, cells in self.rows:
            before = first.setdefault(os.path.normpath(cells[name]), line)
            if before != line:
                self.fault(line, f"{name} '{cells[name]}' {words}, in line {before}")


def _between(header: str) -> str:
    """Return what separates the cells of a header, a tab unless there is none."""
    return next((mark for mark in ("\t", *_NAMES) if mark in header.strip()), "\t")


def _cells(line: str, between: str) -> list[str]:
    cells = line.split() if between == " " else line.split(between)
    return [cell.strip() for cell in cells]


def _lines(path: Path) -> list[str]:
    check_is_file(path, "a table")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise RawDataError(f"cannot be read: {error.strerror}", file=path) from None
    except UnicodeDecodeError:
        raise RawDataError("is not UTF-8 text, expected a table", file=path) from None
    if not lines:
        raise RawDataError("is empty, expected a header line", file=path)
    return lines
