"""The scale and the database: Table 1 and Figure 2a."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from csiq.agreement import HALVES
from csiq.evaluation.comparison import Comparison
from csiq.evaluation.drawing import BLUE, COLUMN, ORANGE, blank, plain, styled
from csiq.evaluation.paper import AGE, MAIN, MEN_PERCENT, N_PATIENTS, N_TEST, N_TRAIN, SCALE, WORDS
from csiq.evaluation.section import Picture, Section, Table, plus_minus, shown

#: What the bars of Figure 2a are stacked of, from below.
OTHERS, TESTED = "training and validation", "test"


def section(study: Comparison) -> Section:
    """Return the part on the scale and the database."""
    counts = grade_counts(study)
    label = study.raters[MAIN].label
    data = [
        {"grade": float(g), **{part: int(n[i]) for part, n in counts.items()}} for i, g in enumerate(HALVES)
    ]
    total = sum(int(n.sum()) for n in counts.values())
    caption = (
        f"Figure 2a. Grades of {label} in the database (n = {total}, one image a patient). In the paper "
        f"(n = {N_PATIENTS.value}): {WORDS['2a'][:1].lower()}{WORDS['2a'][1:]}"
    )
    picture = Picture(
        "figure-2a", histogram(counts, label), f"Histogram of the grades of {label}", caption, data, share=2
    )
    numbers = {"grades": data, **_people(study)}
    return Section(
        "Scale and database", (_lead(study, counts),), [_scale(counts), picture], (), numbers, "database"
    )


def grade_counts(study: Comparison) -> dict[str, np.ndarray]:
    """Return how many patients have each half grade of the main reader, by part: int (9,)."""
    reader, tested = study.cases.roles.main, set(study.cases.patients)
    found = {part: np.zeros(len(HALVES), dtype=int) for part in (OTHERS, TESTED)}
    for scan in study.cases.database:
        grade = scan.grades[reader]
        if np.isfinite(grade):
            found[TESTED if scan.patient in tested else OTHERS][round(2 * grade)] += 1
    return found


def _scale(counts: Mapping[str, np.ndarray]) -> Table:
    body, data = [], []
    for grade, words in SCALE.items():
        n = {part: int(found[2 * grade]) for part, found in counts.items()}
        body.append((str(grade), words, str(n[OTHERS]), str(n[TESTED])))
        data.append({"grade": grade, "description": words, **n})
    head = ("grade", "description", "images to train with", "images to test with")
    note = (
        "The paper's scale; half grades were allowed when a reader was in doubt, they are not counted here."
    )
    return Table("table-1", "Table 1. Image quality scale", head, body, data, note, words=(1,))


def _people(study: Comparison) -> dict[str, float]:
    """Return what a cohort's folder says of age and sex; nothing where it says nothing."""
    asked = [study.cases.facts(scan.patient) for scan in study.cases.database]
    known = [row for row in asked if row is not None]
    if not known:
        return {}
    ages = np.array([float(row["age"]) for row in known])
    men = np.mean([row["sex"] == "M" for row in known])
    sd = float(ages.std(ddof=1)) if len(ages) > 1 else float("nan")
    return {"age_mean": float(ages.mean()), "age_sd": sd, "men_percent": 100 * float(men)}


def _lead(study: Comparison, counts: Mapping[str, np.ndarray]) -> str:
    people = _people(study)
    n = {part: int(found.sum()) for part, found in counts.items()}
    here = f"{sum(n.values())} patients, {n[TESTED]} of them to test with"
    if people:
        here += f"; {plus_minus(people['age_mean'], people['age_sd'], 0)} years, "
        here += f"{shown(people['men_percent'], 1)} % men"
    return (
        f"Here {here}. In the paper {N_PATIENTS.value:.0f} patients, {N_TRAIN.value:.0f} to train and "
        f"{N_TEST.value:.0f} to test; {AGE.value:.0f} ± {AGE.sd:.0f} years, {MEN_PERCENT.value} % men."
    )


@styled
def histogram(counts: Mapping[str, np.ndarray], label: str) -> Figure:
    """Draw the distribution of a reader's grades, by part."""
    figure = blank(COLUMN, 2.7)
    axes = figure.add_subplot()
    plain(axes)
    below = np.zeros(len(HALVES))
    for (part, n), colour, hatch in zip(counts.items(), (BLUE, ORANGE), ("", "////"), strict=True):
        axes.bar(HALVES, n, 0.42, below, color=colour, ec="white", lw=0.5, hatch=hatch, label=part)
        below = below + n
    for grade, total in zip(HALVES, below, strict=True):
        if total:
            axes.annotate(
                f"{total:.0f}",
                (grade, total),
                (0, 1.5),
                textcoords="offset points",
                ha="center",
                fontsize=6.5,
            )
    axes.set_xticks(HALVES, [f"{grade:g}" for grade in HALVES])
    axes.set_xlabel(f"grade of {label}")
    axes.set_ylabel("patients")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside upper left", ncols=2)
    return figure
