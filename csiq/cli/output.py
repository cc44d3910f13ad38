"""What commands print: strict JSON lines, and tables that stay readable when piped."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import click


def json_line(content: Any) -> str:
    """Return one line of strict JSON: null for what is not finite, base names for paths."""
    from csiq.io.tables import strict

    return json.dumps(strict(content), ensure_ascii=False, allow_nan=False)


def echo_pairs(pairs: Mapping[str, object]) -> None:
    """Print names and values in two columns, leaving out what is None."""
    shown = {name: value for name, value in pairs.items() if value is not None}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        click.echo(f"{name:<{width}}  {value}")


def echo_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table with aligned columns, numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(name), *(len(row[i]) for row in cells), 0) for i, name in enumerate(columns)]
    to_right = [
        all(isinstance(row[i], int | float) or row[i] is None for row in rows) for i in range(len(columns))
    ]
    for line in [list(columns), *cells]:
        padded = [
            c.rjust(w) if right else c.ljust(w) for c, w, right in zip(line, widths, to_right, strict=True)
        ]
        click.echo("  ".join(padded).rstrip())


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
