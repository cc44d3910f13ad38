"""One scan reconstructed by one solver: every iterate graded and held against the truth."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from csiq.arrays import Array, choose_device
from csiq.cohort.grading import reader_scores
from csiq.coils import estimate_smaps
from csiq.config import Config
from csiq.cuda.stream import SideLine
from csiq.errors import RawDataError
from csiq.history import History
from csiq.io.hdf5 import open_h5, reading
from csiq.pipeline import Result, reconstruct
from csiq.preparation import gate, load_grader, prepare_coils, set_up, use_device
from csiq.quality import reference
from csiq.quality.assessor import Assessor, Grade, VoxelSize
from csiq.quality.features import Features
from csiq.scan_file import read_scan
from csiq.simulate.truth import truth_path
from csiq.solvers import Iterate
from csiq.study.record import PartRecord
from csiq.truth import KnownTruth


def measured_by_solver(raw: Path, config: Config) -> PartRecord:
    """Reconstruct a simulated scan to the last iteration and return its numbers.

    Grading and the truth have clocks of their own, so that the seconds of the reconstruction are its own.

    Parameters
    ----------
    raw : Path
        With its truth beside it.
    config : Config

    Raises
    ------
    CsiqError
        If the scan or its truth cannot be read, or no breathing is found.
    """
    started = time.perf_counter()
    scan = read_scan(config, raw)
    truth = KnownTruth.open(truth_path(raw), scan.geometry, config.gating.phases)
    seconds_load = time.perf_counter() - started
    device = choose_device(config.run.device)
    use_device(device)
    grader = load_grader(config, device)
    kept = Kept(grader) if grader is not None else None
    watch = TruthWatch(truth)
    n_spokes = scan.n_spokes
    result = reconstruct(scan, config, on_iterate=watch, grader=kept)
    seconds = {"load": seconds_load, **result.seconds, "truth": watch.seconds}
    grades = kept.grades if kept is not None else []
    return PartRecord(
        rows=_rows(result.history, grades, watch.rows),
        facts={
            **_facts(result),
            "seconds": seconds,
            "phases": phases_in_truth(truth_path(raw), result, n_spokes),
        },
    )


def measured_selfnav(raw: Path, config: Config) -> PartRecord:
    """Grade the self-navigated image of a scan: all spokes gridded, the heart's head-foot motion taken out.

    Where the SI spokes show no heart there is no such image, and the record says why.
    """
    started = time.perf_counter()
    config = replace(config, gating=replace(config.gating, mode="selfnav"))
    device = choose_device(config.run.device)
    use_device(device)
    scan = read_scan(config, raw)
    grader = load_grader(config, device)
    try:
        scan = prepare_coils(scan, config)
    except RawDataError as error:
        return PartRecord([], {"grade": None, "why_not": error.what})
    smaps = estimate_smaps(scan, threads=1)
    gridded = set_up(scan, gate(scan, config)[1], smaps, config, device, 1).gridded[0]
    grade = grader.grade(gridded, scan.geometry.voxel_size) if grader is not None else None
    facts = {
        "grade": grade.grade if grade is not None else None,
        "grade_sd": grade.grade_sd if grade is not None else None,
        "in_domain": grade.in_domain if grade is not None else None,
        "model": {"name": grader.name, "sha256": grader.sha256} if grader is not None else {},
        "seconds": {"selfnav": time.perf_counter() - started},
    }
    return PartRecord([], facts)


class Kept:
    """A grader that remembers every grade it gave, in their order: phases of iteration 0, of 1, ..."""

    def __init__(self, grader: Assessor) -> None:
        self._grader = grader
        self.name, self.sha256 = grader.name, grader.sha256
        self.card, self.warnings = grader.card, grader.warnings
        self.grades: list[Grade] = []

    def grade(self, volume: Array, voxel_size: VoxelSize) -> Grade:
        """Return the grade of a volume."""
        found = self._grader.grade(volume, voxel_size)
        self.grades.append(found)
        return found

    def side_line(self) -> SideLine | None:
        """Return the grader's line beside the reconstruction."""
        return self._grader.side_line()


