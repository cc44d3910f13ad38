"""Any labelled set of graded images compared: pairs with ties, top set, ranks, and what a reader would say.

Breathing phases of one run are the special case of :mod:`csiq.ranking.phases`; cardiac and respiratory
phases, weights of the penalty, solvers and other programs compare in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Generic, TypeVar

from csiq.errors import ConfigError
from csiq.history import THRESHOLD, GradeLike
from csiq.ranking.preference import error_of
from csiq.ranking.preferences import Preferences, pair_preference

L = TypeVar("L", bound=Hashable)


@dataclass(frozen=True)
class Ranked(Generic[L]):
    """One image among the others; None where its grade is not a number.

    Attributes
    ----------
    label : str or int
    grade, grade_sd : float or None
        As the network gave them, not clipped.
    rank : int or None
        1 + number of images better by at least 0.25.
    delta_to_best : float or None
        Its grade minus the best one: 0 or negative.
    indistinguishable_from_best : bool
    """

    label: L
    grade: float | None
    grade_sd: float | None
    rank: int | None
    delta_to_best: float | None
    indistinguishable_from_best: bool


@dataclass(frozen=True)
class Pair(Generic[L]):
    """Two images, in the order of the labels.

    Attributes
    ----------
    a, b : str or int
        Labels; phases count from 1, a < b.
    difference : float or None
        Grade of a minus grade of b.
    verdict : str or None
        "a", "b", or "equal" if and only if ``abs(difference) < 0.25``; None if a grade is missing.
    """

    a: L
    b: L
    difference: float | None
    verdict: str | None


@dataclass(frozen=True)
class Comparison(Generic[L]):
    """Labelled images compared with each other.

    Attributes
    ----------
    images : tuple of Ranked
        In the order of the labels.
    pairs : tuple of Pair
        All of them, in the order of the labels.
    best : str or int or None
        Label of the highest grade, the first of equals; None if nothing was graded.
    top_set : tuple
        The best and those indistinguishable from it.
    preferences : Preferences
    model : str or None
        What graded them all, if that was told.
    threshold : float
    """

    images: tuple[Ranked[L], ...]
    pairs: tuple[Pair[L], ...]
    best: L | None
    top_set: tuple[L, ...]
    preferences: Preferences[L]
    model: str | None = None
    threshold: float = THRESHOLD

    @property
    def by_rank(self) -> tuple[Ranked[L], ...]:
        """The images by falling grade, ungraded ones last."""
        return tuple(
            sorted(self.images, key=lambda i: -math.inf if i.grade is None else i.grade, reverse=True)
        )


def compare(
    labels: Sequence[L],
    grades: Sequence[GradeLike],
    *,
    models: Sequence[str] | None = None,
    scans: Sequence[Hashable | None] | None = None,
) -> Comparison[L]:
    """Compare labelled images by their grades: "select the image with the best quality".

    Parameters
    ----------
    labels : sequence of str or int
        One an image, all different.
    grades : sequence
        Objects with ``grade`` and ``grade_sd``; ``uncertainty`` and ``in_domain`` are used where there are
        such (:class:`csiq.Grade` has them). A grade that is not a number is not ranked.
    models : sequence of str, optional
        Name of what graded each image. Grades of different models are not compared.
    scans : sequence, optional
        What tells the scan of each image (a hash, say). Images of different scans, both of them told, have
        errors that do not go together, and are not read side by side. Unknown (None): of one scan.

    Raises
    ------
    ConfigError
        If lengths differ, a label is there twice, or two models graded.
    """
    _check(labels, grades, models, scans)
    errors = tuple(error_of(grade) for grade in grades)
    images = _ranked(labels, [float(g.grade) for g in grades], [float(g.grade_sd) for g in grades])
    where = list(scans) if scans is not None else [None] * len(images)
    numbers = list(combinations(range(len(images)), 2))
    pairs = tuple(_pair(images[i], images[j]) for i, j in numbers)
    said = tuple(
        pair_preference(
            (pair.a, pair.b),
            pair.difference,
            (errors[i], errors[j]),
            same_scan=_is_same(where[i], where[j]),
        )
        for pair, (i, j) in zip(pairs, numbers, strict=True)
    )
    return Comparison(
        images=images,
        pairs=pairs,
        best=next((image.label for image in images if image.delta_to_best == 0), None),
        top_set=tuple(image.label for image in images if image.indistinguishable_from_best),
        preferences=Preferences(errors, said),
        model=models[0] if models else None,
    )


def _check(
    labels: Sequence[L],
    grades: Sequence[GradeLike],
    models: Sequence[str] | None,
    scans: Sequence[Hashable | None] | None,
) -> None:
    for name, entries in (("grades", grades), ("models", models), ("scans", scans)):
        if entries is not None and len(entries) != len(labels):
            raise ConfigError(f"{len(labels)} labels, but {len(entries)} {name}", field=name)
    twice = [label for label in dict.fromkeys(labels) if list(labels).count(label) > 1]
    if twice:
        raise ConfigError(f"'{twice[0]}' is there twice", field="label", hint="LABEL=PATH gives another")
    check_one_model(models or ())


def check_one_model(models: Sequence[str]) -> None:
    """Refuse to compare grades of different models.

    Raises
    ------
    ConfigError
        If there are two; names both.
    """
    different = list(dict.fromkeys(models))
    if len(different) > 1:
        raise ConfigError(
            f"grades of different models are not comparable: {different[0]} and {different[1]}",
            field="model",
            hint="--model NAME grades all volumes with one",
        )


def _is_same(a: Hashable | None, b: Hashable | None) -> bool:
    return a is None or b is None or a == b


def _ranked(labels: Sequence[L], grades: Sequence[float], spreads: Sequence[float]) -> tuple[Ranked[L], ...]:
    known = [g for g in grades if math.isfinite(g)]
    best = max(known, default=math.nan)
    return tuple(
        _one(label, grade, spread, known, best)
        for label, grade, spread in zip(labels, grades, spreads, strict=True)
    )


def _one(label: L, grade: float, sd: float, known: list[float], best: float) -> Ranked[L]:
    spread = sd if math.isfinite(sd) else None
    if not math.isfinite(grade):
        return Ranked(label, None, spread, None, None, False)
    return Ranked(
        label=label,
        grade=grade,
        grade_sd=spread,
        rank=1 + sum(other - grade >= THRESHOLD for other in known),
        delta_to_best=grade - best,
        indistinguishable_from_best=best - grade < THRESHOLD,
    )


def _pair(a: Ranked[L], b: Ranked[L]) -> Pair[L]:
    if a.grade is None or b.grade is None:
        return Pair(a.label, b.label, None, None)
    difference = a.grade - b.grade
    verdict = "equal" if abs(difference) < THRESHOLD else "a" if difference > 0 else "b"
    return Pair(a.label, b.label, difference, verdict)
