"""Network against observer 1, by patch and by patient: the figures of merit, and Figures 3a and 3b."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from csiq.agreement import HALVES, kappa_words, linear_fit, pearson_r2
from csiq.evaluation.comparison import Comparison, Merits
from csiq.evaluation.days import N_DRAWS
from csiq.evaluation.differences import clear_differences
from csiq.evaluation.drawing import BLUE, COLUMN, ORANGE, RED, blank, grade_axis, plain, styled
from csiq.evaluation.estimating import Estimate
from csiq.evaluation.merits import GAINS, MERITS
from csiq.evaluation.paper import MAIN, RETRAINED, TEST, WORDS
from csiq.evaluation.retrainings import Spread
from csiq.evaluation.section import Picture, Section, Table, plus_minus, shown, span
from csiq.report.figures import INK, MUTED

_WIDTH = 0.34  # of a box, grades
_NO_PATCHES = "What is evaluated grades images as a whole: nothing can be said of patches (Figure 3a)."


def section(study: Comparison) -> Section:
    """Return the part on the network's agreement with observer 1."""
    label, name = study.raters[MAIN].label, study.network_name
    tables = [_table(study, level, found) for level, found in _levels(study)]
    has_patches = study.predictions.has_patches
    pictures = [*([_patch_picture(study)] if has_patches else []), _patient_picture(study)]
    retrained = [_retrained_table(study)] if study.retrained else []
    differences = [
        sentence
        for level, found in _levels(study)
        for sentence in clear_differences(found, TEST[level], f"{name} against {label}, {level}")
    ]
    numbers = {"patients": study.patients, "patches": study.patches, "retrained": study.retrained}
    return Section(
        f"{name} against {label}",
        (_verdict(study), _gain(study) if has_patches else _NO_PATCHES),
        [*tables, *pictures, *retrained],
        tuple(differences),
        {**numbers, "gain": _gains(study), "gain_estimates": study.gains},
        "network_against_reader",
    )


def _levels(study: Comparison) -> list[tuple[str, Merits]]:
    return [("patients", study.patients), *([("patches", study.patches)] if study.patches else [])]


def _verdict(study: Comparison) -> str:
    found, label = study.patients, study.raters[MAIN].label
    kappa, alpha = found["kappa"].best, found["alpha"].best
    words = kappa_words(kappa)
    enough = "reaches" if alpha >= 0.8 else "does not reach"
    return (
        f"Agreement of the network with {label} is {words} (κ {shown(kappa)}); Krippendorff's α of "
        f"{shown(alpha)}, at interval level, {enough} the 0.8 that the paper asks for."
    )


def _gains(study: Comparison) -> dict[str, float]:
    return {key: study.patients[key].best - study.patches[key].best for key in GAINS if study.patches}


def _gain_words(found: Estimate) -> str:
    """Return a gain with its interval, of the mean over redraws where there is one."""
    drawn = math.isfinite(found.mean)
    low, high = (found.mean_low, found.mean_high) if drawn else (found.low, found.high)
    single = f"; single draw {shown(found.single, sign=True)}" if drawn else ""
    return f"{shown(found.best, sign=True)} ({span(low, high, sign=True)}{single})"


def _gain(study: Comparison) -> str:
    gain = _gains(study)
    words = {key: _gain_words(found) for key, found in study.gains.items()}
    within, between = study.seen_between
    better = gain["anti_bias_l1"] < 0 and gain["r2"] > 0 and gain["kappa"] > 0
    verdict = "as in the paper" if better else "which differs from the paper in at least one sign"
    return (
        f"From patches to patients, anti-bias L1 changes by {words['anti_bias_l1']}, R² by {words['r2']} and "
        f"κ by {words['kappa']}, with 90 % intervals over patients, {verdict} "
        f"(there −0.05, +0.06, +0.04). Patches of one image spread by an SD of {shown(within)} in the "
        f"mean, grades of images by {shown(between)}. "
        f"In the paper: {WORDS['gain']}"
    )


