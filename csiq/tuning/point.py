"""What is remembered of one weight of the penalty: plain numbers, small enough for a file each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from csiq.errors import RawDataError
from csiq.history import mean
from csiq.pipeline import Result


@dataclass(frozen=True)
class Point:
    """One reconstruction of a sweep.

    Attributes
    ----------
    lamda, lamda_abs : float
        Weight of the total variation along the phases, relative and in units of the data.
    iterations : int
        Computed; the gridded image is not counted.
    returned : tuple of int
        The iteration whose images were graded here, one a phase.
    stop_reason : str
    stop_rule : str or None
    grades, grade_sds : tuple of float
        Of the returned images, one a phase; nan: not graded.
    uncertainties : tuple of float
        SD of each grade's error by the model's calibration; nan where it has none.
    in_domain : bool
        Whether all phases lie within the training domain of the model.
    cost_data, cost_penalty : float
        Of the (last) returned iteration.
    phase_difference : float
        How much neighbouring phases differ; see :func:`phase_difference`.
    nrmse, reference : tuple of float
        Of each phase against the truth, where one is known; else empty.
    seconds : float
        Of iterations and grading.
    """

    lamda: float
    lamda_abs: float
    iterations: int
    returned: tuple[int, ...]
    stop_reason: str
    stop_rule: str | None
    grades: tuple[float, ...]
    grade_sds: tuple[float, ...]
    uncertainties: tuple[float, ...]
    in_domain: bool
    cost_data: float
    cost_penalty: float
    phase_difference: float
    nrmse: tuple[float, ...]
    reference: tuple[float, ...]
    seconds: float

    @property
    def grade(self) -> float:
        """Mean over the phases; nan if one has none."""
        return mean(self.grades)

    @property
    def grade_sd(self) -> float:
        """Spread over patches, mean over the phases."""
        return mean(self.grade_sds)

    @property
    def uncertainty(self) -> float | None:
        """SD of the mean grade's error, None if not known.

        The mean of the phases' own: they show one anatomy, their errors go together.
        """
        found = mean(self.uncertainties)
        return found if math.isfinite(found) else None

    def row(self) -> dict[str, Any]:
        """Return the row of ``tune.tsv``."""
        return {
            "lamda": self.lamda,
            "lamda_abs": self.lamda_abs,
            "iterations": self.iterations,
            "returned_iteration": self.returned[0] if len(set(self.returned)) == 1 else None,
            "stop_reason": self.stop_reason,
            "grade": self.grade,
            **{f"grade_{phase}": grade for phase, grade in enumerate(self.grades, start=1)},
            "grade_sd": self.grade_sd,
            "uncertainty": self.uncertainty,
            "cost_data": self.cost_data,
            "cost_penalty": self.cost_penalty,
            "phase_difference": self.phase_difference,
            "nrmse": mean(self.nrmse),
            "reference": mean(self.reference),
            "seconds": self.seconds,
        }

    def as_json(self) -> dict[str, Any]:
        """Return the content of its file."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Point:
        """Read it back.

        Raises
        ------
        RawDataError
            If something is missing or of another kind.
        """
        try:
            return cls(**{name: _read(name, content[name]) for name in cls.__dataclass_fields__})
        except (KeyError, TypeError, ValueError) as error:
            raise RawDataError(f"is no point of a sweep: {error!r}") from None


_WORDS, _COUNTS = ("stop_reason", "stop_rule"), ("returned",)


def _read(name: str, value: Any) -> Any:
    if name in _WORDS:
        return None if value is None else str(value)
    if isinstance(value, list | tuple):
        return tuple(int(v) if name in _COUNTS else _number(v) for v in value)
    if name == "in_domain":
        return bool(value)
    return int(value) if name == "iterations" else _number(value)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def point_of(
    lamda: float, result: Result, measured: Sequence[tuple[float, float]] = (), seconds: float = 0.0
) -> Point:
    """Return what is remembered of a reconstruction.

    Parameters
    ----------
    lamda : float
    result : Result
    measured : sequence of (float, float)
        Reference quality and NRMSE of each phase.
    seconds : float
    """
    last = result.history.steps[max(result.iterations)]
    unknown = math.nan
    return Point(
        lamda=lamda,
        lamda_abs=result.lamda_abs,
        iterations=result.history.last.iteration,
        returned=tuple(result.iterations),
        stop_reason=result.stop.reason,
        stop_rule=result.stop.rule,
        grades=tuple(unknown if g is None else float(g.grade) for g in result.grades),
        grade_sds=tuple(unknown if g is None else float(g.grade_sd) for g in result.grades),
        uncertainties=tuple(
            unknown if g is None or g.uncertainty is None else float(g.uncertainty) for g in result.grades
        ),
        in_domain=all(g is not None and g.in_domain for g in result.grades),
        cost_data=last.cost_data,
        cost_penalty=last.cost_penalty,
        phase_difference=phase_difference(result.volumes),
        nrmse=tuple(error for _, error in measured),
        reference=tuple(reference for reference, _ in measured),
        seconds=seconds,
    )


def phase_difference(volumes: np.ndarray) -> float:
    """Return how much neighbouring phases differ, relative to the images themselves.

    The root mean square over neighbours of || |x_(p+1)| - |x_p| ||, over the root mean square of || |x_p| ||.
    Magnitudes: what a reader sees. It is 0 where the penalty has made all phases one image.

    Parameters
    ----------
    volumes : complex or real array, (n_phases, z, y, x)

    Returns
    -------
    float
        nan for a single phase or blank images.
    """
    before, steps, energy = None, [], []
    for volume in volumes:
        magnitude = np.abs(volume).astype(np.float64)
        energy.append(float(np.sum(magnitude**2)))
        if before is not None:
            steps.append(float(np.sum((magnitude - before) ** 2)))
        before = magnitude
    if not steps or not sum(energy) > 0:
        return math.nan
    return math.sqrt(np.mean(steps) / np.mean(energy))
