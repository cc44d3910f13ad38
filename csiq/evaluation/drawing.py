"""How figures of a study look: sizes of a journal's columns, type that stays legible, safe colours."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from csiq.io.atomic import write_bytes
from csiq.report.figures import COLOURS, GRID, INK, MUTED

#: Widths of one column and of a page, inches.
COLUMN, PAGE = 3.5, 7.2
#: Blue, vermilion, green, purple, orange, sky blue (Okabe and Ito).
BLUE, RED, GREEN, PURPLE, ORANGE, SKY = COLOURS
DPI = 300
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8.5,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "axes.linewidth": 0.8,
    "lines.linewidth": 1.2,
    "patch.linewidth": 0.8,
    "svg.hashsalt": "csiq",
    "svg.fonttype": "path",
}
_P = ParamSpec("_P")
_R = TypeVar("_R")


def styled(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """Have a function draw in the style of a study's figures."""

    @wraps(draw)
    def inside(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Draw with matplotlib's settings changed for the time of the call only."""
        import matplotlib

        with matplotlib.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return inside


def blank(width: float, height: float) -> Figure:
    """Return an empty figure, inches."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def plain(axes: Axes) -> None:
    """Draw two spines and a light grid behind."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelcolor=INK, length=3)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)


def grade_axis(axes: Axes, label: str, *, along: str = "x", low: float = 0.0, high: float = 4.0) -> None:
    """Name an axis of grades and let it span the scale, and what lies beyond."""
    limits = (min(0.0, low) - 0.3, max(4.0, high) + 0.3)
    if along == "x":
        axes.set_xlim(*limits)
        axes.set_xticks(range(5))
        axes.set_xlabel(label)
    else:
        axes.set_ylim(*limits)
        axes.set_yticks(range(5))
        axes.set_ylabel(label)


def counted(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return distinct points and how often each occurs: x, y, n. NaN is left out."""
    both = np.isfinite(x) & np.isfinite(y)
    points, n = np.unique(np.round(np.column_stack([x[both], y[both]]), 9), axis=0, return_counts=True)
    return points[:, 0], points[:, 1], n


@styled
def picture_bytes(figure: Figure, kind: str, about: str = "", dpi: int = DPI) -> bytes:
    """Return a figure as ``png``, ``jpeg`` or ``svg``, undated: equal figures give equal bytes.

    Parameters
    ----------
    figure : Figure
    kind : str
    about : str
        Goes with PNG and SVG as their description.
    dpi : int
    """
    buffer = io.BytesIO()
    options: dict[str, dict[str, Any]] = {
        "png": {"metadata": {"Software": None, "Description": about}},
        "svg": {"metadata": {"Date": None, "Creator": None, "Description": about}},
        "jpeg": {"pil_kwargs": {"quality": 88}},
    }
    figure.savefig(buffer, format=kind, dpi=dpi, **options[kind])
    return buffer.getvalue()


def write_figure(folder: Path, name: str, figure: Figure, about: str = "") -> bytes:
    """Write ``NAME.png`` and ``NAME.svg``, each atomically; return the SVG.

    Parameters
    ----------
    folder : Path
    name : str
    figure : Figure
    about : str
        Description that stays with the files.
    """
    png, svg = (picture_bytes(figure, kind, about) for kind in ("png", "svg"))
    write_bytes(folder / f"{name}.png", png)
    write_bytes(folder / f"{name}.svg", svg)
    return svg
