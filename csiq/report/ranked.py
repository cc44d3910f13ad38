"""The ranking section of the page: grades, words, and what a reader would say of each pair."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from csiq.history import THRESHOLD, noise_floor
from csiq.ranking import PairPreference, Ranking, words_of
from csiq.report import svg
from csiq.report.charts import ranking_chart
from csiq.report.facts import number
from csiq.report.record import Record
from csiq.report.verdict import out_of_domain, phase_name


def ranking_of(record: Record, ranking: Ranking | None) -> dict[str, Any] | None:
    """Return what the page shows of the ranking; None without one."""
    if ranking is None:
        return None
    noise = [noise_floor([math.nan if p.grade_sd is None else p.grade_sd]) for p in ranking.phases]
    n_phases = len(ranking.phases)
    preferences = _preferences(ranking)
    outside = out_of_domain(record.run)
    return {
        "wide": ranking_chart(ranking, noise, svg.WIDE),
        "narrow": ranking_chart(ranking, noise, svg.NARROW),
        "threshold": THRESHOLD,
        "rows": [
            {
                "phase": p.phase,
                "name": phase_name(record.run, p.phase, n_phases),
                "rank": "–" if p.rank is None else p.rank,
                "grade": number(p.grade),
                "sd": number(p.grade_sd),
                "delta": number(p.delta_to_best),
                "words": words_of(p.grade, p.phase not in outside),
                "top": p.indistinguishable_from_best,
            }
            for p in ranking.by_rank
        ],
        "numbers": [p.phase for p in ranking.phases],
        "pairs": _pair_table(ranking, preferences) if n_phases > 1 else [],
        "probable": any(p.p_a is not None for p in preferences.values()),
        "calibrated": _calibrated(ranking),
    }


def _preferences(ranking: Ranking) -> dict[tuple[int, int], PairPreference[int]]:
    found = ranking.preferences
    return {(p.a, p.b): p for p in found.pairs} if found is not None else {}


def _calibrated(ranking: Ranking) -> bool:
    """Return whether the errors behind the probabilities are calibrated ones."""
    found = ranking.preferences
    return found is not None and any(error.source == "calibration" for error in found.errors)


def _pair_table(
    ranking: Ranking, preferences: Mapping[tuple[int, int], PairPreference[int]]
) -> list[dict[str, Any]]:
    signed = {(p.a, p.b): (p.difference, p.verdict) for p in ranking.pairs}
    numbers = [p.phase for p in ranking.phases]
    return [{"phase": a, "cells": [_pair_cell(a, b, signed, preferences) for b in numbers]} for a in numbers]


def _pair_cell(
    a: int,
    b: int,
    signed: Mapping[tuple[int, int], tuple[float | None, str | None]],
    preferences: Mapping[tuple[int, int], PairPreference[int]],
) -> dict[str, str]:
    if a == b:
        return {"kind": "self", "text": "·", "word": "", "chance": ""}
    pair = (min(a, b), max(a, b))
    difference, verdict = signed[pair]
    if difference is None:
        return {"kind": "", "text": "–", "word": "", "chance": ""}
    own = "a" if a < b else "b"
    word = "equal" if verdict == "equal" else "better" if verdict == own else "worse"
    return {
        "kind": word,
        "text": number(difference if own == "a" else -difference, "+.2f"),
        "word": word,
        "chance": _chance(preferences.get(pair), own),
    }


def _chance(preference: PairPreference[int] | None, own: str) -> str:
    """Return with which probability a reader prefers the row's phase, in percent."""
    if preference is None:
        return ""
    chance = preference.p_a if own == "a" else preference.p_b
    if chance is None:
        return ""
    return "< 1 %" if chance < 0.01 else "> 99 %" if chance > 0.99 else f"{100 * chance:.0f} %"