def _table(study: Comparison, level: str, found: Merits) -> Table:
    label, published, drawn = study.raters[MAIN].label, TEST[level], study.cases.draws is not None
    body, data = [], []
    for key, estimate in found.items():
        paper, share = published.get(key), estimate.mean / estimate.ceiling if estimate.ceiling else math.nan
        redrawn = (_mean(estimate), shown(estimate.ceiling)) if drawn else ()
        words = f" ({kappa_words(estimate.single)})" if key == "kappa" else ""
        mark = " (≥ 0.8)" if key == "alpha" and estimate.single >= 0.8 else ""
        body.append(
            (
                MERITS[key].label,
                *redrawn,
                f"{shown(estimate.single)}{words}{mark}\n{span(estimate.low, estimate.high)}",
                shown(paper.value) if paper else "",
            )
        )
        row: dict[str, Any] = {"merit": key, **vars(estimate), "mean_over_ceiling": share}
        data.append({**row, "paper": paper.value if paper else None, "source": paper.source if paper else ""})
    head = ("", *(("mean over redraws", "ceiling") if drawn else ()), "single draw", "paper")
    n = len(study.cases) if level == "patients" else study.predictions.flat().size
    return Table(
        f"merits-{level}",
        f"{label} and {study.network_name}, {level} (n = {n})",
        head,
        body,
        data,
        "Below each value its 90 % interval over patients. "
        f"Differences are {label} minus {study.network_name}; "
        "the regression is of the network's grade on the reader's. "
        + (
            f"Redraws: the same images read {N_DRAWS} times by the same simulated "
            "reader. Ceiling: the noise-free reference in the network's place."
            if drawn
            else "Readers that are not simulated cannot be drawn again."
        ),
    )


def _mean(estimate: Estimate) -> str:
    known = math.isfinite(estimate.mean_low)
    interval = f"\n{span(estimate.mean_low, estimate.mean_high)}" if known else ""
    return shown(estimate.mean) + interval


def _retrained_table(study: Comparison) -> Table:
    body, data, drawn = [], [], study.cases.draws is not None
    for level in ("patches", "patients"):
        for key, found in study.retrained[level].items():
            paper = RETRAINED[level].get(key)
            theirs = plus_minus(paper.value, paper.sd) if paper else ""
            redrawn = (_redrawn(found), shown(found.ceiling)) if drawn else ()
            single = f"{plus_minus(found.mean, found.sd, 3)}\n{span(found.low, found.high)}"
            body.append((f"{MERITS[key].label}, {level}", *redrawn, single, theirs))
            data.append({"level": level, "merit": key, **vars(found)})
    n = _n(study)
    return Table(
        "retrained",
        f"The network trained {n} times anew: mean ± SD on the same test images",
        ("", *(("mean over redraws", "ceiling") if drawn else ()), "single draw", "paper (10 times)"),
        body,
        data,
        "SD: over the networks. Below it the 90 % interval over patients of their mean: the same networks on "
        "other patients. Models: " + ", ".join(study.predictions.models[1:]) + ".",
    )


def _redrawn(found: Spread) -> str:
    return f"{plus_minus(found.redrawn, found.redrawn_sd, 3)}\n{span(found.redrawn_low, found.redrawn_high)}"


def _n(study: Comparison) -> int:
    found: Spread = study.retrained["patients"]["r2"]
    return found.n


def _patch_picture(study: Comparison) -> Picture:
    flat, grades = study.predictions.flat(), study.raters[MAIN].grades
    wide = np.broadcast_to(grades[:, None], flat.shape)
    return _picture(study, "figure-3a", flat.ravel(), wide.ravel(), dots=False)


def _patient_picture(study: Comparison) -> Picture:
    return _picture(study, "figure-3b", study.predicted, study.raters[MAIN].grades, dots=True)


