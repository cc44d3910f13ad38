"""What readers sent back becomes tables: one column a reading, or one row a verdict on a pair."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from csiq.cohort.checked_table import MISSING, CheckedTable, ManifestError
from csiq.errors import ConfigError
from csiq.io.tables import Cell, write_table
from csiq.reading.order import READER_NAME
from csiq.reading.session import GRADE_KEY, PAIR_KEY
from csiq.reading.sources import natural

#: Columns of the file a reader exports; pairs have ``choice`` in place of ``grade``.
RESULT = ("session", "reader", "item", "position", "grade", "seconds", "visits", "changes")
PAIR_RESULT = tuple("choice" if name == "grade" else name for name in RESULT)
#: Columns of the table of pairs; verdicts are worded as in ``ranking.json``.
PAIRS = ("reader", "reading", "a", "b", "verdict", "left", "seconds")
_CHOICES = ("A", "B", "equal")
_COUNT = re.compile(r"\d{1,6}")


@dataclass(frozen=True)
class _Key:
    """A row of a key: what a case was."""

    session: str
    reading: int
    volumes: tuple[str, ...]
    left: str


@dataclass(frozen=True)
class _Answer:
    reader: str
    key: _Key
    said: float | str
    seconds: float


@dataclass
class _Faults:
    """What is wrong in any of the files, so that all of it is said at once."""

    files: list[tuple[Path, tuple[str, ...]]] = field(default_factory=list)

    def refuse(self) -> None:
        if len(self.files) == 1:
            raise ManifestError(*self.files[0])
        if self.files:
            problems = [f"{path.name}: {p}" for path, found in self.files for p in found]
            raise ManifestError(self.files[0][0], problems)


def collect(results: Sequence[str | Path], keys: Sequence[str | Path], output: str | Path) -> dict[str, Any]:
    """Write the table of what readers sent back.

    Grades become ``id`` and one column a reading: ``reader1`` if the reader read every volume once, else
    ``reader1a``, ``reader1b`` ..., the hidden repeats of a session after its first looks, sessions in the
    order of the files. Pairs become rows of ``reader reading a b verdict left seconds``.

    Parameters
    ----------
    results : sequence of path
        Files that the page exported; of several sessions if their keys are given.
    keys : sequence of path
        ``key.tsv`` of the sessions.
    output : path

    Returns
    -------
    dict
        ``mode``, ``readings``: [{``reader``, ``session``, ``cases``, ``answered``, ``repeats``,
        ``median_s``}], ``columns``.

    Raises
    ------
    ManifestError
        With everything that is wrong in all files, line by line.
    ConfigError
        If there is no file, or grades and pairs are mixed.
    """
    if not results or not keys:
        raise ConfigError("needs RESULT.tsv and --key key.tsv", field="--collect")
    faults, known, modes = _Faults(), dict[str, _Key](), set[bool]()
    for path in map(Path, keys):
        _checked(faults, path, lambda path: modes.add(_read_key(path, known)))
    if len(modes) > 1:
        raise ConfigError("keys of grades and of pairs do not go into one table", field="--key")
    faults.refuse()
    pairs, answers, before = modes == {True}, list[_Answer](), dict[tuple[str, str], Path]()
    for path in map(Path, results):
        _checked(faults, path, lambda path: answers.extend(_read_result(path, known, before, pairs)))
    faults.refuse()
    columns = _write_pairs(output, answers) if pairs else _write_grades(output, answers)
    mode = "pairs" if pairs else "grades"
    return {"mode": mode, "readings": list(_summary(answers)), "columns": columns}


def _checked(faults: _Faults, path: Path, read: Any) -> None:
    try:
        read(path)
    except ManifestError as error:
        faults.files.append((path, error.problems))


def _read_key(path: Path, known: dict[str, _Key]) -> bool:
    """Add the rows of a key; return whether it is one of pairs."""
    pairs = _has_column(path, "left")
    table = CheckedTable(path, PAIR_KEY if pairs else GRADE_KEY)
    for line, cells in table.rows:
        item, reading = table.text(line, cells, "item"), cells["reading"]
        volumes = tuple(table.text(line, cells, name) for name in (("a", "b") if pairs else ("volume",)))
        left = cells.get("left", "a")
        if item in known:
            table.fault(line, f"item '{item}' is there before")
        if reading not in ("1", "2"):
            table.fault(line, f"reading '{reading}' is neither 1 nor 2")
        if left not in ("a", "b"):
            table.fault(line, f"left '{left}' is neither a nor b")
        session = table.text(line, cells, "session")
        known[item] = _Key(session, int(reading == "2") + 1, volumes, left)
    table.refuse()
    return pairs


def _has_column(path: Path, name: str) -> bool:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            return name in [cell.strip() for cell in stream.readline().split("\t")]
    except (OSError, UnicodeDecodeError):
        return False  # CheckedTable says why it cannot be read


def _read_result(
    path: Path, known: dict[str, _Key], before: dict[tuple[str, str], Path], pairs: bool
) -> list[_Answer]:
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
    missing = [i for i, key in known.items() if key.session in sessions and i not in seen]
    if missing:
        table.fault(1, f"{len(missing)} items of the key are not there ({', '.join(missing[:3])} ...)")
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


def _answer(table: CheckedTable, line: int, cells: dict[str, str], known: dict[str, _Key]) -> _Answer | None:
    key = known.get(cells["item"])
    if not READER_NAME.fullmatch(cells["reader"]):
        table.fault(line, f"'{cells['reader']}' is no name of a reader")
    if key is None or key.session != cells["session"]:
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
    return _Answer(cells["reader"], key, said, _seconds(table, line, cells["seconds"]))


def _seconds(table: CheckedTable, line: int, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        table.fault(line, f"seconds '{cell}' is no time")
    return value


def _write_grades(output: str | Path, answers: Sequence[_Answer]) -> list[str]:
    readings: dict[str, dict[tuple[str, int], None]] = {}
    for answer in sorted(answers, key=lambda a: a.key.reading):
        readings.setdefault(answer.reader, {})
    for answer in answers:
        readings[answer.reader].setdefault((answer.key.session, answer.key.reading))
    columns = _columns(readings)
    rows: dict[str, dict[str, Cell]] = {}
    for answer in answers:
        (volume,) = answer.key.volumes
        column = columns[answer.reader, answer.key.session, answer.key.reading]
        rows.setdefault(volume, {"id": volume})[column] = float(answer.said)
    ordered = sorted(rows.values(), key=lambda row: natural(str(row["id"])))
    names = ["id", *columns.values()]
    write_table(output, ordered, names)
    return names


def _columns(readings: dict[str, dict[tuple[str, int], None]]) -> dict[tuple[str, str, int], str]:
    columns = {}
    for reader, found in readings.items():
        sessions = list(dict.fromkeys(session for session, _ in found))
        ordered = sorted(found, key=lambda f: (sessions.index(f[0]), f[1]))
        for index, (session, reading) in enumerate(ordered):
            letter = chr(ord("a") + index) if len(ordered) > 1 else ""
            columns[reader, session, reading] = f"{reader}{letter}"
    return columns


def _write_pairs(output: str | Path, answers: Sequence[_Answer]) -> list[str]:
    rows: list[dict[str, Cell]] = []
    for answer in answers:
        a, b = answer.key.volumes
        row: dict[str, Cell] = {"reader": answer.reader, "reading": answer.key.reading, "a": a, "b": b}
        row |= {"verdict": _verdict(answer), "left": answer.key.left, "seconds": answer.seconds}
        rows.append(row)
    rows.sort(key=lambda row: (str(row["reader"]), natural(str(row["a"])), natural(str(row["b"]))))
    write_table(output, rows, PAIRS)
    return list(PAIRS)


def _verdict(answer: _Answer) -> str:
    if answer.said not in ("A", "B"):
        return str(answer.said)
    on_left = answer.said == "A"
    return answer.key.left if on_left else "ab"["ba".index(answer.key.left)]


def _summary(answers: Iterable[_Answer]) -> Iterable[dict[str, Any]]:
    groups: dict[tuple[str, str], list[_Answer]] = {}
    for answer in answers:
        groups.setdefault((answer.reader, answer.key.session), []).append(answer)
    for (reader, session), members in groups.items():
        done = [a for a in members if a.said != MISSING and a.said == a.said]
        yield {
            "reader": reader,
            "session": session,
            "cases": len(members),
            "answered": len(done),
            "repeats": sum(a.key.reading == 2 for a in members),
            "median_s": statistics.median(a.seconds for a in done) if done else math.nan,
        }
