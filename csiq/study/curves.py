"""The records of a study as arrays: one set of curves for each solver, all scans of a role stacked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from csiq.errors import RawDataError
from csiq.history import History
from csiq.shadow import TruthCurve
from csiq.study.record import PartRecord, folder_of, is_finished, read_record
from csiq.study.request import SELFNAV
from csiq.study.steady import disturbed_share, steady_clock
from csiq.study.work import SCANS

#: Columns that have one number for each image, and those that have one for each iteration.
IMAGE = (
    "grade",
    "grade_sd",
    "uncertainty",
    "in_domain",
    "reference",
    "nrmse",
    "sharpness",
    "cleanliness",
)
JOINT = ("cost", "recon_s", "grading_s")
#: Those of the latter that are clocks.
CLOCKS = ("recon_s", "grading_s")
#: What is known of the motion in a phase.
MOTION = ("signal_sd", "breathing_mean_mm", "breathing_sd_mm", "heart_sd_mm", "others")


@dataclass(frozen=True)
class Curves:
    """All scans of one solver.

    Attributes
    ----------
    solver : str
    scans : tuple of str
        Names, row by row.
    histories : tuple of History
        As they were computed; a solver that converged has fewer iterations.
    truths : tuple of TruthCurve
    images : dict of str to float64 array, (n_scans, n_iterations + 1, n_phases)
        By the names of :data:`IMAGE`. Where a solver converged early its last image stands for the rest.
    joint : dict of str to float64 array, (n_scans, n_iterations + 1)
        By the names of :data:`JOINT`; seconds are from the start, the median of all scans for each iteration
        (:mod:`csiq.study.steady`).
    motion : dict of str to float64 array, (n_scans, n_phases)
        By the names of :data:`MOTION`.
    selfnav : float64 array, (n_scans,)
        Grade of the self-navigated image; nan where there is none.
    seconds : dict of str to float64 array, (n_scans,)
        Of each stage, as they were measured.
    disturbed : float
        Share of the iterations that took more than three times the median.
    """

    solver: str
    scans: tuple[str, ...]
    histories: tuple[History, ...]
    truths: tuple[TruthCurve, ...]
    images: Mapping[str, np.ndarray]
    joint: Mapping[str, np.ndarray]
    motion: Mapping[str, np.ndarray]
    selfnav: np.ndarray
    seconds: Mapping[str, np.ndarray] = field(default_factory=dict)
    disturbed: float = math.nan

    def __len__(self) -> int:
        return len(self.scans)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of the patients."""
        return tuple(int(name.lstrip("p")) for name in self.scans)

    @property
    def grade(self) -> np.ndarray:
        """Grades of the network."""
        return self.images["grade"]

    @property
    def reference(self) -> np.ndarray:
        """Reference quality."""
        return self.images["reference"]

    @property
    def nrmse(self) -> np.ndarray:
        """Error to the truth."""
        return self.images["nrmse"]

    @property
    def last(self) -> int:
        """The last iteration."""
        return int(self.grade.shape[1]) - 1

    @property
    def n_phases(self) -> int:
        """Breathing phases."""
        return int(self.grade.shape[2])


def read_curves(folder: Path, scans: Sequence[str], solver: str, max_iter: int) -> Curves | None:
    """Read what is finished of a solver.

    Parameters
    ----------
    folder : Path
        Of the study.
    scans : sequence of str
        Names; those without a record are left out.
    solver : str
    max_iter : int

    Returns
    -------
    Curves or None
        None if nothing is finished.

    Raises
    ------
    RawDataError
        If a record is damaged.
    """
    places = {name: folder_of(folder / SCANS, name, solver) for name in scans}
    done = [name for name, place in places.items() if is_finished(place)]
    records = {name: read_record(places[name]) for name in done}
    selfnav = [_selfnav_grade(folder, name) for name in done]
    return stacked(solver, records, selfnav, max_iter) if records else None


def stacked(
    solver: str, records: Mapping[str, PartRecord], selfnav: Sequence[float], max_iter: int
) -> Curves:
    """Stack records of one solver.

    Parameters
    ----------
    solver : str
    records : mapping of str to PartRecord
    selfnav : sequence of float
        Grade of the self-navigated image of each.
    max_iter : int

    Raises
    ------
    RawDataError
        If records differ in their phases.
    """
    histories = tuple(record.history for record in records.values())
    if len({history.n_phases for history in histories}) > 1:
        raise RawDataError("scans have different numbers of phases", field=solver)
    stacks: dict[str, list[np.ndarray]] = {name: [] for name in (*IMAGE, *JOINT)}
    for record in records.values():
        for name, values in _of_record(record, max_iter).items():
            stacks[name].append(values)
    arrays = {name: np.stack(values) for name, values in stacks.items()}
    joint = {name: arrays[name][..., 0] for name in JOINT}
    lengths = [len(history) for history in histories]
    clocks = {name: [joint[name][i, :n] for i, n in enumerate(lengths)] for name in CLOCKS}
    joint |= {name: steady_clock(of, max_iter + 1) for name, of in clocks.items()}
    return Curves(
        solver=solver,
        scans=tuple(records),
        histories=histories,
        truths=tuple(record.truth for record in records.values()),
        images={name: arrays[name] for name in IMAGE},
        joint=joint,
        motion=_motion(records.values(), histories[0].n_phases),
        selfnav=np.array(selfnav, float),
        seconds=_seconds([record.facts for record in records.values()]),
        disturbed=disturbed_share(clocks["recon_s"]),
    )


def _of_record(record: PartRecord, max_iter: int) -> dict[str, np.ndarray]:
    """Return each column as (max_iter + 1, n_phases), the last image standing for what was not computed."""
    phases = max(int(row["phase"]) for row in record.rows)
    ordered = sorted(record.rows, key=lambda row: (row["iteration"], row["phase"]))
    shaped = {
        name: np.array([float(row[name]) for row in ordered]).reshape(-1, phases) for name in (*IMAGE, *JOINT)
    }
    missing = max_iter + 1 - len(shaped["grade"])
    return {
        name: np.concatenate([values, np.repeat(values[-1:], missing, axis=0)]) if missing > 0 else values
        for name, values in shaped.items()
    }


def _motion(records: Any, n_phases: int) -> dict[str, np.ndarray]:
    def of(facts: Mapping[str, Any], name: str) -> list[float]:
        """Return one measure of each phase, nan where it was not measured."""
        found = [phase.get(name) for phase in facts.get("phases", [])]
        return [math.nan if v is None else float(v) for v in found] or [math.nan] * n_phases

    facts = [record.facts for record in records]
    return {name: np.array([of(one, name) for one in facts]) for name in MOTION}


def _seconds(facts: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    stages = list(dict.fromkeys(name for one in facts for name in one.get("seconds", {})))
    return {
        stage: np.array([float(one.get("seconds", {}).get(stage, math.nan)) for one in facts])
        for stage in stages
    }


def _selfnav_grade(folder: Path, name: str) -> float:
    place = folder_of(folder / SCANS, name, SELFNAV)
    grade = read_record(place).facts.get("grade") if is_finished(place) else None
    return math.nan if grade is None else float(grade)
