"""Figure 5 of the paper: three slices, what of them the grade comes from, and how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from csiq.report.figures import INK, MUTED, blank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from csiq.heatmap.view import View

#: Colours of the heat map and of the signed relevance.
HEAT, SIGNED = "inferno", "RdBu_r"
#: How much of the maps and how much of the image shows.
OPACITY = 0.55
_TITLES = ("image", "heat map", "relevance (ours)")


def heat_figure(view: View, orientation: str, offsets: tuple[float, ...], heading: str) -> Figure:
    """Draw slices in columns; the image, the paper's heat map and our signed relevance in rows.

    Parameters
    ----------
    view : View
    orientation : str
        ``axial``, ``coronal`` or ``sagittal``.
    offsets : tuple of float
        Where the slices lie, mm from the centre; the nearest are shown.
    heading : str
    """
    figure = blank((2.6 * len(offsets) + 1.2, 8.6))
    figure.suptitle(heading, fontsize=9.5, color=INK)
    grid: Any = figure.subplots(3, len(offsets), squeeze=False)
    places = view.places(orientation, offsets)
    shown = [view.plane(view.relevance, orientation, place) for place in places]
    # a few pixels in thousands must not take all the colours
    limit = float(np.quantile(np.abs(np.stack(shown)), 0.998)) or 1.0
    maps: list[tuple[np.ndarray, dict[str, Any]]] = [
        (view.heat, {"cmap": HEAT, "vmin": 0, "vmax": 1}),
        (view.relevance, {"cmap": SIGNED, "vmin": -limit, "vmax": limit}),
    ]
    drawn = [None, None]
    for column, (place, offset) in enumerate(zip(places, offsets, strict=True)):
        for row, axes in enumerate(grid[:, column]):
            _frame(axes, f"{orientation}, {offset:+g} mm".replace("+0", "0") if row == 0 else None)
            picture = view.plane(view.image, orientation, place)
            aspect = view.aspect(orientation)
            axes.imshow(picture, cmap="gray", vmin=0, vmax=view.top, aspect=aspect)
            if row:
                values, colours = maps[row - 1]
                over = view.plane(values, orientation, place)
                drawn[row - 1] = axes.imshow(over, aspect=aspect, alpha=OPACITY, **colours)
    for row, title in enumerate(_TITLES):
        grid[row, 0].set_ylabel(title, color=INK, fontsize=9)
    _bar(figure, drawn[0], grid[1], "heat, normalised")
    _bar(figure, drawn[1], grid[2], "grade lost when masked")
    return figure


def _frame(axes: Any, title: str | None) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if title is not None:
        axes.set_title(title, fontsize=9, color=MUTED)


def _bar(figure: Figure, drawn: Any, row: Any, label: str) -> None:
    bar: Any = figure.colorbar(drawn, ax=list(row), shrink=0.85, pad=0.02)
    bar.set_label(label, fontsize=8.5, color=INK)
    bar.ax.tick_params(labelsize=8, colors=MUTED, labelcolor=INK)
    # its colours as over black, not over white paper
    bar.solids.set_alpha(1)
