"""Exemplars of the grades, axial and sagittal: Figure 2b."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from csiq.evaluation.comparison import Comparison
from csiq.evaluation.drawing import ORANGE, PAGE, blank, styled
from csiq.evaluation.exemplars import FLOW, METAL, Exemplar, choose
from csiq.evaluation.paper import MAIN, WORDS
from csiq.evaluation.section import Picture, Section
from csiq.evaluation.shown_volume import shown_volume
from csiq.report.slices import Volume as Shown
from csiq.report.slices import window_of

_REACH = 104.0  # mm shown to each side of the middle
_STEP = 0.75  # mm of a pixel


@dataclass(frozen=True)
class Reformat:
    """A slice ready to be shown: rows from the top, columns from the viewer's left, 0 to 1."""

    pixels: np.ndarray
    arrow: tuple[float, float] | None


def section(study: Comparison) -> Section:
    """Return the part with exemplars; without a picture where no volume can be shown."""
    chosen = choose(study.cases)
    if not chosen:
        return Section("Exemplars", ("No volume of a whole grade can be read.",))
    label = study.raters[MAIN].label
    caption = (
        f"Figure 2b. Axial (top) and sagittal (bottom) reformats of images with grades of {label} from 0 to "
        f"4. {_artefacts(chosen)} In the paper: {WORDS['2b']}"
    )
    rule = (
        f"Of each whole grade of {label} the image on which the readers agree best, then the one nearest to "
        "its noise-free reference where there is one; from all parts of the database. Volumes that cannot be "
        "read are passed over. "
        + (
            "Slices run through the middle of the left ventricle, or through the artefact that is shown."
            if study.cases.cohort
            else "Slices run through the middle of the volume: nothing is known of artefacts."
        )
        + _lying(chosen)
    )
    alt = "Axial and sagittal slices of an image for each grade from 0 to 4"
    picture = Picture("figure-2b", exemplar_figure(chosen), alt, caption, _data(chosen), is_photograph=True)
    return Section(
        "Exemplars", (rule,), [picture], _missing(study, chosen), {"images": _data(chosen)}, "exemplars"
    )


def _artefacts(chosen: list[Exemplar]) -> str:
    named = [f"{e.scan.patient}, {e.where}" for e in chosen if e.artefact]
    if not named:
        return ""
    return f"Arrows: where the simulator put an artefact ({'; '.join(named)}); the grade is still 3."


def _lying(chosen: list[Exemplar]) -> str:
    unknown = [exemplar.scan.patient for exemplar in chosen if not exemplar.oriented]
    if not unknown:
        return ""
    return f" How the patient lies is not said by the files of {', '.join(unknown)}: axes are as stored."


def _missing(study: Comparison, chosen: list[Exemplar]) -> tuple[str, ...]:
    if study.cases.cohort is None:
        return ()
    known = [e.artefact for e in chosen]
    absent = [name for name in (METAL, FLOW) if name not in known]
    return tuple(f"No image of grade 3 here has {name}, as one of the paper's Figure 2b." for name in absent)


def _data(chosen: list[Exemplar]) -> list[dict[str, Any]]:
    rows = []
    for exemplar in chosen:
        z, _, x = (round(float(v), 1) for v in exemplar.focus)
        arrow = exemplar.arrow if exemplar.arrow is not None else np.full(3, np.nan)
        rows.append(
            {
                "grade": exemplar.grade,
                "patient": exemplar.scan.patient,
                "split": exemplar.scan.split,
                **exemplar.scan.grades,
                "reference": exemplar.scan.reference,
                "artefact": exemplar.where or "none",
                "axial_at_z_mm": z,
                "sagittal_at_x_mm": x,
                **{f"artefact_{a}_mm": round(float(v), 1) for a, v in zip("zyx", arrow, strict=True)},
            }
        )
    return rows


@styled
def exemplar_figure(chosen: list[Exemplar]) -> Figure:
    """Draw axial and sagittal slices of each exemplar."""
    width = PAGE / len(chosen)
    titles = 0.3 if any(exemplar.artefact for exemplar in chosen) else 0.18
    figure = blank(PAGE, 2 * width + titles)
    figure.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.0, hspace=0.0)
    grid = figure.subplots(2, len(chosen), squeeze=False)
    for column, exemplar in zip(grid.T, chosen, strict=True):
        for axes, shown in zip(column, reformats(exemplar), strict=True):
            _show(axes, shown)
        name = f"grade {exemplar.grade:g}"
        column[0].set_title(
            f"{name}\n{exemplar.artefact}" if exemplar.artefact else name, fontsize=7.5, pad=2
        )
    return figure


def _show(axes: Axes, shown: Reformat) -> None:
    axes.imshow(shown.pixels, cmap="gray", vmin=0, vmax=1, interpolation="bicubic")
    axes.set_axis_off()
    if shown.arrow is not None:
        # from where there is room, its tip just short of the place
        away = np.where(np.array(shown.arrow) < shown.pixels.shape[0] / 2.5, 1, -1)
        (y1, x1), (y0, x0) = (np.array(shown.arrow) + step * away for step in (3, 45))
        style = {"arrowstyle": "-|>", "color": ORANGE, "lw": 1.3, "shrinkA": 0, "shrinkB": 0}
        outline = [withStroke(linewidth=2.6, foreground="black")]
        axes.annotate("", (x1, y1), (x0, y0), arrowprops={**style, "path_effects": outline})


def reformats(exemplar: Exemplar) -> tuple[Reformat, Reformat]:
    """Return the axial and the sagittal slice of an exemplar, with where its arrow points.

    Axial from the feet, so that the patient's right is on the left; sagittal from the left.
    """
    volume = shown_volume(exemplar.scan.volume)
    top = window_of([volume])
    away = np.arange(_REACH, -_REACH, -_STEP)  # from the head, the front, the right
    z, _, x = exemplar.focus
    axial = _sampled(volume, away[None, :], away[:, None], np.full((1, 1), z)) / top
    sagittal = _sampled(volume, np.full((1, 1), x), away[None, :], away[:, None]) / top
    if exemplar.arrow is None:
        return Reformat(np.clip(axial, 0, 1), None), Reformat(np.clip(sagittal, 0, 1), None)
    pz, py, px = ((_REACH - float(v)) / _STEP for v in exemplar.arrow)
    return Reformat(np.clip(axial, 0, 1), (py, px)), Reformat(np.clip(sagittal, 0, 1), (pz, py))


def _sampled(volume: Shown, right: np.ndarray, front: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return the voxels nearest to places in mm from the middle voxel, 0 outside."""
    places = np.broadcast_arrays(right, front, up)
    shape, size = volume.values.shape, volume.voxel_size
    index = [np.rint(p / s).astype(int) + n // 2 for p, s, n in zip(places, size, shape, strict=True)]
    inside = np.logical_and.reduce([(i >= 0) & (i < n) for i, n in zip(index, shape, strict=True)])
    kept = tuple(np.clip(i, 0, n - 1) for i, n in zip(index, shape, strict=True))
    return np.where(inside, volume.values[kept], 0.0)
