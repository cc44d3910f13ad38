"""Do grades fall as an image is made worse? Within a patient, level by level."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from csiq.agreement import spearman
from csiq.io.tables import Cell
from csiq.quality import reference
from csiq.quality.assessor import as_assessor
from csiq.quality.features import HeartTruth, measure
from csiq.trust.mechanisms import Mechanism
from csiq.trust.radial_scan import Case
from csiq.trust.similarity import similarity
from csiq.trust.vessel_tracker import compare_with_truth, track_vessels

#: Below this grade an image is hopeless, and the order of still worse ones says nothing.
SPENT = 0.3
#: Levels that have to be left.
LEAST_LEVELS = 6
#: Bars: the median over patients, and each patient.
MEDIAN_BAR, WORST_BAR = -0.95, -0.8
#: An order of grades that differ by less says nothing; ours.
LEAST_FALL = 0.25

_FEATURES = ("edge_sharpness", "visible_share", "cnr", "noise", "streaks")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Level:
    """One image of a case that was made worse.

    Attributes
    ----------
    row : dict
        ``case mechanism level`` and, if measured, what :func:`measured` returns.
    volume : float32 array, (z, y, x)
        Magnitude.
    voxel_size : (float, float, float)
        mm, z y x.
    """

    row: dict[str, Cell]
    volume: np.ndarray
    voxel_size: tuple[float, float, float]


def make_levels(case: Case, mechanism: Mechanism, *, formula: bool = True) -> Iterator[Level]:
    """Yield the images of a case at every level of a mechanism, the best first.

    Parameters
    ----------
    case : Case
    mechanism : Mechanism
    formula : bool
        Whether to measure each image against its truth, too.
    """
    for level, volume, truth in mechanism.images(case):
        z, y, x = (float(v) for v in truth.voxel_size)
        row: dict[str, Cell] = {"case": case.name, "mechanism": mechanism.name, "level": float(level)}
        yield Level(row | (measured(volume, truth) if formula else {}), volume, (z, y, x))


def measured(volume: np.ndarray, truth: HeartTruth) -> dict[str, Cell]:
    """Return what the formulas make of an image, its main features, and metrics that no formula knows.

    These are HaarPSI and SSIM in the heart, the share of RCA, LAD and LCX that a tracker finds without
    knowing where they are, and the length of all that it follows, mm.
    """
    found = measure(volume, truth)
    row: dict[str, Cell] = {"reference": reference.grade(found), "latent": reference.latent(found)}
    for name, weights in reference.ALTERNATIVES.items():
        row[f"latent_{name}"] = reference.latent(found, weights)
    row |= {name: float(getattr(found, name)) for name in _FEATURES}
    alike, size = similarity(volume, truth), truth.voxel_size
    tracked = track_vessels(volume, (float(size[0]), float(size[1]), float(size[2])))
    seen = compare_with_truth(tracked, truth.vessels).recall if tracked.tracks else 0.0
    return row | {"haarpsi": alike.haarpsi, "ssim": alike.ssim, "tracked": seen, "track_mm": tracked.length}


def grade_levels(grader: Any, levels: Iterable[Level]) -> list[dict[str, Cell]]:
    """Grade images that were made worse.

    Parameters
    ----------
    grader : Assessor, torch.nn.Module or callable
        See :func:`csiq.quality.assessor.as_assessor`.
    levels : iterable of Level
        From :func:`make_levels`, or kept from an earlier run.

    Returns
    -------
    list of dict
        The rows of the levels, each with its ``grade``.
    """
    assessor = as_assessor(grader)
    return [{**one.row, "grade": float(assessor.grade(one.volume, one.voxel_size).grade)} for one in levels]


@dataclass(frozen=True)
class CaseOrder:
    """How one case's grades follow the levels of a mechanism.

    Attributes
    ----------
    case, mechanism : str
    rho : float
        Spearman of grade against level over the levels that count; 0 where grades do not vary, NaN where the
        case is not judged.
    rho_all : float
        The same over all levels.
    fall : float
        Grade at the first level less that at the last one that counts.
    n_levels : int
        Levels that count.
    n_spent : int
        Levels left out: the harshest ones, as long as all of them are graded below :data:`SPENT`.
    """

    case: str
    mechanism: str
    rho: float
    rho_all: float
    fall: float
    n_levels: int
    n_spent: int

    @property
    def judged(self) -> bool:
        """Whether at least :data:`LEAST_LEVELS` levels count."""
        return self.n_levels >= LEAST_LEVELS


def order_of(rows: Sequence[Row], column: str = "grade") -> CaseOrder:
    """Return how the grades of one case and mechanism are ordered.

    Only levels from the harsh end are left out, as long as each is below 0.3: a low grade before a higher one
    counts. A level without a grade (NaN) counts as no order at all.

    Parameters
    ----------
    rows : sequence of mappings
        As :func:`grade_levels` returns them.
    column : str
        ``grade``, or a formula's column.
    """
    ordered = sorted(rows, key=lambda row: float(row["level"]))
    level = np.array([row["level"] for row in ordered], float)
    grades = np.array([row[column] for row in ordered], float)
    kept = len(grades)
    while kept and _number(ordered[kept - 1]["grade"]) < SPENT:
        kept -= 1
    rho = _rho(level[:kept], grades[:kept]) if kept >= LEAST_LEVELS else float("nan")
    first = ordered[0]
    fall = float(grades[0] - grades[kept - 1]) if kept else 0.0
    return CaseOrder(
        str(first["case"]), str(first["mechanism"]), rho, _rho(level, grades), fall, kept, len(grades) - kept
    )


@dataclass(frozen=True)
class Ordering:
    """How the grades of many cases follow the levels of a mechanism.

    Attributes
    ----------
    mechanism : str
    median, worst : float
        Over the cases that are judged.
    fall : float
        Median over these of the grade at the first level less that at the last one that counts.
    worst_all : float
        Over all cases and levels, nothing left out.
    n_judged, n_left_out : int
        Cases; those left out have fewer than :data:`LEAST_LEVELS` levels.
    n_spent : int
        Images left out.
    """

    mechanism: str
    median: float
    worst: float
    fall: float
    worst_all: float
    n_judged: int
    n_left_out: int
    n_spent: int

    @property
    def passed(self) -> bool:
        """Whether median and worst meet the bars, with half of the cases judged and a fall to speak of."""
        enough = self.n_judged >= max(self.n_left_out, 1) and self.fall > LEAST_FALL
        return bool(enough and self.median <= MEDIAN_BAR and self.worst <= WORST_BAR)


def ordering_of(rows: Iterable[Row], column: str = "grade") -> dict[str, Ordering]:
    """Return the ordering of every mechanism in a table of graded levels."""
    groups: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        groups.setdefault(str(row["mechanism"]), {}).setdefault(str(row["case"]), []).append(row)
    return {
        name: _summary(name, [order_of(g, column) for g in cases.values()]) for name, cases in groups.items()
    }


def _summary(mechanism: str, orders: Sequence[CaseOrder]) -> Ordering:
    judged = [order.rho for order in orders if order.judged]
    return Ordering(
        mechanism,
        float(np.median(judged)) if judged else float("nan"),
        max(judged, default=float("nan")),
        float(np.median([order.fall for order in orders if order.judged])) if judged else float("nan"),
        max(order.rho_all for order in orders),
        len(judged),
        len(orders) - len(judged),
        sum(order.n_spent for order in orders),
    )


def _rho(level: np.ndarray, grades: np.ndarray) -> float:
    """Return Spearman's correlation; 0 where grades are equal or one is missing: no order."""
    if len(grades) < 2 or not np.isfinite(grades).all():
        return 0.0
    found = float(spearman(level, grades))
    return found if np.isfinite(found) else 0.0


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
