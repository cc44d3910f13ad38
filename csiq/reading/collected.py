"""Readers' answers become tables: one column a reading, or one row a verdict on a pair."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from csiq.cohort.checked_table import MISSING
from csiq.io.tables import Cell, write_table
from csiq.reading.results import Answer, read_answers
from csiq.reading.sources import natural

#: Columns of the table of pairs; verdicts are worded as in ``ranking.json``.
PAIRS = ("reader", "reading", "a", "b", "verdict", "left", "seconds")


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
    answers, pairs = read_answers(results, keys)
    columns = _write_pairs(output, answers) if pairs else _write_grades(output, answers)
    mode = "pairs" if pairs else "grades"
    return {"mode": mode, "readings": list(_summary(answers)), "columns": columns}


def _write_grades(output: str | Path, answers: Sequence[Answer]) -> list[str]:
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