def _picture(
    study: Comparison, name: str, predicted: np.ndarray, grades: np.ndarray, *, dots: bool
) -> Picture:
    label, what = study.raters[MAIN].label, "patients" if dots else "patches"
    paper = TEST[what]["r2"]
    figure = boxes_figure(grades, predicted, label, dots=dots, name=study.network_name)
    marks = (
        "dots: the images, spread sideways within a grade"
        if dots
        else "dots: patches beyond 1.5 interquartile ranges"
    )
    caption = (
        f"Figure {name[7:]}. Grades of {what} by the network against {label}. Boxes: median and "
        f"interquartile range, whiskers to 1.5 of it; {marks}. Orange: regression; dashed: equality. R² in "
        f"the paper {shown(paper.value)}. In the paper: {WORDS['3']}"
    )
    alt = f"Box plots of the network's grades for each grade of {label}, with regression line"
    return Picture(name, figure, alt, caption, _summary(grades, predicted, dots=dots), share=2)


def _summary(grades: np.ndarray, predicted: np.ndarray, *, dots: bool) -> list[dict[str, Any]]:
    if dots:
        return [{"grade": float(g), "predicted": float(p)} for g, p in zip(grades, predicted, strict=True)]
    rows = []
    for grade, values in _by_grade(grades, predicted):
        quarters = np.quantile(values, (0, 0.25, 0.5, 0.75, 1))
        names = ("least", "quartile_1", "median", "quartile_3", "most")
        rows.append({"grade": grade, "n": len(values), **dict(zip(names, map(float, quarters), strict=True))})
    return rows


def _by_grade(grades: np.ndarray, predicted: np.ndarray) -> list[tuple[float, np.ndarray]]:
    both = np.isfinite(grades) & np.isfinite(predicted)
    found = [(float(g), predicted[both & (grades == g)]) for g in HALVES]
    return [(grade, values) for grade, values in found if len(values)]


@styled
def boxes_figure(
    grades: np.ndarray, predicted: np.ndarray, label: str, *, dots: bool, name: str = "IQ-DCNN"
) -> Figure:
    """Draw box plots of the network's grades for each grade of a reader, with the regression.

    Parameters
    ----------
    grades, predicted : float array, (n,)
    label : str
        Of the reader.
    dots : bool
        Show every grade instead of outliers.
    name : str
        Of the network.
    """
    figure = blank(COLUMN, 3.2)
    axes = figure.add_subplot()
    plain(axes)
    finite = predicted[np.isfinite(predicted)]
    grade_axis(axes, f"grade of {label}")
    grade_axis(axes, f"grade of {name}", along="y", low=float(finite.min()), high=float(finite.max()))
    _boxes(axes, _by_grade(grades, predicted), dots=dots)
    axes.plot([0, 4], [0, 4], color=MUTED, ls=(0, (4, 3)), lw=0.9, zorder=1.5)
    line = linear_fit(grades, predicted)
    x = np.array([0.0, 4.0])
    axes.plot(x, line.slope * x + line.intercept, color=ORANGE, lw=1.8, zorder=4)
    sign = "+" if line.intercept >= 0 else "−"
    text = (
        f"R² = {pearson_r2(grades, predicted):.2f}\ny = {line.slope:.2f} x {sign} {abs(line.intercept):.2f}"
    )
    axes.text(0.03, 0.98, f"{text}\nn = {len(finite)}", transform=axes.transAxes, va="top", color=INK)
    return figure


def _boxes(axes: Axes, groups: list[tuple[float, np.ndarray]], *, dots: bool) -> None:
    drawn = axes.boxplot(
        [values for _, values in groups],
        positions=[grade for grade, _ in groups],
        widths=_WIDTH,
        manage_ticks=False,
        showfliers=not dots,
        patch_artist=True,
        flierprops={"marker": ".", "ms": 1.8, "mfc": BLUE, "mec": "none", "alpha": 0.45, "rasterized": True},
        boxprops={"facecolor": "#d6e6f2", "edgecolor": BLUE},
        whiskerprops={"color": BLUE},
        capprops={"color": BLUE},
        medianprops={"color": RED, "lw": 1.4},
    )
    if not dots:
        return
    for median in drawn["medians"]:
        median.set_zorder(3)
    for grade, values in groups:
        # by rank, so that equal data give equal figures
        aside = (np.argsort(np.argsort(values)) * 0.618 % 1 - 0.5) * 0.24
        axes.plot(grade + aside, values, "o", ms=2.6, mfc=BLUE, mec="white", mew=0.3, alpha=0.9, zorder=3)
