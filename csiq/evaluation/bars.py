"""The network against the noise-free reference, and what is asked of a network that ships."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from csiq.evaluation.comparison import Comparison
from csiq.evaluation.confidence import ASKED, told
from csiq.evaluation.drawing import BLUE, COLUMN, ORANGE, blank, grade_axis, plain, styled
from csiq.evaluation.merits import MERITS
from csiq.evaluation.section import Picture, Section, Table, shown, span
from csiq.report.figures import MUTED

#: Least share of its ceiling for each of these, and most of its ceiling for the loss.
_SHARE, _OF_CEILING, _LOSS = 0.95, ("r2", "kappa", "alpha", "spearman"), 1.15
_R2, _SLOPE, _SD, _STEADY = 0.94, (0.9, 1.1), 0.25, 0.01


@dataclass(frozen=True)
class Bar:
    """Something asked of a network.

    Attributes
    ----------
    what : str
    value : float
    asked : str
        In words.
    met : bool or None
        None where it cannot be said.
    low, high : float
        90 % interval of the value; NaN where none is computed.
    """

    what: str
    value: float
    asked: str
    met: bool | None
    low: float = math.nan
    high: float = math.nan


def section(study: Comparison) -> Section:
    """Return the part on the noise-free reference and the bars."""
    found = bars(study)
    body = [(bar.what, _value(bar), bar.asked, _word(bar.met)) for bar in found]
    data = [{**vars(b), "met": None if b.met is None else int(b.met)} for b in found]
    note = (
        "Below a value its 90 % interval over patients, where one is computed. Bars are set for the 100 "
        "simulated test patients; on other images they are for orientation."
    )
    table = Table(
        "bars", "What is asked of a network that ships", ("", "here", "asked", ""), body, data, note
    )
    items: list[Table | Picture] = [table]
    if study.reference is not None:
        items.append(_picture(study))
    numbers = {"against_reference": study.reference, "bars": found}
    return Section("Noise-free reference and bars", (_lead(study),), items, (), numbers, "reference")


def bars(study: Comparison) -> list[Bar]:
    """Return what is asked of a network, and whether it is met."""
    found: list[Bar] = []
    truth = study.reference
    if truth is not None:
        found += [
            _bar(
                "R² with the noise-free reference",
                truth.r2,
                f"≥ {_R2}",
                truth.r2 >= _R2,
                truth.r2_interval,
            ),
            _bar(
                "slope on it",
                truth.slope,
                "0.9 to 1.1",
                _SLOPE[0] <= truth.slope <= _SLOPE[1],
                truth.slope_interval,
            ),
            _bar("SD of the error", truth.sd, f"≤ {_SD}", truth.sd <= _SD, truth.sd_interval),
        ]
    for key in (*_OF_CEILING, "anti_bias_l1"):
        estimate, loss = study.patients[key], key == "anti_bias_l1"
        share = estimate.mean / estimate.ceiling if estimate.ceiling else math.nan
        met = share <= _LOSS if loss else share >= _SHARE
        asked = f"≤ {_LOSS}" if loss else f"≥ {_SHARE}"
        found.append(_bar(f"{MERITS[key].label} over its ceiling", share, asked, met))
    if study.kappa_gain is not None:
        gain, paired = study.kappa_gain.single, (study.kappa_gain.low, study.kappa_gain.high)
        found.append(_bar("κ(network, 1a) − κ(1b, 1a), single draw", gain, "≥ 0", gain >= 0, paired))
    for key in ("anti_bias_l1", "r2") if study.retrained else ():
        sd = study.retrained["patients"][key].sd
        found.append(_bar(f"SD over retrainings, {MERITS[key].label}", sd, f"≤ {_STEADY}", sd <= _STEADY))
    return [*found, *_coverage(study)]


def _coverage(study: Comparison) -> list[Bar]:
    """Return what is asked of stated intervals, where there are any and a reference."""
    said = told(study)
    kept = said.coverage if said is not None else None
    if kept is None or kept["coverage"] is None:
        return []
    share, (low, high), (least, most) = kept["coverage"], ASKED, kept["coverage_interval"]
    what = "share of references held by the stated 90 % intervals"
    return [_bar(what, share, f"{low} to {high}", low <= share <= high, (least, most))]


def _bar(
    what: str, value: float, asked: str, met: bool, interval: tuple[float, float] = (math.nan, math.nan)
) -> Bar:
    return Bar(what, value, asked, bool(met) if math.isfinite(value) else None, *interval)


def _value(bar: Bar) -> str:
    digits = 3 if abs(bar.value) >= 0.1 else 4
    below = f"\n{span(bar.low, bar.high, digits)}" if math.isfinite(bar.low) else ""
    return shown(bar.value, digits) + below


def _word(met: bool | None) -> str:
    return "cannot be said" if met is None else "met" if met else "not met"


def _lead(study: Comparison) -> str:
    truth = study.reference
    if truth is None:
        return "These images have no noise-free reference, as all images of people have none."
    return (
        f"Against the noise-free reference: R² {shown(truth.r2)} (90 % interval {span(*truth.r2_interval)}), "
        f"slope {shown(truth.slope)} ({span(*truth.slope_interval)}), error {shown(truth.bias, sign=True)} ± "
        f"{shown(truth.sd)} (SD {span(*truth.sd_interval)}), {shown(100 * truth.explained, 0)} % of the "
        "variance explained. The paper has no such reference."
    )


def _picture(study: Comparison) -> Picture:
    truth = study.cases.reference
    assert truth is not None
    data = [
        {"image": name, "reference": float(t), "predicted": float(p)}
        for name, t, p in zip(study.cases.volumes, truth, study.predicted, strict=True)
    ]
    caption = "Grades of the network against the noise-free reference. Orange: regression; dashed: equality."
    alt = "Scatter plot of the network's grades against the noise-free reference"
    return Picture("reference", reference_figure(study), alt, caption, data, share=2)


@styled
def reference_figure(study: Comparison) -> Figure:
    """Draw the network's grades against the noise-free reference."""
    truth, line = study.cases.reference, study.reference
    assert truth is not None
    assert line is not None
    figure = blank(COLUMN, 3.2)
    axes = figure.add_subplot()
    plain(axes)
    grade_axis(axes, "noise-free reference (grade)")
    low, high = float(np.nanmin(study.predicted)), float(np.nanmax(study.predicted))
    grade_axis(axes, f"grade of {study.network_name}", along="y", low=low, high=high)
    axes.plot([0, 4], [0, 4], color=MUTED, ls=(0, (4, 3)), lw=0.9)
    axes.scatter(truth, study.predicted, s=14, color=BLUE, alpha=0.75, lw=0.4, ec="white", zorder=3)
    x = np.array([0.0, 4.0])
    axes.plot(x, line.slope * x + line.intercept, color=ORANGE, lw=1.6, zorder=4)
    text = f"R² = {line.r2:.2f}\nSD of the error = {line.sd:.2f}"
    axes.text(0.03, 0.98, text, transform=axes.transAxes, va="top")
    return figure
