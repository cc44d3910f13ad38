"""Readers' answers become tables: one column a reading, or one row a verdict on a pair."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from csiq.cohort.checked_table import MISSING
from csiq.errors import ConfigError
from csiq.io.tables import Cell, write_table
from csiq.reading.results import Answer, read_answers
from csiq.reading.sources import natural

#: Columns of the table of pairs; verdicts are worded as in ``ranking.json``.
PAIRS = ("reader", "reading", "a", "b", "verdict", "left", "seconds")


def collect(results: Sequence[str | Path], keys: Sequence[str | Path], output: str | Path) -> dict[str, Any]:
    """Write the table of what readers sent back.

    Grades become ``id`` and one column a reading: ``reader1`` if the reader read every volume once, else
    ``reader1a``, ``reader1b`` ..., the hidden repeats of a session after its first looks, sessions in the
    order of the files; sessions without a common volume share their columns. Pairs become rows
    of ``reader reading a b verdict left seconds``.

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
        If there is no file, grades and pairs are mixed, or two readers' names lead to one column.
    """
    answers, pairs = read_answers(results, keys)
    columns = _write_pairs(output, answers) if pairs else _write_grades(output, answers)
    mode = "pairs" if pairs else "grades"
    return {"mode": mode, "readings": list(_summary(answers)), "columns": columns}


def _write_grades(output: str | Path, answers: Sequence[Answer]) -> list[str]:
    columns = _columns(answers)
    rows: dict[str, dict[str, Cell]] = {}
    for answer in answers:
        (volume,) = answer.key.volumes
        column = columns[answer.reader, answer.key.session, answer.key.reading]
        rows.setdefault(volume, {"id": volume})[column] = float(answer.said)
    ordered = sorted(rows.values(), key=lambda row: natural(str(row["id"])))
    names = ["id", *dict.fromkeys(columns.values())]
    write_table(output, ordered, names)
    return names


def _columns(answers: Sequence[Answer]) -> dict[tuple[str, str, int], str]:
    """Return the column of every reader, session and reading, in the order of the columns."""
    looks: dict[str, dict[str, set[str]]] = {}
    for answer in answers:
        looks.setdefault(answer.reader, {}).setdefault(answer.key.session, set()).update(answer.key.volumes)
    columns: dict[tuple[str, str, int], str] = {}
    for reader, sessions in looks.items():
        place = _rounds(sessions)
        found = {(a.key.session, a.key.reading) for a in answers if a.reader == reader}
        order = sorted({(place[session], reading) for session, reading in found})
        for session, reading in sorted(found, key=lambda f: (place[f[0]], f[1])):
            index = order.index((place[session], reading))
            columns[reader, session, reading] = f"{reader}{_letter(index)}" if len(order) > 1 else reader
    _refuse_equal_names(columns)
    return columns


def _rounds(sessions: Mapping[str, set[str]]) -> dict[str, int]:
    """Number sessions; those of one reader that share no volume are parts of one round of reading."""
    rounds: list[set[str]] = []
    place = {}
    for session, volumes in sessions.items():
        number = next((i for i, held in enumerate(rounds) if not held & volumes), len(rounds))
        if number == len(rounds):
            rounds.append(set())
        rounds[number] |= volumes
        place[session] = number
    return place


def _letter(index: int) -> str:
    return chr(ord("a") + index) if index < 26 else f"_{index + 1}"


def _refuse_equal_names(columns: Mapping[tuple[str, str, int], str]) -> None:
    owner: dict[str, str] = {}
    for (reader, _, _), name in columns.items():
        if owner.setdefault(name, reader) != reader:
            what = f"'{owner[name]}' and '{reader}' both need a column '{name}'"
            raise ConfigError(what, field="--collect", hint="change the column reader of one file")


def _write_pairs(output: str | Path, answers: Sequence[Answer]) -> list[str]:
    rows: list[dict[str, Cell]] = []
    for answer in answers:
        a, b = answer.key.volumes
        row: dict[str, Cell] = {"reader": answer.reader, "reading": answer.key.reading, "a": a, "b": b}
        row |= {"verdict": _verdict(answer), "left": answer.key.left, "seconds": answer.seconds}
        rows.append(row)
    rows.sort(key=lambda row: (str(row["reader"]), natural(str(row["a"])), natural(str(row["b"]))))
    write_table(output, rows, PAIRS)
    return list(PAIRS)


def _verdict(answer: Answer) -> str:
    if answer.said not in ("A", "B"):
        return str(answer.said)
    on_left = answer.said == "A"
    return answer.key.left if on_left else "ab"["ba".index(answer.key.left)]


def _summary(answers: Iterable[Answer]) -> Iterable[dict[str, Any]]:
    groups: dict[tuple[str, str], list[Answer]] = {}
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
