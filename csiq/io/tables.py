"""Text that people and scripts read: strict JSON, and tables separated by tabs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from csiq.errors import RawDataError
from csiq.io.atomic import write_text

#: What a cell of a table may be.
Cell = str | float | int | None


def write_json(path: str | Path, content: Any) -> None:
    """Write strict JSON, atomically: what is not finite becomes ``null``.

    Parameters
    ----------
    path : path
    content : anything JSON knows, dataclasses, NumPy scalars and arrays, and paths (their base name)
    """
    write_text(path, json.dumps(strict(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def strict(value: Any) -> Any:
    """Return a value that strict JSON can hold; NaN and infinity become None, paths their base name.

    Raises
    ------
    TypeError
        If there is something JSON cannot hold.
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (np.integer, np.bool_)):
        return value.item()
    if isinstance(value, Path):
        return value.name
    if is_dataclass(value) and not isinstance(value, type):
        return strict(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): strict(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return strict(value.tolist())
    if isinstance(value, (list, tuple)):
        return [strict(entry) for entry in value]
    raise TypeError(f"JSON cannot hold {type(value).__name__}")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    RawDataError
        If it is missing, not readable or no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RawDataError(f"cannot be read: {error.strerror}", file=path) from None
    except (ValueError, RecursionError) as error:
        raise RawDataError(f"is no JSON: {error}", file=path) from None


def write_table(
    path: str | Path, rows: Iterable[Mapping[str, Cell]], columns: Sequence[str] | None = None
) -> None:
    """Write a table separated by tabs, atomically: a header line, one line a row, missing = ``nan``.

    Parameters
    ----------
    path : path
    rows : iterable of mappings
        Column name to cell; None and NaN are missing. Floats keep all their digits.
    columns : sequence of str, optional
        Their order; those of the first row by default, needed if there is no row.

    Raises
    ------
    ValueError
        If a row has a column that is not among ``columns``, or text holds a tab or line break.
    """
    rows = list(rows)
    names = list(columns) if columns is not None else list(rows[0])
    lines = ["\t".join(names)]
    for row in rows:
        extra = set(row) - set(names)
        if extra:
            raise ValueError(f"unknown columns: {', '.join(sorted(extra))}")
        lines.append("\t".join(_cell(row.get(name)) for name in names))
    write_text(path, "\n".join(lines) + "\n")


def _cell(value: Cell) -> str:
    if value is None:
        return "nan"
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    if any(mark in value for mark in "\t\r\n"):
        raise ValueError(f"a cell holds a tab or line break: {value!r}")
    return value


def read_table(path: str | Path) -> list[dict[str, Any]]:
    """Read a table that :func:`write_table` wrote.

    Returns
    -------
    list of dict
        One a row, column name to int, float (``nan``: missing) or str.

    Raises
    ------
    RawDataError
        If it cannot be read, or a line has another number of cells than the header.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise RawDataError(f"cannot be read: {error.strerror}", file=path) from None
    except UnicodeDecodeError:
        raise RawDataError("is not UTF-8 text, expected a table", file=path) from None
    lines = text.splitlines()
    if not lines:
        raise RawDataError("is empty, expected a header line", file=path)
    names, rows = lines[0].split("\t"), []
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split("\t")
        if len(cells) != len(names):
            raise RawDataError(
                f"{len(cells)} cells, the header has {len(names)}", file=path, field=f"line {number}"
            )
        rows.append({name: _value(cell) for name, cell in zip(names, cells, strict=True)})
    return rows


def _value(cell: str) -> str | float | int:
    for kind in (int, float):
        try:
            # int() and float() accept 1_000, which no table of ours holds
            return cell if "_" in cell else kind(cell)
        except ValueError:
            continue
    return cell
