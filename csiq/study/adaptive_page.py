"""The part of the page on adaptivity: rivals, the trade of time against loss, stops against needs."""

from __future__ import annotations

from typing import Any

from csiq.evaluation.section import Picture, Section, Table, shown, span
from csiq.study.adaptive import (
    NEAR_BEST,
    Adaptivity,
    adaptivity,
    adaptivity_bars,
    cost_rules,
    fixed_rules,
    verdict,
)
from csiq.study.adaptive_figures import needed_figure, trade_figure
from csiq.study.bar import bars_table
from csiq.study.material import Material
from csiq.study.outcomes import outcomes, percentile_95
from csiq.study.savings import rule_row
from csiq.study.spread import spread


def section(study: Material) -> Section:
    """Return the part on adaptivity."""
    found = {s: adaptivity(curves, study.tuning.get(s)) for s, curves in study.test.items()}
    bars = {s: adaptivity_bars(one, study.label(s)) for s, one in found.items()}
    items: list[Table | Picture] = [
        bars_table(
            "bars-adaptive", "Against rules that look at no grade", [b for s in bars for b in bars[s]]
        ),
        *(_table(study, s, found[s]) for s in study.solvers),
    ]
    for solver in study.solvers:
        items += _pictures(study, solver, found[solver])
    lead = [verdict(found[s], bars[s], study.label(s)) for s in study.solvers]
    n = {s: len(c) for s, c in study.tuning.items()}
    chosen = f"Rivals were chosen on {_numbers_of(n)} of patients who train" if n else "No rivals were chosen"
    lead.append(
        f"{chosen}, none of whom is tested here: the least mean loss among rules that take no more mean "
        "time than the default rule with its grading. (The network has seen other images of these "
        "patients, so its grades, and with them the default rule's time, may be a little better there.)"
        if n
        else f"{chosen}: the study has no scans to tune on."
    )
    numbers: dict[str, Any] = {s: _numbers(one) for s, one in found.items()}
    return Section(
        "Does adaptivity help?",
        tuple(lead),
        items,
        (),
        {**numbers, "bars": [b for s in bars for b in bars[s]]},
        "adaptivity",
    )


def _numbers_of(n: dict[str, int]) -> str:
    """Return ``30 scans``, or how many for each solver where they differ."""
    if len(set(n.values())) == 1:
        return f"{max(n.values())} scans"
    return f"{' and '.join(f'{k} ({solver})' for solver, k in n.items())} scans"


def _numbers(found: Adaptivity) -> dict[str, Any]:
    return {
        "tail": found.own.tail,
        "fixed": found.fixed_name or None,
        "fixed_tail": found.fixed.tail if found.fixed else None,
        "cost": found.cost_name or None,
        "cost_tail": found.cost.tail if found.cost else None,
        "tail_best": percentile_95(found.own.loss_best),
        "needed": spread(found.needed),
        "follows": found.follows,
        "follows_interval": found.follows_interval,
    }


def _table(study: Material, solver: str, found: Adaptivity) -> Table:
    curves = study.test[solver]
    body, data = [], []
    for what, name, one, apart in (
        ("default rule", found.own.name, found.own, (float("nan"), float("nan"))),
        ("best fixed number", found.fixed_name, found.fixed, found.apart_fixed),
        ("best cost rule", found.cost_name, found.cost, found.apart_cost),
    ):
        if one is None:
            body.append((what, "–", "–", "–", "–", "–", "–"))
            continue
        row = rule_row(one, curves)
        body.append(
            (
                f"{what}: {name}",
                shown(row["stop"], 1),
                shown(row["seconds"], 1),
                shown(row["loss"], 3),
                shown(row["loss_95"], 3),
                shown(percentile_95(one.loss_best), 3),
                span(*apart, 3),
            )
        )
        best_95 = {"loss_best_95": percentile_95(one.loss_best)}
        data.append({"what": what, "rule": name, **row, **best_95, "low": apart[0], "high": apart[1]})
    head = (
        "",
        "stops at",
        "seconds",
        "mean loss",
        "95th percentile",
        "the same against the best",
        "default less rival",
    )
    note = (
        "On the test scans. Last column: 90 % bootstrap interval of the difference of 95th percentiles, "
        "scans drawn."
    )
    return Table(f"rivals-{solver}", f"Rivals: {study.label(solver)}", head, body, data, note)


def _pictures(study: Material, solver: str, found: Adaptivity) -> list[Picture]:
    curves, label = study.test[solver], study.label(solver)
    trade = {
        "fixed number": outcomes(curves, fixed_rules(curves.last), "last"),
        "cost rule": outcomes(curves, cost_rules(), "last"),
        "default rule": {found.own.name: found.own},
    }
    rows = [
        {"kind": kind, "rule": name, "seconds": float(one.seconds.mean()), "loss_95": one.tail}
        for kind, of in trade.items()
        for name, one in of.items()
    ]
    needs = [
        {"scan": name, "needed": float(k), "stop": float(stop)}
        for name, k, stop in zip(curves.scans, found.needed, found.own.stops, strict=True)
    ]
    return [
        Picture(
            f"trade-{solver}",
            trade_figure(rows),
            "95th percentile of the loss against mean seconds, for fixed numbers, cost rules and the "
            "default rule",
            f"95th percentile of the loss against mean seconds a scan, {label}: every fixed number of "
            "iterations, cost rules, and the default rule with its grading. Lower left is better.",
            rows,
            share=2,
        ),
        Picture(
            f"need-{solver}",
            needed_figure(found.needed, found.own.stops),
            "Iteration where the default rule stops against the first one that is good enough",
            f"Where the default rule stops against the first iteration within {NEAR_BEST} of the scan's "
            f"best reference quality, {label}. Larger dots: more scans.",
            needs,
            share=2,
        ),
    ]
