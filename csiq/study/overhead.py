"""What listening costs a bare SigPy App: the bar on monitoring, measured once a study.

A :class:`csiq.QualityMonitor` without a grader listens to an Alg that does nothing; what that takes an
iteration is held against an iteration of SigPy's own Apps on a small problem (Cartesian, two dimensions,
eight coils): with a trajectory or in three dimensions an iteration takes longer, and listening does not.
``benchmarks/monitor.py`` measures it the other way, App against App, and needs a quiet machine for it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from csiq.errors import RawDataError
from csiq.evaluation.section import Section, Table, shown
from csiq.io.tables import read_json, write_json
from csiq.study.bar import Bar, bar, bars_table
from csiq.study.material import Material

#: Where the seconds are kept, and what the page calls what was measured.
FILE, LABEL = "monitor.json", "SigPy"
_MATRIX, _COILS, _ITERATIONS, _LEAST = 192, 8, 15, 0.01


def measured_once(folder: Path) -> None:
    """Measure what listening costs, unless the folder of the study knows it."""
    try:
        read_json(folder / FILE)
    except RawDataError:
        write_json(folder / FILE, {"listening_s": listening_seconds(), "iteration_s": iteration_seconds()})


def listening_seconds(n_iterations: int = 200, repeats: int = 5) -> float:
    """Return the seconds of the process that listening takes an iteration; the least of some repeats."""
    import sigpy

    from csiq.monitor import QualityMonitor
    from csiq.stopping import CostPlateau, GradePlateau

    found = []
    for _ in range(repeats):
        alg = sigpy.alg.Alg(n_iterations)
        alg._update = lambda: None
        # rules that are asked each time and never fire
        monitor = QualityMonitor(rule=[GradePlateau(), CostPlateau(tol=0.0)])
        started = time.process_time()
        with monitor.watch(alg):
            while not alg.done():
                alg.update()
        found.append((time.process_time() - started) / n_iterations)
    return min(found)


def iteration_seconds(matrix: int = _MATRIX, iterations: int = _ITERATIONS) -> dict[str, float]:
    """Return the seconds of the process that an iteration of each App takes alone; medians."""
    import sigpy.mri.app as apps

    kspace, maps = _problem(matrix)
    options: dict[str, Any] = {"max_iter": iterations, "show_pbar": False}
    made = {
        "SenseRecon": apps.SenseRecon(kspace, maps, lamda=1e-3, **options),
        "L1WaveletRecon": apps.L1WaveletRecon(kspace, maps, 1e-3, alpha=1.0, **options),
        "TotalVariationRecon": apps.TotalVariationRecon(kspace, maps, 1e-3, tau=0.1, **options),
    }
    return {name: median(_seconds_of_each(app.alg, iterations)) for name, app in made.items()}


def _problem(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noise for k-space and coil maps, complex64 (coils, n, n): seconds do not depend on it."""
    rng = np.random.default_rng(0)
    shape = (_COILS, n, n)
    kspace, maps = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape) for _ in range(2))
    return kspace.astype(np.complex64), (maps / np.linalg.norm(maps, axis=0)).astype(np.complex64)


def _seconds_of_each(alg: Any, iterations: int) -> list[float]:
    found = []
    for _ in range(iterations):
        started = time.process_time()
        alg.update()
        found.append(time.process_time() - started)
    return found


def overhead_bar(listening: float, each: Mapping[str, float]) -> Bar:
    """Return the bar: the largest share of an iteration that listening takes."""
    largest = max((listening / seconds for seconds in each.values() if seconds > 0), default=float("nan"))
    what = "Monitoring overhead on a bare SigPy App without a grader"
    return bar(what, LABEL, largest, "< 1\u00a0%", met=largest < _LEAST, percent=True)


def section(study: Material) -> Section:
    """Return the part on what listening costs; without bars where it was not measured."""
    listening = float(study.monitor.get("listening_s", float("nan")))
    each = {str(k): float(v) for k, v in study.monitor.get("iteration_s", {}).items()}
    bars = [overhead_bar(listening, each)]
    data: list[dict[str, Any]] = [
        {"app": name, "iteration_s": s, "share": listening / s} for name, s in each.items() if s > 0
    ]
    body = [
        (
            str(row["app"]),
            shown(1e3 * row["iteration_s"], 2),
            f"{shown(100 * float(row['share']), 2)}\u00a0%",
        )
        for row in data
    ]
    lead = (
        f"Listening takes {shown(1e6 * listening, 0)} µs an iteration, of an Alg that does nothing. The "
        f"Apps run on {_MATRIX}² voxels and {_COILS} coils without a trajectory: cheap ones, of which "
        "that is the largest share. Seconds of the process, on the machine that made this page."
    )
    items = [
        bars_table("bars-monitor", "Monitoring: what is asked", bars),
        Table("monitor", "An iteration of each App alone", ("App", "ms", "listening"), body, data),
    ]
    return Section("What listening costs", (lead,), items, (), {"bars": bars, "each": each}, "monitor")
