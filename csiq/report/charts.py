"""Further charts of the page as inline SVG: ranking, breathing, and how the patches were graded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from markupsafe import Markup

from csiq.history import THRESHOLD
from csiq.ranking import Ranking
from csiq.report import svg
from csiq.report.breathing import Breathing
from csiq.report.facts import number

#: The ends of the readers' scale and its steps, in a word or two.
_SCALE = ("non- diagnostic", "marked blurring", "moderate blurring", "mild blurring", "excellent")
#: Width of a bin of patch grades: a quarter of a grade, what readers cannot tell apart.
_BIN = THRESHOLD


def _size(width: int) -> str:
    return "chart wide" if width == svg.WIDE else "chart narrow"


# ---------------------------------------------------------------- ranking


def ranking_chart(ranking: Ranking, noise: Sequence[float], width: int) -> Markup:
    """Return the grades of the phases on the 0-4 scale; shaded: what cannot be told from the best.

    Parameters
    ----------
    ranking : Ranking
    noise : sequence of float
        Noise floor of each phase's grade, drawn as a bar to both sides.
    width : int
        ``svg.WIDE`` or ``svg.NARROW``.
    """
    graded = {p.phase: p.grade for p in ranking.phases if p.grade is not None}
    each = 30 if len(ranking.phases) <= 12 else 18
    axes = svg.Axes(62, 6, width - 62 - 24, each * len(ranking.phases), _range(graded.values()), (0.0, 1.0))
    best = max(graded.values(), default=0.0)
    left, right = axes.at_x(max(best - THRESHOLD, axes.x[0])), axes.at_x(best)
    parts = [
        svg.element("rect", x=left, y=axes.top, width=right - left, height=axes.height, class_="alike"),
        *_scale(axes),
        *(
            _bar(axes, axes.top + each * (row + 0.5), p.phase, graded.get(p.phase), noise[p.phase - 1])
            for row, p in enumerate(ranking.phases)
        ),
    ]
    label = "Grade of each phase on the scale from 0 to 4; numbers in the table below"
    return svg.drawing((width, axes.bottom + 48), label, *parts, class_=_size(width))


def _range(grades: Iterable[float]) -> tuple[float, float]:
    known = list(grades)
    return min(-0.05, *known, 0.0), max(4.05, *known, 4.0)


def _scale(axes: svg.Axes) -> Iterator[Markup]:
    for value, words in enumerate(_SCALE):
        x = axes.at_x(value)
        yield svg.line((x, axes.top), (x, axes.bottom), class_="grid")
        yield svg.text(x, axes.bottom + 16, value, text_anchor="middle")
        for row, word in enumerate(words.split()):
            yield svg.text(x, axes.bottom + 30 + 12 * row, word, text_anchor="middle", class_="small")


def _bar(axes: svg.Axes, y: float, phase: int, grade: float | None, noise: float) -> Markup:
    name = svg.text(axes.left - 8, y + 4, f"phase {phase}", text_anchor="end")
    if grade is None:
        return name
    low, high = axes.at_x(grade - noise), axes.at_x(grade + noise)
    parts = [svg.line((low, y), (high, y), class_="error")]
    parts += [svg.line((x, y - 4), (x, y + 4), class_="error") for x in (low, high)]
    parts.append(svg.marker(axes.at_x(grade), y, phase, class_="mark"))
    tip = svg.element("title", f"phase {phase}: {number(grade)} ± {number(noise)}")
    return svg.joined([name, svg.element("g", tip, *parts, class_=f"curve {svg.colour(phase)}")])


# ---------------------------------------------------------------- breathing


def breathing_chart(breathing: Breathing, label: str, width: int) -> Markup:
    """Return the gating signal over time and its histogram, coloured by phase, with the edges of the bins.

    Parameters
    ----------
    breathing : Breathing
    label : str
        Of the vertical axis.
    width : int
    """
    shown = breathing.thinned()
    low, high = float(breathing.signal.min()), float(breathing.signal.max())
    margin = 0.05 * (high - low) or 1.0
    side = round(0.2 * width)
    span = (float(shown.times[0]), max(float(shown.times[-1]), float(shown.times[0]) + 1e-9))
    axes = svg.Axes(44, 6, width - 44 - side - 22, 190, span, (low - margin, high + margin))
    counts = svg.Axes(axes.right + 12, 6, side, 190, (0.0, 1.0), axes.y)
    place = f"translate(12 {(axes.top + axes.bottom) / 2:g}) rotate(-90)"
    middle = (axes.left + axes.right) / 2
    parts = [
        *_heights(axes),
        *_over_time(axes, shown),
        *_counts(counts, breathing),
        *_edges(axes, counts.right, breathing),
        *(
            svg.text(axes.at_x(t), axes.bottom + 16, f"{t:g}", text_anchor="middle")
            for t in svg.ticks(*axes.x, 8 if width == svg.WIDE else 4)
        ),
        svg.line((axes.left, axes.bottom), (axes.right, axes.bottom), class_="axis"),
        svg.text(middle, axes.bottom + 34, "time (s)", text_anchor="middle", class_="title"),
        svg.text(0, 0, label, text_anchor="middle", class_="title", transform=place),
        svg.text(counts.left, axes.bottom + 34, "spokes", class_="title"),
    ]
    words = "Gating signal over time and its histogram, with the edges of the bins"
    return svg.drawing((width, axes.bottom + 40), words, *parts, class_=_size(width))


def _heights(axes: svg.Axes) -> Iterator[Markup]:
    """Yield the numbers at the left and their lines."""
    for tick in svg.ticks(*axes.y, 5):
        y = axes.at_y(tick)
        yield svg.line((axes.left, y), (axes.right, y), class_="grid")
        yield svg.text(axes.left - 6, y + 4, number(tick, ".4g"), text_anchor="end")


def _over_time(axes: svg.Axes, shown: Breathing) -> Iterator[Markup]:
    points = [(axes.at_x(t), axes.at_y(s)) for t, s in zip(shown.times, shown.signal, strict=True)]
    yield svg.curve(points, class_="breath")
    for phase in range(int(shown.phase.max(initial=0)) + 1):
        here = [point for point, p in zip(points, shown.phase, strict=True) if p == phase]
        if here:
            yield svg.dots(here, class_=f"dots {svg.colour(phase)}")


def _counts(axes: svg.Axes, breathing: Breathing) -> Iterator[Markup]:
    """Yield bars of how often each displacement came, those of the phases side by side."""
    edges = np.linspace(float(breathing.signal.min()), float(breathing.signal.max()), 41)
    phases = range(breathing.n_phases + 1)
    rows = np.stack([np.histogram(breathing.signal[breathing.phase == p], edges)[0] for p in phases])
    most = int(rows.sum(axis=0).max(initial=1))
    for phase in phases:
        before = rows[:phase].sum(axis=0)
        words = []
        for k in np.flatnonzero(rows[phase]):
            x = axes.left + axes.width * float(before[k]) / most
            y, height = axes.at_y(float(edges[k + 1])), axes.height / 44
            wide = axes.width * float(rows[phase][k]) / most
            words.append(f"M{x:.1f} {y:.1f}h{wide:.1f}v{height:.1f}h{-wide:.1f}z")
        if words:
            yield svg.element("path", d="".join(words), class_=f"bars {svg.colour(phase)}")
    yield svg.line((axes.left, axes.bottom), (axes.right, axes.bottom), class_="axis")
    yield svg.text(axes.right, axes.bottom + 16, most, text_anchor="end")
    yield svg.text(axes.left, axes.bottom + 16, 0)


def _edges(axes: svg.Axes, right: float, breathing: Breathing) -> Iterator[Markup]:
    for edge in breathing.edges:
        y = axes.at_y(edge)
        yield svg.line((axes.left, y), (right, y), class_="edge")


# ---------------------------------------------------------------- grades of the patches


def patch_chart(grades: np.ndarray, phase: int, mean: float, limits: tuple[float, float]) -> Markup:
    """Return how the patches of one volume were graded, after Figure E2 of the paper.

    Parameters
    ----------
    grades : float array
        One a patch; those that are not finite are left out.
    phase : int
        From 1; 0 for a volume that is no phase.
    mean : float
        The grade of the volume, drawn as a line.
    limits : (float, float)
        Ends of the scale of grades, the same for all phases.
    """
    known = grades[np.isfinite(grades)]
    edges = np.arange(np.floor(limits[0] / _BIN), np.ceil(limits[1] / _BIN) + 1) * _BIN
    counts, _ = np.histogram(known, edges)
    share = counts / max(known.size, 1)
    axes = svg.Axes(
        8, 22, 384, 110, (float(edges[0]), float(edges[-1])), (0.0, max(float(share.max()), 1e-9))
    )
    bars = []
    for k, part in enumerate(share):
        if part > 0:
            x, y = axes.at_x(float(edges[k])), axes.at_y(float(part))
            wide = axes.at_x(float(edges[k + 1])) - x
            tip = f"{number(edges[k])} to {number(edges[k + 1])}: {counts[k]} patches ({100 * part:.0f} %)"
            bars.append(svg.element("rect", svg.element("title", tip), x=x + 0.5, y=y, width=wide - 1,
                                    height=axes.bottom - y, class_=f"bars {svg.colour(phase)}"))  # fmt: skip
    at = axes.at_x(mean)
    anchor = "start" if mean < (limits[0] + limits[1]) / 2 else "end"
    parts = [
        *bars,
        svg.line((axes.left, axes.bottom), (axes.right, axes.bottom), class_="axis"),
        svg.line((at, axes.top - 4), (at, axes.bottom), class_="mean"),
        svg.text(at + (4 if anchor == "start" else -4), 14, f"grade {number(mean)}", text_anchor=anchor),
        *(svg.text(axes.at_x(t), axes.bottom + 15, f"{t:g}", text_anchor="middle") for t in _whole(axes.x)),
    ]
    label = f"Grades of {known.size} patches: mean {number(mean)}, SD {number(float(known.std()))}"
    return svg.drawing((400, 152), label, *parts, class_="chart patches")


def _whole(limits: tuple[float, float]) -> range:
    return range(int(np.ceil(limits[0])), int(np.floor(limits[1])) + 1)
