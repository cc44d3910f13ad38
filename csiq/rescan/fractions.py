"""Grade against the acquired fraction: what the first quarter, half ... of the heartbeats would have given.

Each part is reconstructed by :func:`csiq.pipeline.reconstruct` as if the scan had ended there: breathing,
coil maps, penalty weight and stop come from its own data alone, with the same configuration, the same number
of phases and the same number of iterations at most.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from csiq.acquisition import Acquisition, Navigators
from csiq.arrays import choose_device
from csiq.config import Config
from csiq.errors import ConfigError, RawDataError
from csiq.loop import OnEvent, ignore
from csiq.pipeline import Result, reconstruct
from csiq.plugins import load_assessor

#: Columns of ``fractions.tsv``: a row a part and phase.
COLUMNS = (
    "fraction",
    "heartbeats",
    "spokes",
    "phase",
    "grade",
    "grade_sd",
    "iteration",
    "max_iter",
    "gating_snr",
    "gating_confidence",
)
#: Is the rest of the scan worth its time?
FRACTIONS = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Part:
    """The grades of the first heartbeats of a scan.

    Attributes
    ----------
    fraction : float
        Share of the heartbeats, 0 to 1.
    heartbeats, spokes : int
        Heartbeats (interleaves of a scan that is not triggered) and imaging spokes that were used.
    iterations : tuple of int
        Returned iteration, one a phase; empty if there is no image.
    grades, grade_sds : tuple of float
        One a phase; nan: not graded.
    max_iter : int
        Iterations that were allowed.
    gating_snr, gating_confidence : float
        Of the breathing signal of this part; nan for a single phase.
    problem : str or None
        Why there is no image, if there is none: too few heartbeats show no breathing.
    """

    fraction: float
    heartbeats: int
    spokes: int
    iterations: tuple[int, ...]
    grades: tuple[float, ...]
    grade_sds: tuple[float, ...]
    max_iter: int
    gating_snr: float = math.nan
    gating_confidence: float = math.nan
    problem: str | None = None

    @property
    def best(self) -> float:
        """Grade of the best phase; nan if none has one."""
        return max((g for g in self.grades if math.isfinite(g)), default=math.nan)

    def rows(self) -> list[dict[str, float]]:
        """Return the rows of ``fractions.tsv``; nan where there is nothing."""
        each = self.iterations or (math.nan,) * len(self.grades)
        values = zip(self.grades, self.grade_sds, each, strict=True)
        return [
            {
                "fraction": self.fraction,
                "heartbeats": self.heartbeats,
                "spokes": self.spokes,
                "phase": phase,
                "grade": grade,
                "grade_sd": sd,
                "iteration": iteration,
                "max_iter": self.max_iter,
                "gating_snr": self.gating_snr,
                "gating_confidence": self.gating_confidence,
            }
            for phase, (grade, sd, iteration) in enumerate(values, start=1)
        ]


def first_heartbeats(scan: Acquisition, fraction: float) -> Acquisition:
    """Return what was acquired in the first heartbeats, as if the scan had ended there.

    Heartbeats count in the order of acquisition; those of a scan that is not triggered are its interleaves.
    A scan that does not tell them apart is cut by its spokes.

    Parameters
    ----------
    scan : Acquisition
    fraction : float
        Share of the heartbeats, above 0, at most 1; at least one heartbeat is kept.

    Raises
    ------
    ConfigError
        If the fraction is not within these bounds.
    """
    if not 0 < fraction <= 1:
        raise ConfigError(f"expected a fraction above 0 and at most 1, got {fraction:g}", field="fractions")
    order = _in_order(scan.heartbeat)
    if order.size == 1:
        n = max(round(fraction * scan.n_spokes), 1)
        return _part(scan, np.arange(scan.n_spokes) < n, scan.times[n - 1])
    used = order[: max(round(fraction * order.size), 1)]
    return _part(scan, np.isin(scan.heartbeat, used), used)


def _in_order(heartbeat: np.ndarray) -> np.ndarray:
    """Return the numbers of the heartbeats in the order of their first spokes."""
    numbers, first = np.unique(heartbeat, return_index=True)
    return numbers[np.argsort(first)]


def _part(scan: Acquisition, spokes: np.ndarray, until: np.ndarray | float) -> Acquisition:
    """Return the chosen spokes, and the navigators of these heartbeats, or up to a time."""
    navigators = scan.navigators
    if navigators is not None:
        of_time = np.isscalar(until)
        kept = navigators.times <= until if of_time else np.isin(navigators.heartbeat, until)
        navigators = _chosen(navigators, kept) if kept.any() else None
    return replace(
        scan,
        kspace=scan.kspace[:, spokes],
        coord=scan.coord[spokes],
        times=scan.times[spokes],
        heartbeat=scan.heartbeat[spokes],
        navigators=navigators,
    )


def _chosen(navigators: Navigators, kept: np.ndarray) -> Navigators:
    return Navigators(
        kspace=navigators.kspace[:, kept],
        times=navigators.times[kept],
        heartbeat=navigators.heartbeat[kept],
        coord=None if navigators.coord is None else navigators.coord[kept],
    )


def grades_by_fraction(
    scan: Acquisition,
    config: Config | None = None,
    fractions: Sequence[float] = FRACTIONS,
    *,
    on_event: OnEvent = ignore,
    grader: object | None = None,
) -> Iterator[Part]:
    """Reconstruct and grade the first heartbeats of a scan, for each fraction anew.

    Parameters
    ----------
    scan : Acquisition
    config : Config, optional
        Of every part, iterations at most and rule of stopping included.
    fractions : sequence of float
        Shares of the heartbeats, above 0, at most 1.
    on_event : callable, optional
        Told what :func:`csiq.pipeline.reconstruct` tells.
    grader : Assessor, torch.nn.Module or callable, optional
        In place of the configuration's model.

    Yields
    ------
    Part
        In the order of ``fractions``. A part in which no breathing is found has no grades and says why.

    Raises
    ------
    ConfigError
        If a fraction is not above 0 and at most 1.
    ModelError
        If there is no model.
    """
    config = config or Config()
    # whether a rescan is due is asked of the whole scan, once
    config = replace(config, stop=replace(config.stop, min_grade=None))
    parts = [(fraction, first_heartbeats(scan, fraction)) for fraction in fractions]
    if grader is None:
        grader = load_assessor(config.quality.model, choose_device(config.run.device))
    for fraction, part in parts:
        try:
            result = reconstruct(part, config, on_event=on_event, grader=grader)
        except RawDataError as error:
            yield _failed(fraction, part, config, error)
        else:
            yield _graded(fraction, part, config, result)


def _failed(fraction: float, part: Acquisition, config: Config, error: RawDataError) -> Part:
    nothing = (math.nan,) * (1 if config.gating.mode == "selfnav" else config.gating.phases)
    beats, spokes = _in_order(part.heartbeat).size, part.n_spokes
    return Part(fraction, beats, spokes, (), nothing, nothing, config.solver.max_iter, problem=error.what)


def _graded(fraction: float, part: Acquisition, config: Config, result: Result) -> Part:
    signal = result.signal
    return Part(
        fraction=fraction,
        heartbeats=_in_order(part.heartbeat).size,
        spokes=part.n_spokes,
        iterations=result.iterations,
        grades=tuple(math.nan if g is None else g.grade for g in result.grades),
        grade_sds=tuple(math.nan if g is None else g.grade_sd for g in result.grades),
        max_iter=config.solver.max_iter,
        gating_snr=signal.snr if signal is not None else math.nan,
        gating_confidence=signal.confidence if signal is not None else math.nan,
    )
