"""The pairs as a picture: a row and a column an image, the verdict and the reader's choice in each cell.

Blue where a reader would prefer the image of the row, orange where that of the column: told apart with every
common colour blindness, and the arrows say the same without colour.
"""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from csiq.ranking.comparison import Comparison, Pair
from csiq.ranking.phases import Ranking
from csiq.ranking.preferences import PairPreference, Preferences

#: Orange, white, blue (Okabe and Ito); ink on all of it has a contrast of 4.5 or more.
_COLOURS = LinearSegmentedColormap.from_list("prefers", ["#E69F00", "#FFFFFF", "#56B4E9"])
_INK, _MUTED, _EMPTY = "#1b1f24", "#5b6570", "#eceff2"
#: More images than this have no words in their cells.
_MANY = 16
#: Of a verdict: to the name of the row, or up to that of the column. Letters would be mixed up with names.
_SIGNS = {"a": "←", "b": "↑", "equal": "="}
#: Of the legend.
_LETTERS_AN_INCH = 16


@dataclass(frozen=True)
class _Cell:
    """What one cell says, from the point of view of its row; None where a grade is missing."""

    verdict: str | None
    row: float | None
    equal: float | None
    column: float | None


def pair_matrix(
    compared: Comparison[Any] | Ranking, names: Sequence[str] | None = None, title: str = ""
) -> Figure:
    """Draw all pairs as a matrix.

    A cell has the verdict (an arrow to the name of the better image, at the left or above; =: less than 0.25
    apart) and below it the probability that a reader prefers the row, or finds both equal (after the equals
    sign). Names and grades stand on both axes; the best and what cannot be told from it are printed bold.

    Parameters
    ----------
    compared : Comparison or Ranking
    names : sequence of str, optional
        In place of the labels, ``phase 1`` and so on for a ranking.
    title : str
    """
    images, best, top = _parts(compared)
    known = [str(label) for label, _ in images] if names is None else list(names)
    if names is None and isinstance(compared, Ranking):
        known = [f"phase {label}" for label, _ in images]
    n = len(images)
    widest = max(map(len, known), default=0)
    edge = min(max(0.9 * n, 2.8), 11.0)
    figure = Figure(
        figsize=(edge + 0.075 * widest + 0.9, edge + 1.5), layout="constrained", facecolor="white"
    )
    axes = figure.add_subplot()
    _cells(axes, [label for label, _ in images], _by_pair(compared))
    bold = [label == best or label in top for label, _ in images]
    _name_axes(axes, [_with_grade(name, grade) for name, (_, grade) in zip(known, images, strict=True)], bold)
    axes.set_title(title, fontsize=10, color=_INK, loc="left")
    words = textwrap.fill(_legend(compared), round(_LETTERS_AN_INCH * figure.get_figwidth()))
    figure.supxlabel(words, fontsize=7.5, color=_MUTED, ha="left", x=0.01)
    return figure


def _parts(
    compared: Comparison[Any] | Ranking,
) -> tuple[list[tuple[Hashable, float | None]], Hashable, tuple[Hashable, ...]]:
    if isinstance(compared, Ranking):
        return [(p.phase, p.grade) for p in compared.phases], compared.best_phase, compared.top_set
    return [(i.label, i.grade) for i in compared.images], compared.best, compared.top_set


def _by_pair(compared: Comparison[Any] | Ranking) -> Mapping[tuple[Hashable, Hashable], _Cell]:
    """Return the cells of both halves by row and column."""
    preferences: Preferences[Any] | None = compared.preferences
    said = preferences.pairs if preferences is not None else (None,) * len(compared.pairs)
    cells = {}
    for pair, words in zip(compared.pairs, said, strict=True):
        cells[pair.a, pair.b] = _cell(pair, words)
        cells[pair.b, pair.a] = _turned(cells[pair.a, pair.b])
    return cells


def _cell(pair: Pair[Any], words: PairPreference[Any] | None) -> _Cell:
    if words is None:
        return _Cell(pair.verdict, None, None, None)
    return _Cell(pair.verdict, words.p_a, words.p_equal, words.p_b)


def _turned(cell: _Cell) -> _Cell:
    verdict = {"a": "b", "b": "a"}.get(cell.verdict or "", cell.verdict)
    return _Cell(verdict, cell.column, cell.equal, cell.row)


def _cells(axes: Axes, labels: Sequence[Hashable], cells: Mapping[tuple[Hashable, Hashable], _Cell]) -> None:
    n = len(labels)
    size = max(min(11.0, 100 / max(n, 1)), 5.0)
    for i, row in enumerate(labels):
        for j, column in enumerate(labels):
            cell = cells.get((row, column))
            axes.add_patch(
                Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=_colour(cell), edgecolor="white", lw=2)
            )
            if cell is None or n > _MANY:
                continue
            letter = _SIGNS.get(cell.verdict or "", "–")
            low = 0.0 if cell.row is None else 0.12
            axes.text(
                j, i - low, letter, ha="center", va="center", fontsize=1.3 * size, color=_INK, weight="bold"
            )
            if cell.row is not None and cell.equal is not None:
                text = f"{_percent(cell.row)}, = {_percent(cell.equal)}"
                axes.text(j, i + 0.22, text, ha="center", va="center", fontsize=0.68 * size, color=_INK)
    axes.set_xlim(-0.5, max(n, 1) - 0.5)
    axes.set_ylim(max(n, 1) - 0.5, -0.5)
    axes.set_aspect("equal")


def _colour(cell: _Cell | None) -> Any:
    if cell is None or cell.verdict is None:
        return _EMPTY
    if cell.row is not None and cell.column is not None:
        return _COLOURS(0.5 + 0.5 * (cell.row - cell.column))
    return _COLOURS({"a": 1.0, "b": 0.0}.get(cell.verdict, 0.5))


def _percent(share: float) -> str:
    percent = round(100 * share)
    return "<1 %" if percent < 1 else ">99 %" if percent > 99 else f"{percent} %"


def _with_grade(name: str, grade: float | None) -> str:
    return f"{name}\n{'not graded' if grade is None else f'{grade:.2f}'}"


def _name_axes(axes: Axes, names: Sequence[str], bold: Sequence[bool]) -> None:
    axes.xaxis.tick_top()
    turned = 0 if max((len(part) for name in names for part in name.split("\n")), default=0) <= 10 else 60
    axes.set_xticks(range(len(names)), names, fontsize=8, rotation=turned, ha="left" if turned else "center")
    axes.set_yticks(range(len(names)), names, fontsize=8)
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        for label, is_top in zip(labels, bold, strict=True):
            label.set_fontweight("bold" if is_top else "normal")
    axes.tick_params(length=0, colors=_INK)
    axes.spines[:].set_visible(False)


def _legend(compared: Comparison[Any] | Ranking) -> str:
    said = (
        f"Arrow: to the better image, by a grade of {compared.threshold:g} or more; =: closer. "
        "Blue: row, orange: column. Bold: the best, and what cannot be told from it."
    )
    known = compared.preferences
    if known is None or all(pair.p_a is None for pair in known.pairs):
        return said
    return f"{said} %: a reader prefers the row; after =: finds them equal."


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as its suffix says, ``.png`` or ``.svg``; undated: equal figures give equal bytes.

    Raises
    ------
    ResourceError
        If it cannot be written.
    """
    import matplotlib

    from csiq.io.atomic import atomic_write

    kind = path.suffix[1:].lower()
    about: dict[str, Any] = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
    style: Any = {"svg.hashsalt": "csiq", "svg.fonttype": "path"}
    with matplotlib.rc_context(style), atomic_write(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=150, metadata=about)
