"""The curves of the page: grade and cost against iteration as inline SVG, after Figure 6 of the paper."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from csiq.history import History, Step
from csiq.report import svg
from csiq.report.facts import number
from csiq.report.figures import Marks
from csiq.report.plots import marks_of
from csiq.report.record import Record
from csiq.report.verdict import rule_sentence

#: Height of the plot itself, on a desk and on a telephone.
_HEIGHTS = {svg.WIDE: 300, svg.NARROW: 250}
#: A flag above the plot: the letter of a rule where it stops.
_FLAG = 17
#: More phases than this have no markers: the curves would be hidden by them.
_MANY = 8


@dataclass(frozen=True)
class RuleRow:
    """A stopping rule: its letter on the chart, its words, and where it stops.

    Attributes
    ----------
    name : str
        Key of ``counterfactual``.
    letter : str
    sentence : str
    iteration : int, optional
        None: it would not have stopped.
    grade : float
        Mean grade there; nan where it is not known.
    own : bool
        Whether it stopped this run.
    """

    name: str
    letter: str
    sentence: str
    iteration: int | None
    grade: float
    own: bool


def curves_of(record: Record) -> dict[str, Any] | None:
    """Return what the page shows of the curves; None before the first iteration."""
    history = record.history
    if not len(history):
        return None
    marks, rules = marks_of(record), list(rules_of(record))
    chosen = record.returned[0] if record.returned else len(history) - 1
    return {
        "wide": curves_chart(history, marks, rules, svg.WIDE),
        "narrow": curves_chart(history, marks, rules, svg.NARROW),
        "graded": history.is_graded,
        "noise": history.steps[chosen].grade_noise if history.is_graded else 0.0,
        "rules": [_rule_cells(rule) for rule in rules] if history.is_graded else [],
        "phases": range(1, history.n_phases + 1),
        "start": chosen,
        "now": [number(grade) for grade in history.steps[chosen].grades],
        "rows": [
            {"iteration": s.iteration, "returned": s.iteration in record.returned, "cells": _cells(s)}
            for s in history.steps
        ],
    }


def _cells(step: Step) -> list[str]:
    costs = (f"{value:.5g}" for value in (step.cost, step.cost_data, step.cost_penalty))
    return [*(number(grade) for grade in step.grades), *costs, f"{step.recon_s + step.grading_s:.1f}"]


def _rule_cells(rule: RuleRow) -> dict[str, Any]:
    return {
        "letter": rule.letter,
        "own": rule.own,
        "sentence": rule.sentence,
        "iteration": "not reached" if rule.iteration is None else rule.iteration,
        "grade": number(rule.grade),
    }


def rules_of(record: Record) -> Iterator[RuleRow]:
    """Yield the rules of ``counterfactual``, the one that stopped the run marked."""
    own = record.section("stop").get("rule")
    for order, (name, found) in enumerate(record.section("counterfactual").items()):
        iteration = found if isinstance(found, int) and found >= 0 else None
        known = iteration is not None and iteration < len(record.history)
        sentence = rule_sentence(record.run, name)
        yield RuleRow(
            name=name,
            letter=_letter(order),
            sentence=sentence[:1].upper() + sentence[1:],
            iteration=iteration,
            grade=record.history.steps[iteration].mean_grade if known and iteration is not None else math.nan,
            own=name == own,
        )


def _letter(order: int) -> str:
    return chr(ord("a") + order) if order < 26 else f"{_letter(order // 26 - 1)}{_letter(order % 26)}"


def curves_chart(history: History, marks: Marks, rules: Sequence[RuleRow], width: int) -> Markup:
    """Return the chart: grades in colour on the 0-4 scale, cost in black, scaled to fit, with its own axis.

    The plateau is a dashed line, the iteration that was returned has rings, and every rule a letter above the
    plot where it stops. The script of the page reads ``data-k`` (iteration) and ``data-phase``.

    Parameters
    ----------
    history : History
    marks : Marks
    rules : sequence of RuleRow
    width : int
        ``svg.WIDE`` or ``svg.NARROW``.
    """
    flags = _flags(rules, len(history) - 1)
    top = 12 + _FLAG * max((len(f) for f in flags.values()), default=0)
    last = max(len(history) - 1, 1)
    axes = svg.Axes(34, top, width - 34 - 58, _HEIGHTS[width], (-0.3, last + 0.3), _grade_range(history))
    parts = [
        *_frame(axes, history, last, width),
        *_plateau(axes, marks),
        *_flag_marks(axes, flags),
        *_cost(axes, history),
        *(_phase(axes, history, marks, phase) for phase in range(1, history.n_phases + 1)),
        svg.line((axes.left, axes.top), (axes.left, axes.bottom), class_="cursor", visibility="hidden"),
    ]
    label = (
        f"Grade of each phase and cost against iteration, 0 to {len(history) - 1}; numbers in the table below"
    )
    kind = "chart wide" if width == svg.WIDE else "chart narrow"
    edges = {"data_left": axes.at_x(0), "data_step": axes.at_x(1) - axes.at_x(0)}
    return svg.drawing((width, axes.bottom + 40), label, *parts, class_=kind, **edges)


def _grade_range(history: History) -> tuple[float, float]:
    grades = [g for step in history.steps for g in step.grades if math.isfinite(g)]
    return min(0.0, *grades, 0.0), max(4.0, *grades, 4.0)


def _frame(axes: svg.Axes, history: History, last: int, width: int) -> Iterator[Markup]:
    if history.is_graded:
        for tick in svg.ticks(*axes.y, 5):
            y = axes.at_y(tick)
            yield svg.line((axes.left, y), (axes.right, y), class_="grid")
            yield svg.text(axes.left - 6, y + 4, f"{tick:g}", text_anchor="end")
    for tick in svg.whole_ticks(last, 20 if width == svg.WIDE else 8):
        yield svg.text(axes.at_x(tick), axes.bottom + 18, tick, text_anchor="middle")
    yield svg.line((axes.left, axes.bottom), (axes.right, axes.bottom), class_="axis")
    middle = (axes.left + axes.right) / 2
    yield svg.text(
        middle, axes.bottom + 36, "iteration (0: gridded image)", text_anchor="middle", class_="title"
    )
    where = {"transform": f"translate(10 {(axes.top + axes.bottom) / 2:g}) rotate(-90)"}
    words = "grade (0 nondiagnostic, 4 excellent)" if history.is_graded else "not graded"
    yield svg.text(0, 0, words, text_anchor="middle", class_="title", **where)


def _cost(axes: svg.Axes, history: History) -> Iterator[Markup]:
    """Yield the cost between 4 % and 96 % of the height, and its axis at the right."""
    costs = [step.cost for step in history.steps]
    known = [c for c in costs if math.isfinite(c)]
    if not known:
        return
    low, high = min(known), max(known)
    margin = 0.04 * (high - low) if high > low else 0.5 * abs(high) or 1.0
    own = svg.Axes(axes.left, axes.top, axes.width, axes.height, axes.x, (low - margin, high + margin))
    points = [(own.at_x(s.iteration), own.at_y(s.cost)) for s in history.steps]
    yield svg.curve(points, class_="cost")
    power = math.floor(math.log10(max(abs(low), abs(high)) or 1.0))
    power = power if not -2 <= power <= 2 else 0
    for tick in svg.ticks(*own.y, 5):
        yield svg.text(own.right + 6, own.at_y(tick) + 4, f"{tick / 10**power:.4g}")
    raised = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    words = f"cost (10{raised})" if power else "cost"
    place = f"translate({own.right + 52:g} {(own.top + own.bottom) / 2:g}) rotate(-90)"
    yield svg.text(0, 0, words, text_anchor="middle", class_="title", transform=place)


def _phase(axes: svg.Axes, history: History, marks: Marks, phase: int) -> Markup:
    grades = [step.grades[phase - 1] for step in history.steps]
    points = [(axes.at_x(k), axes.at_y(g)) for k, g in enumerate(grades)]
    parts = [svg.curve(points, class_="grade")]
    if history.n_phases <= _MANY:
        parts += [
            svg.marker(*point, phase, class_="mark", data_k=k)
            for k, point in enumerate(points)
            if math.isfinite(grades[k])
        ]
    if marks.returned and math.isfinite(grades[marks.returned[phase - 1]]):
        x, y = points[marks.returned[phase - 1]]
        parts.append(svg.element("circle", cx=x, cy=y, r=8, class_="ring"))
    return svg.element("g", *parts, class_=f"curve {svg.colour(phase)}", data_phase=phase)


def _plateau(axes: svg.Axes, marks: Marks) -> Iterator[Markup]:
    if marks.plateau is not None:
        x = axes.at_x(marks.plateau)
        yield svg.line((x, axes.top - 4), (x, axes.bottom), class_="plateau")


def _flags(rules: Sequence[RuleRow], last: int) -> Mapping[int, list[RuleRow]]:
    """Return the rules that stop at each iteration of the chart."""
    found: dict[int, list[RuleRow]] = {}
    for rule in rules:
        if rule.iteration is not None and rule.iteration <= last:
            found.setdefault(rule.iteration, []).append(rule)
    return found


def _flag_marks(axes: svg.Axes, flags: Mapping[int, list[RuleRow]]) -> Iterator[Markup]:
    for iteration, rules in flags.items():
        x = axes.at_x(iteration)
        yield svg.line((x, axes.top - 6), (x, axes.bottom), class_="stop")
        for order, rule in enumerate(rules):
            y = axes.top - 8 - _FLAG * order
            kind = "flag own" if rule.own else "flag"
            box = svg.element("rect", x=x - 8, y=y - 13, width=16, height=16, rx=3)
            name = svg.element("title", f"{rule.letter}: {rule.sentence}: iteration {iteration}")
            yield svg.element(
                "g", name, box, svg.text(x, y - 1, rule.letter, text_anchor="middle"), class_=kind
            )
