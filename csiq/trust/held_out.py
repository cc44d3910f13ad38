"""Mechanisms that a network was never trained on: its grade has to follow the image there, too."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from csiq.agreement import linear_fit, mae, spearman
from csiq.cohort.manifest import GradedScan
from csiq.errors import ConfigError

Row = Mapping[str, Any]


@dataclass(frozen=True)
class AgainstFormula:
    """How grades go with those of the reference formula on the same images.

    Attributes
    ----------
    n : int
        Images.
    r2, slope, rho : float
        Squared Pearson and line of grade on reference, Spearman; NaN if either does not vary.
    bias, sd, mae : float
        Of grade less reference.
    within : float
        Median over cases of Spearman between grade and reference.
    """

    n: int
    r2: float
    slope: float
    rho: float
    bias: float
    sd: float
    mae: float
    within: float


def against_formula(rows: Iterable[Row]) -> AgainstFormula:
    """Compare grades with reference grades.

    Parameters
    ----------
    rows : iterable of mappings
        With ``case``, ``grade`` and ``reference``; those without one of the grades are left out.

    Raises
    ------
    ConfigError
        If there are fewer than two rows.
    """
    kept = [r for r in rows if np.isfinite([_number(r["grade"]), _number(r["reference"])]).all()]
    if len(kept) < 2:
        raise ConfigError("fewer than two graded images", field="rows")
    grade, truth = (np.array([float(r[name]) for r in kept]) for name in ("grade", "reference"))
    line, error = linear_fit(truth, grade), grade - truth
    cases: dict[str, list[int]] = {}
    for number, row in enumerate(kept):
        cases.setdefault(str(row["case"]), []).append(number)
    within = [float(spearman(grade[i], truth[i])) for i in cases.values() if len(i) > 2]
    known = [value for value in within if np.isfinite(value)]
    return AgainstFormula(
        len(kept),
        float(line.r2),
        float(line.slope),
        float(spearman(grade, truth)),
        float(error.mean()),
        float(error.std(ddof=1)),
        float(mae(grade, truth)),
        float(np.median(known)) if known else float("nan"),
    )


def without(scans: Sequence[GradedScan], people: Iterable[Row], kinds: Collection[str]) -> list[GradedScan]:
    """Return a manifest whose training parts have no scan with an imperfection of some kinds.

    A network trained on it has never seen these mechanisms; its test part is as before.

    Parameters
    ----------
    scans : sequence of GradedScan
    people : iterable of mappings
        Rows of the cohort's ``patients.tsv``.
    kinds : collection of str
        Keys of :data:`csiq.cohort.patients.IMPERFECTIONS`.

    Raises
    ------
    ConfigError
        If nobody has such an imperfection.
    """
    has = {str(row["patient"]) for row in people if set(str(row["imperfections"]).split(",")) & set(kinds)}
    if not has:
        raise ConfigError(f"no scan has {' or '.join(sorted(kinds))}", field="kinds")
    return [scan for scan in scans if scan.split == "test" or scan.patient not in has]


def shuffled(scans: Sequence[GradedScan], seed: int = 0) -> list[GradedScan]:
    """Return a manifest whose training and validation grades are dealt to other scans.

    All grades of a scan, its readers' and the reference, go together, so that their distribution and the
    readers' agreement stay. The test part keeps its own: a network trained on it has to have an R2 near 0.

    Parameters
    ----------
    scans : sequence of GradedScan
    seed : int
    """
    places = [number for number, scan in enumerate(scans) if scan.split != "test"]
    order = np.random.default_rng(seed).permutation(places)
    found = list(scans)
    for place, source in zip(places, order, strict=True):
        other = scans[int(source)]
        found[place] = replace(scans[place], grades=other.grades, reference=other.reference)
    return found


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
