"""Readers and network among themselves: Tables 2 to 4, and the part of the page they stand in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from csiq.agreement import kappa_words
from csiq.evaluation.comparison import Comparison
from csiq.evaluation.differences import clear_differences
from csiq.evaluation.estimating import Estimate
from csiq.evaluation.paper import AGAIN, MAIN, NETWORK, PAIRS, SECOND, Published
from csiq.evaluation.rater_figures import difference_picture, map_picture, variability_picture
from csiq.evaluation.section import Picture, Section, Table, plus_minus, shown, span

#: Panels of Figures 4 and E3: letter, row and column.
_MAPS = (("a", MAIN, NETWORK), ("b", SECOND, NETWORK), ("c", MAIN, SECOND))
_DIFFERENCES = (
    ("a", MAIN, AGAIN, "intraobserver"),
    ("b", MAIN, SECOND, "interobserver"),
    ("c", MAIN, NETWORK, "network"),
)
_Found = Mapping[tuple[str, str], Published]


def section(study: Comparison) -> Section:
    """Return the part on the agreement of all raters."""
    roles = list(study.raters)
    tables = [_table_2(study), _kappa_table(study), _table_4(study), _reliability(study)]
    shown_pairs = [panel for panel in _MAPS if set(panel[1:]) <= set(roles)]
    counted = {panel: study.counts(*panel[1:]) for panel in shown_pairs}
    maps = [map_picture(study, *panel, *found) for panel, found in counted.items()]
    near = [
        {"a": study.raters[a].label, "b": study.raters[b].label, **vars(found)}
        for (_, a, b), (_, found) in counted.items()
    ]
    apart = [difference_picture(study, *panel) for panel in _DIFFERENCES if set(panel[1:3]) <= set(roles)]
    differences: list[str] = []
    for pair in combinations(roles, 2):
        if pair != (MAIN, NETWORK):  # of that pair the part on observer 1 speaks
            published = {key: table[pair] for key, table in PAIRS.items() if pair in table}
            differences += clear_differences(study.pairs[pair], published, _name(study, pair))
    numbers = {
        "pairs": [
            {"a": study.raters[a].label, "b": study.raters[b].label, **found}
            for (a, b), found in study.pairs.items()
        ],
        "variability_per_grade": study.variability,
        "variability_estimates": study.variability_estimates,
        "within_half_a_grade": near,
        "kappa_network_minus_second_reading": study.kappa_gain,
    }
    items: list[Table | Picture] = [*tables, *maps, *apart, variability_picture(study)]
    return Section("Readers and network", tuple(_lead(study)), items, tuple(differences), numbers, "raters")


def _lead(study: Comparison) -> list[str]:
    sd = float(np.nanstd(study.raters[MAIN].grades, ddof=1))
    lead = [
        f"κ, α and correlations rise with the spread of quality among the images; grades of "
        f"{study.raters[MAIN].label} have an SD of {shown(sd)} here, the paper does not state its own.",
    ]
    gain = study.kappa_gain
    if gain is not None:
        lead.append(
            f"κ of the network and {study.raters[MAIN].label} minus κ of the two readings of that observer: "
            f"{shown(gain.single, sign=True)} (90 % interval {span(gain.low, gain.high, sign=True)}, the "
            f"same resampled patients){_gain_redrawn(gain)}."
        )
    absent = [role for role in (AGAIN, SECOND) if role not in study.raters]
    if absent:
        words = {AGAIN: "a second reading of that observer", SECOND: "a second observer"}
        lead.append(
            f"The manifest has no {' and no '.join(words[r] for r in absent)}; what needs it is absent."
        )
    return lead


def _gain_redrawn(gain: Estimate) -> str:
    if not math.isfinite(gain.mean):
        return ""
    ceiling = f"; with the noise-free reference {shown(gain.ceiling, sign=True)}"
    interval = f" ({span(gain.mean_low, gain.mean_high, sign=True)})"
    drawn = f", over redraws {shown(gain.mean, sign=True)}{interval}"
    return drawn + (ceiling if math.isfinite(gain.ceiling) else "")


def _name(study: Comparison, pair: tuple[str, str]) -> str:
    return " and ".join(study.raters[role].label for role in pair)


def _triangle(
    study: Comparison, name: str, caption: str, cell: dict[tuple[str, str], str], note: str
) -> Table:
    """Return a table of pairs as the paper prints them: rows minus columns, above the diagonal."""
    roles = list(study.raters)
    labels = [study.raters[role].label for role in roles]
    body = [
        (labels[i], *("…" if j <= i else cell[roles[i], roles[j]] for j in range(1, len(roles))))
        for i in range(len(roles) - 1)
    ]
    return Table(name, caption, ("", *labels[1:]), body, [], note)


def _rows(study: Comparison, keys: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for (a, b), found in study.pairs.items():
        for key in keys:
            paper = PAIRS.get(key, {}).get((a, b))
            names = {"a": study.raters[a].label, "b": study.raters[b].label, "merit": key}
            rows.append({**names, **vars(found[key]), "paper": paper.value if paper else None})
    return rows


def _drawn(estimate: Estimate) -> str:
    """Return mean over redraws, behind it the single draw."""
    if not math.isfinite(estimate.mean):
        return shown(estimate.single)
    return f"{shown(estimate.mean)} [{shown(estimate.single)}]"


def _below(estimate: Estimate, table: _Found, pair: tuple[str, str], sd: _Found | None = None) -> str:
    """Return the interval of what :func:`_drawn` says, and the paper's number."""
    drawn = math.isfinite(estimate.mean)
    low, high = (estimate.mean_low, estimate.mean_high) if drawn else (estimate.low, estimate.high)
    found = [span(low, high)] if math.isfinite(low) else []
    if pair in table:
        paper = plus_minus(table[pair].value, sd[pair].value) if sd else shown(table[pair].value)
        found.append(f"paper {paper}")
    return "\n" + "; ".join(found) if found else ""