@dataclass
class TruthWatch:
    """Holds each iterate against the truth.

    Attributes
    ----------
    truth : KnownTruth
    rows : list of dict
        One an iterate and phase: ``reference``, ``nrmse``, ``sharpness``, ``cleanliness``.
    seconds : float
        On a clock of its own.
    """

    truth: KnownTruth
    rows: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0

    def __call__(self, iterate: Iterate, history: History, kept: Array) -> None:
        """Measure an iterate."""
        started = time.perf_counter()
        for features, error in self.truth.look(iterate.volumes):
            self.rows.append({**_said_of(features), "nrmse": error})
        self.seconds += time.perf_counter() - started


def _said_of(features: Features | None) -> dict[str, float]:
    if features is None:
        return dict.fromkeys(("reference", "sharpness", "cleanliness"), math.nan)
    sharp, clean = reader_scores(features)
    return {"reference": reference.grade(features), "sharpness": sharp, "cleanliness": clean}


def _rows(
    history: History, grades: Sequence[Grade], seen: Sequence[dict[str, float]]
) -> list[dict[str, float]]:
    """Return the rows of ``curves.tsv``, with what else is known of each image."""
    rows = history.rows()
    # beside a GPU one iterate too many may have been graded
    more = [
        {
            "uncertainty": math.nan if g.uncertainty is None else g.uncertainty,
            "in_domain": float(g.in_domain),
        }
        for g in grades[: len(rows)]
    ] or [{"uncertainty": math.nan, "in_domain": math.nan}] * len(rows)
    return [{**row, **of, **truth} for row, of, truth in zip(rows, more, seen, strict=True)]


def _facts(result: Result) -> dict[str, Any]:
    signal = result.signal
    return {
        "model": result.model,
        "lamda_abs": result.lamda_abs,
        "n_coils": result.n_coils,
        "voxel_size_mm": list(result.geometry.voxel_size),
        "stop": result.stop.as_json(),
        "device": result.device,
        "gating": None
        if signal is None
        else {"source": signal.source, "confidence": signal.confidence, "snr": signal.snr},
        "warnings": list(result.warnings),
    }


def phases_in_truth(truth: Path, result: Result, n_spokes: int) -> list[dict[str, float]]:
    """Return what motion is in each phase, one entry a phase.

    ``signal_sd``: spread of the breathing signal that was found, which needs no truth. ``breathing_mean_mm``,
    ``breathing_sd_mm``: true displacement of the diaphragm. ``heart_sd_mm``: true spread of the heart's
    place. ``others``: share of spokes that are truly of another phase. nan where the spokes of the file and
    of its truth are not the same.
    """
    with open_h5(truth) as file, reading(truth, "/breathing"):
        moved, true_bins = np.asarray(file["breathing"]), np.asarray(file["bins"])
        heart = np.asarray(file["heart"]) if "heart" in file else np.full((len(moved), 3), math.nan)
    if len(moved) != n_spokes:
        moved, true_bins = np.full(n_spokes, math.nan), np.full(n_spokes, math.nan)
        heart = np.full((n_spokes, 3), math.nan)
    values = result.signal.values if result.signal is not None else np.full(n_spokes, math.nan)
    return [
        {"phase": phase, "spokes": len(of), **motion_in(of, phase, values, moved, heart, true_bins)}
        for phase, of in enumerate(result.bins.indices, start=1)
    ]


def motion_in(
    of: np.ndarray,
    phase: int,
    signal: np.ndarray,
    moved: np.ndarray,
    heart: np.ndarray,
    true_bins: np.ndarray,
) -> dict[str, float]:
    """Return the motion in one phase; see :func:`phases_in_truth`."""
    known = np.isfinite(true_bins[of].astype(float))
    return {
        "signal_sd": float(np.std(signal[of])),
        "breathing_mean_mm": float(np.mean(moved[of])),
        "breathing_sd_mm": float(np.std(moved[of])),
        "heart_sd_mm": float(np.sqrt(np.var(heart[of], axis=0).sum())),
        "others": float(np.mean(true_bins[of] != phase)) if known.all() else math.nan,
    }
