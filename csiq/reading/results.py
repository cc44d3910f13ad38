"""What readers sent back, checked line by line against the key that says what they saw."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from csiq.cohort.checked_table import MISSING, CheckedTable, ManifestError
from csiq.errors import ConfigError
from csiq.reading.order import READER_NAME
from csiq.reading.session import GRADE_KEY, PAIR_KEY

#: Columns of the file a reader exports; pairs have ``choice`` in place of ``grade``.
RESULT = ("session", "reader", "item", "position", "grade", "seconds", "visits", "changes")
PAIR_RESULT = tuple("choice" if name == "grade" else name for name in RESULT)
_CHOICES = ("A", "B", "equal")
_COUNT = re.compile(r"\d{1,6}")


@dataclass(frozen=True)
class Key:
    """What a case was.

    Attributes
    ----------
    session : str
    reading : int
        1 for the first look, 2 for the hidden repeat.
    volumes : tuple of str
        One, or the two of a pair.
    left : str
        Which of the pair was A: ``a``, the first, or ``b``.
    """

    session: str
    reading: int
    volumes: tuple[str, ...]
    left: str


#: By session and item.
_Keys = dict[tuple[str, str], Key]


@dataclass(frozen=True)
class Answer:
    """What a reader said of a case.

    Attributes
    ----------
    reader : str
    key : Key
    said : float or str
        The grade, NaN if there is none; of pairs ``A``, ``B``, ``equal`` or ``nan``.
    seconds : float
    """

    reader: str
    key: Key
    said: float | str
    seconds: float


@dataclass
class _Faults:
    """What is wrong in any of the files, so that all of it is said at once."""

    files: list[tuple[Path, tuple[str, ...]]] = field(default_factory=list)

    def refuse(self) -> None:
        """Raise one :class:`ManifestError` with all that was found, with its file if files are several."""
        if len(self.files) == 1:
            raise ManifestError(*self.files[0])
        if self.files:
            problems = [f"{path.name}: {p}" for path, found in self.files for p in found]
            raise ManifestError(self.files[0][0], problems)


def read_answers(results: Sequence[str | Path], keys: Sequence[str | Path]) -> tuple[list[Answer], bool]:
    """Read exported files.

    Parameters
    ----------
    results : sequence of path
        Files that the page exported.
    keys : sequence of path
        ``key.tsv`` of their sessions.

    Returns
    -------
    answers : list of Answer
        In the order of the files.
    pairs : bool
        Whether they are verdicts on pairs.

    Raises
    ------
    ManifestError
        With everything that is wrong in all files, line by line.
    ConfigError
        If there is no file, or grades and pairs are mixed.
    """
    if not results or not keys:
        raise ConfigError("needs RESULT.tsv and --key key.tsv", field="--collect")
    faults, known, modes = _Faults(), _Keys(), set[bool]()
    for path in map(Path, keys):
        _checked(faults, path, lambda path: modes.add(_read_key(path, known)))
    if len(modes) > 1:
        raise ConfigError("keys of grades and of pairs do not go into one table", field="--key")
    faults.refuse()
    pairs, answers, before = modes == {True}, list[Answer](), dict[tuple[str, str], Path]()
    for path in map(Path, results):
        _checked(faults, path, lambda path: answers.extend(_read_result(path, known, before, pairs)))
    faults.refuse()
    return answers, pairs


def _checked(faults: _Faults, path: Path, read: Any) -> None:
    try:
        read(path)
    except ManifestError as error:
        faults.files.append((path, error.problems))


def _read_key(path: Path, known: _Keys) -> bool:
    """Add the rows of a key; return whether it is one of pairs."""
    pairs = _has_column(path, "left")
    table = CheckedTable(path, PAIR_KEY if pairs else GRADE_KEY)
    for line, cells in table.rows:
        session, item = table.text(line, cells, "session"), table.text(line, cells, "item")
        reading = cells["reading"]
        volumes = tuple(table.text(line, cells, name) for name in (("a", "b") if pairs else ("volume",)))
        left = cells.get("left", "a")
        if (session, item) in known:
            table.fault(line, f"item '{item}' is there before")
        if reading not in ("1", "2"):
            table.fault(line, f"reading '{reading}' is neither 1 nor 2")
        if left not in ("a", "b"):
            table.fault(line, f"left '{left}' is neither a nor b")
        known[session, item] = Key(session, int(reading == "2") + 1, volumes, left)
    table.refuse()
    return pairs


def _has_column(path: Path, name: str) -> bool:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            return name in [cell.strip() for cell in stream.readline().split("\t")]
    except (OSError, UnicodeDecodeError):
        return False  # CheckedTable says why it cannot be read


def _read_result(path: Path, known: _Keys, before: dict[tuple[str, str], Path], pairs: bool) -> list[Answer]:
    table = CheckedTable(path, PAIR_RESULT if pairs else RESULT)
    _one_reading(table, before)
    answers, seen = [], dict[str, int]()
    for line, cells in table.rows:
        answer = _answer(table, line, cells, known)
        if answer is not None and seen.setdefault(cells["item"], line) != line:
            table.fault(line, f"item '{cells['item']}' is there before, in line {seen[cells['item']]}")
        elif answer is not None:
            answers.append(answer)
    sessions = {answer.key.session for answer in answers}
    missing = [item for session, item in known if session in sessions and item not in seen]
    if missing:
        more = " ..." if len(missing) > 3 else ""
        table.fault(1, f"{len(missing)} items of the key are not there ({', '.join(missing[:3])}{more})")
    table.refuse()
    return answers


def _one_reading(table: CheckedTable, before: dict[tuple[str, str], Path]) -> None:
    """Note a file that mixes readers or sessions, or repeats what another file says."""
    _, first = table.rows[0] if table.rows else (0, {"session": "", "reader": ""})
    for line, cells in table.rows:
        for name in ("session", "reader"):
            if cells[name] != first[name]:
                table.fault(line, f"{name} '{cells[name]}', in the first line '{first[name]}'")
    reading = (first["session"], first["reader"])
    earlier = before.setdefault(reading, table.path)
    if earlier is not table.path:
        words = f"reader '{reading[1]}' has read this session in {earlier.name} already"
        table.fault(1, f"{words}; if it was somebody else, change the name")


def _answer(table: CheckedTable, line: int, cells: dict[str, str], known: _Keys) -> Answer | None:
    key = known.get((cells["session"], cells["item"]))
    if not READER_NAME.fullmatch(cells["reader"]):
        table.fault(line, f"'{cells['reader']}' is no name of a reader")
    if key is None:
        table.fault(line, f"item '{cells['item']}' of session '{cells['session']}' is not in the key")
        return None
    for name in ("position", "visits", "changes"):
        if not _COUNT.fullmatch(cells[name]):
            table.fault(line, f"{name} '{cells[name]}' is no count")
    said: float | str = MISSING
    if "choice" not in cells:
        said = table.grade(line, "grade", cells["grade"], halves=True)
    elif cells["choice"] in (*_CHOICES, MISSING):
        said = cells["choice"]
    else:
        table.fault(line, f"choice '{cells['choice']}' is none of A, B, equal")
    return Answer(cells["reader"], key, said, _seconds(table, line, cells["seconds"]))


def _seconds(table: CheckedTable, line: int, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        table.fault(line, f"seconds '{cell}' is no time")
    return value
