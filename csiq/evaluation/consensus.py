"""The network against the readers' consensus (Figure E4), and at the ends of the scale."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from csiq.agreement import linear_fit
from csiq.evaluation.comparison import Comparison
from csiq.evaluation.drawing import BLUE, ORANGE, PAGE, blank, counted, grade_axis, plain, styled
from csiq.evaluation.paper import MAIN, SECOND, WORDS
from csiq.evaluation.section import Picture, Section, Table, shown, span
from csiq.report.figures import MUTED

#: Rank correlation from which on something is said to grow or fall.
_CHANGES = 0.1
_WORDS = {
    "bias": "mean error",
    "sd": "SD of the error",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "spearman": "Spearman, size of the error and the readers' disagreement",
    "pearson": "Pearson, the same",
}
_AGAINST = {
    "single": "{label}, single draw",
    "redraws": "{label}, mean over redraws",
    "ceiling": "{label}, if the network were the noise-free reference",
    "reference": "noise-free reference",
}


def section(study: Comparison) -> Section:
    """Return the part on errors: against the consensus, and at the ends."""
    items: list[Table | Picture] = [_ends_table(study)]
    lead = [f"At the ends of the scale the paper says: {_lower(WORDS['ends'])} {_ends_verdict(study)}"]
    if study.consensus is not None:
        items += [_consensus_table(study), _picture(study)]
        lead.append(_consensus_sentence(study))
    else:
        lead.append("There is one observer only, so there is no consensus to compare with (Figure E4).")
    numbers = {
        "consensus": study.consensus,
        "consensus_redrawn": study.consensus_redrawn,
        "consensus_estimates": study.consensus_estimates,
        "ends": study.ends,
        "ends_estimates": study.ends_estimates,
    }
    return Section("Errors", tuple(lead), items, (), numbers, "errors")


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _ends_verdict(study: Comparison) -> str:
    best = study.ends.get("reference", study.ends["single"])
    against = "the noise-free reference" if "reference" in study.ends else study.raters[MAIN].label
    drawn = best.low > 0 and best.high < 0
    verdict = "Here both ends are drawn to the middle, too" if drawn else "Here that is not so at both ends"
    low, high = (shown(value, sign=True) for value in (best.low, best.high))
    return f"{verdict}: against {against} the mean error is {low} at grades up to 0.5 and {high} from 3.5 on."


def _ends_table(study: Comparison) -> Table:
    label, body, data = study.raters[MAIN].label, [], []
    for key, found in study.ends.items():
        name, limits = _AGAINST[key].format(label=label), _limits(study, key)
        low, high = (_with_interval(getattr(found, end), limits[end], sign=True) for end in ("low", "high"))
        slope = _with_interval(found.slope, limits["slope"])
        body.append((name, shown(found.n_low, 0), low, shown(found.n_high, 0), high, slope))
        row: dict[str, Any] = {"against": key, **{k: float(v) for k, v in vars(found).items()}}
        for end, (least, most) in limits.items():
            row |= {f"{end}_from": least, f"{end}_to": most}
        data.append(row)
    head = ("against", "n, grade ≤ 0.5", "error there", "n, grade ≥ 3.5", "error there", "slope")
    note = (
        "Error: network minus the other, in the mean; below it its 90 % interval over patients. Readers' "
        "grades at the ends are extreme partly by chance, so that even the noise-free reference is drawn to "
        "the middle."
    )
    return Table("ends", "Over- and underestimation at the ends of the scale", head, body, data, note)


def _limits(study: Comparison, against: str) -> dict[str, tuple[float, float]]:
    """Return the intervals of errors at the ends; NaN of a ceiling, which has none."""
    which = study.ends_estimates["reference" if against == "reference" else "reader"]
    if against == "ceiling":
        return dict.fromkeys(which, (math.nan, math.nan))
    if against == "redraws":
        return {end: (one.mean_low, one.mean_high) for end, one in which.items()}
    return {end: (one.low, one.high) for end, one in which.items()}


def _with_interval(value: float, limits: tuple[float, float], *, sign: bool = False) -> str:
    known = all(map(math.isfinite, limits))
    return shown(value, sign=sign) + (f"\n{span(*limits, sign=sign)}" if known else "")


def _consensus_table(study: Comparison) -> Table:
    body, data = [], []
    drawn = study.cases.draws is not None
    for name, found in study.consensus_estimates.items():
        sign = name == "bias"
        single = _with_interval(found.single, (found.low, found.high), sign=sign)
        mean = _with_interval(found.mean, (found.mean_low, found.mean_high), sign=sign)
        redrawn = (mean, shown(found.ceiling, sign=sign)) if drawn else ()
        body.append((_WORDS[name], *redrawn, single))
        data.append({"merit": name, **vars(found)})
    head = ("", *(("mean over redraws", "ceiling") if drawn else ()), "single draw")
    note = (
        "Error: network minus the mean of the two observers. Below each value its 90 % interval over "
        "patients. Ceiling: the noise-free reference in the network's place."
    )
    return Table("consensus", "Error against the consensus of the observers", head, body, data, note)


def _consensus_sentence(study: Comparison) -> str:
    found, again = study.consensus, study.consensus_redrawn.get("mean")
    assert found is not None
    redrawn = f" ({shown(again['spearman'])} in the mean over redraws)" if again else ""
    sense = "grows" if found.spearman > _CHANGES else "hardly changes"
    sense = "falls" if found.spearman < -_CHANGES else sense
    return (
        f"Against the consensus of {study.raters[MAIN].label} and {study.raters[SECOND].label} the "
        f"network's error is {shown(found.bias, sign=True)} ± {shown(found.sd)}, absolute "
        f"{shown(found.mae)}. It {sense} with the readers' own disagreement: Spearman "
        f"{shown(found.spearman)}{redrawn}. In the paper: {_lower(WORDS['E4'])}"
    )


def _picture(study: Comparison) -> Picture:
    one, other = (study.raters[role].grades for role in (MAIN, SECOND))
    middle = (one + other) / 2
    data = [
        {"image": n, "consensus": float(m), "error": float(e), "disagreement": float(d)}
        for n, m, e, d in zip(
            study.cases.volumes, middle, study.predicted - middle, np.abs(one - other), strict=True
        )
    ]
    caption = (
        "Figure E4. Left: error of the network against the consensus of the two observers. Right: its size "
        "against their disagreement, with the regression. The area of a dot grows with the images there."
    )
    alt = "Error of the network against the consensus, and against the disagreement of the readers"
    return Picture("figure-E4", consensus_figure(study), alt, caption, data)


@styled
def consensus_figure(study: Comparison) -> Figure:
    """Draw the network's error against the consensus, and its size against the readers' disagreement."""
    one, other = (study.raters[role].grades for role in (MAIN, SECOND))
    middle, apart = (one + other) / 2, np.abs(one - other)
    error = study.predicted - middle
    figure = blank(PAGE, 2.7)
    left, right = figure.subplots(1, 2)
    _dots(left, middle, error)
    left.axhline(0, color=MUTED, lw=0.9)
    grade_axis(left, "consensus of the observers (grade)")
    left.set_ylabel(f"{study.network_name} − consensus (grades)")
    _dots(right, apart, np.abs(error))
    line, x = linear_fit(apart, np.abs(error)), np.array([0.0, float(np.nanmax(apart))])
    right.plot(x, line.slope * x + line.intercept, color=ORANGE, lw=1.6)
    right.set_xlabel(f"|{study.raters[MAIN].label} − {study.raters[SECOND].label}| (grades)")
    right.set_ylabel(f"|{study.network_name} − consensus| (grades)")
    right.set_xlim(-0.15, max(1.15, x[1] + 0.15))
    right.set_ylim(bottom=0)
    return figure


def _dots(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    plain(axes)
    places, values, n = counted(x, y)
    axes.scatter(places, values, s=12 * n, color=BLUE, alpha=0.65, lw=0.4, ec="white", zorder=3)
