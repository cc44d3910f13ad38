"""Inline SVG: elements whose text is escaped, axes, ticks and markers.

No element has a style of its own: the page's policy would block it. Colours come from the style sheet by
class, so that a chart is drawn for paper, a bright and a dark screen alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

#: Width of a chart on a desk and on a telephone, pixels: text has its own size on both.
WIDE, NARROW = 876, 340
#: Outlines of the markers about their centre, one a phase in turn; the radius is about 4.
_MARKERS = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "M-3.6 -3.6h7.2v7.2h-7.2z",
    "M0 -4.8L4.4 3.2H-4.4z",
    "M0 -5L4.2 0L0 5L-4.2 0z",
    "M0 4.8L4.4 -3.2H-4.4z",
    "M-1.6 -4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3z",
)
#: Classes of colour: the style sheet has as many.
N_COLOURS = len(_MARKERS)


@dataclass(frozen=True)
class Axes:
    """The place of a plot in its drawing, and the numbers at its edges.

    Attributes
    ----------
    left, top, width, height : float
        Pixels.
    x, y : (float, float)
        Numbers at the left and right edge, and at the bottom and top.
    """

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    @property
    def right(self) -> float:
        """Right edge, pixels."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Lower edge, pixels."""
        return self.top + self.height

    def at_x(self, value: float) -> float:
        """Return where a number lies across."""
        return self.left + self.width * (value - self.x[0]) / (self.x[1] - self.x[0])

    def at_y(self, value: float) -> float:
        """Return where a number lies down."""
        return self.bottom - self.height * (value - self.y[0]) / (self.y[1] - self.y[0])


def element(tag: str, *children: Markup | str | float, **attributes: object) -> Markup:
    """Return an element; children and values are escaped unless they are markup already.

    Parameters
    ----------
    tag : str
    children : markup, str or number
    attributes
        ``class_`` is class, other underscores are hyphens; None is left out.
    """
    named = ((name.rstrip("_").replace("_", "-"), value) for name, value in attributes.items())
    head = Markup("").join(Markup(' {}="{}"').format(n, _short(v)) for n, v in named if v is not None)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(tag), head, joined(children))


def joined(parts: Iterable[Markup | str | float]) -> Markup:
    """Return parts one behind the other, escaped."""
    return Markup("").join(escape(part) for part in parts)


def _short(value: object) -> object:
    """Return a number with at most two places behind the point: a hundredth of a pixel is enough."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def drawing(size: tuple[float, float], label: str, *children: Markup, **attributes: object) -> Markup:
    """Return an SVG of a size in pixels; ``label`` is what a screen reader says of it."""
    box = f"0 0 {size[0]:g} {size[1]:g}"
    return element("svg", *children, viewBox=box, role="img", aria_label=label, **attributes)


def text(x: float, y: float, words: object, **attributes: object) -> Markup:
    """Return words at a place; ``text_anchor`` and ``class_`` as attributes."""
    return element("text", str(words), x=x, y=y, **attributes)


def line(start: tuple[float, float], end: tuple[float, float], **attributes: object) -> Markup:
    """Return a straight line."""
    return element("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], **attributes)


def curve(points: Sequence[tuple[float, float]], **attributes: object) -> Markup:
    """Return a line through points; it is broken where a point is not a number."""
    words, gap = [], True
    for x, y in points:
        if not (math.isfinite(x) and math.isfinite(y)):
            gap = True
            continue
        words.append(f"{'M' if gap else 'L'}{_short(float(x))} {_short(float(y))}")
        gap = False
    return element("path", d="".join(words), **attributes)


def dots(points: Iterable[tuple[float, float]], **attributes: object) -> Markup:
    """Return many dots as one element; their size is the width of the line."""
    return element("path", d="".join(f"M{_short(float(x))} {_short(float(y))}h0" for x, y in points),
                   **attributes)  # fmt: skip


def marker(x: float, y: float, phase: int, **attributes: object) -> Markup:
    """Return the marker of a phase, counted from 1."""
    place = f"translate({_short(float(x))} {_short(float(y))})"
    return element("path", d=_MARKERS[(phase - 1) % N_COLOURS], transform=place, **attributes)


def colour(phase: int) -> str:
    """Return the class that gives a phase its colour; phase 0, not used, is grey."""
    return f"p{(phase - 1) % N_COLOURS}" if phase else "none"


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers from ``low`` to ``high``, at most about ``most``."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low] if math.isfinite(low) else []
    raw = span / max(most, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def whole_ticks(last: int, most: int) -> list[int]:
    """Return whole numbers from 0 to ``last`` in even steps, at most about ``most`` of them."""
    step = next(s for s in _steps() if last / s <= most)
    return list(range(0, last + 1, step))


def _steps() -> Iterable[int]:
    power = 1
    while True:
        yield from (power, 2 * power, 5 * power)
        power *= 10