_NOTE = (
    "Mean over redraws, in brackets the single draw; below it the 90 % interval over patients, and the "
    "paper's number."
)


def _table_2(study: Comparison) -> Table:
    cell = {}
    for pair, found in study.pairs.items():
        bias, sd = found["bias"], found["sd"]
        mean = plus_minus(bias.best, sd.best)
        single = f" [{plus_minus(bias.single, sd.single)}]" if math.isfinite(bias.mean) else ""
        cell[pair] = mean + single + _below(bias, PAIRS["bias"], pair, PAIRS["sd"])
    caption = "Table 2. Bland-Altman analyses: row minus column, mean ± SD"
    table = _triangle(study, "table-2", caption, cell, f"{_NOTE} The interval is that of the mean.")
    return Table(
        table.name,
        caption,
        table.head,
        table.body,
        _rows(study, ("bias", "sd", "lower", "upper")),
        table.note,
    )


def _kappa_table(study: Comparison) -> Table:
    cell = {}
    for pair, found in study.pairs.items():
        kappa = found["kappa"]
        cell[pair] = f"{_drawn(kappa)} {kappa_words(kappa.best)}{_below(kappa, PAIRS['kappa'], pair)}"
    table = _triangle(study, "table-3", "Table 3. Weighted κ scores (eq. 2, all nine grades)", cell, _NOTE)
    return Table(
        table.name,
        table.caption,
        table.head,
        table.body,
        _rows(study, ("kappa",)),
        f"{_NOTE} Words as there.",
    )


def _table_4(study: Comparison) -> Table:
    body = [
        (
            f"{study.raters[a].label} vs {study.raters[b].label}",
            _drawn(found["mae"]) + _below(found["mae"], PAIRS["mae"], (a, b)),
            _drawn(found["rmse"]) + _below(found["rmse"], PAIRS["rmse"], (a, b)),
        )
        for (a, b), found in study.pairs.items()
    ]
    head = ("comparison", "mean absolute error", "root mean squared error")
    caption = f"Table 4. Comparison of readers and {study.network_name}"
    return Table("table-4", caption, head, body, _rows(study, ("mae", "rmse")), _NOTE)


def _reliability(study: Comparison) -> Table:
    body = [
        (
            f"{study.raters[a].label} vs {study.raters[b].label}",
            _drawn(found["alpha"])
            + (" ✓" if found["alpha"].best >= 0.8 else "")
            + _below(found["alpha"], PAIRS["alpha"], (a, b)),
            _drawn(found["spearman"]) + _below(found["spearman"], PAIRS["spearman"], (a, b)),
        )
        for (a, b), found in study.pairs.items()
    ]
    head = ("comparison", "Krippendorff α, interval level", "Spearman rank correlation")
    note = f"{_NOTE} ✓: α of 0.8 or more. The paper names no level of α."
    caption = "Krippendorff's α and Spearman's rank correlation"
    return Table("reliability", caption, head, body, _rows(study, ("alpha", "spearman")), note)
