"""What a part of a study hands in: tables, pictures, sentences and numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Table:
    """A table of the page, and the numbers behind it.

    Attributes
    ----------
    name : str
        Of its file: ``table-2``.
    caption : str
    head : tuple of str
    body : sequence of tuples of str
        As people read it; the first cell names the row.
    data : sequence of dict
        The same with all digits, for ``NAME.tsv``.
    note : str
        Below it.
    words : tuple of int
        Columns of text, beside the first: they are aligned to the left.
    links : sequence of (str or None)
        Where the first cell of each row leads, relative to the page; none if empty.
    order : sequence of tuples of (float, str or None)
        What each cell is sorted by, None last: people can sort such a table by a click on its head.
    """

    name: str
    caption: str
    head: tuple[str, ...]
    body: Sequence[tuple[str, ...]]
    data: Sequence[Mapping[str, Any]]
    note: str = ""
    words: tuple[int, ...] = ()
    links: Sequence[str | None] = ()
    order: Sequence[tuple[float | str | None, ...]] = ()


@dataclass(frozen=True)
class Picture:
    """A figure of the page, and the numbers drawn in it.

    Attributes
    ----------
    name : str
        Of its files: ``figure-3a``.
    figure : Figure
    alt : str
        What is in it, for those who do not see it.
    caption : str
    data : sequence of dict
        For ``NAME.tsv``.
    share : int
        1 if it takes the width of the page, 2 or 3 if as many stand beside each other.
    is_photograph : bool
        Whether it is of pixels: the page then shows a JPEG instead of lines.
    """

    name: str
    figure: Figure
    alt: str
    caption: str
    data: Sequence[Mapping[str, Any]]
    share: int = 1
    is_photograph: bool = False


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes
    ----------
    title : str
    lead : tuple of str
        What it shows and what follows from it, in sentences.
    items : sequence of Table or Picture
    differences : tuple of str
        Clear differences from the paper, a sentence each.
    numbers : dict
        What ``evaluation.json`` says, under ``key``.
    key : str
        Empty if it adds nothing.
    """

    title: str
    lead: tuple[str, ...] = ()
    items: Sequence[Table | Picture] = ()
    differences: tuple[str, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""


def shown(value: float | None, digits: int = 2, *, sign: bool = False) -> str:
    """Return a number for people, a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    rounded = round(float(value), digits) + 0.0  # no negative zero
    return f"{rounded:{'+' if sign else ''}.{digits}f}".replace("-", "−")


def span(low: float, high: float, digits: int = 2, *, sign: bool = False) -> str:
    """Return an interval for people."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "–"
    return f"{shown(low, digits, sign=sign)} to {shown(high, digits, sign=sign)}"


def plus_minus(mean: float, sd: float, digits: int = 2) -> str:
    """Return mean and standard deviation for people."""
    if not math.isfinite(sd):
        return shown(mean, digits)
    return f"{shown(mean, digits)} ± {shown(sd, digits)}"
