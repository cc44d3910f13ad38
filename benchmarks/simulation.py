"""What simulating costs: raw scans, and the volumes of a cohort.

    python benchmarks/simulation.py [--matrix 96 208] [--coils 8] [--patients 8] [--workers 2]

Scans are those of `csiq simulate` with all its cores, a process of its own each: seconds on the clock, on the
cores, and its largest resident memory. The cohort is `csiq cohort init --no-raw` of a few patients; what the
paper's 424 would take is those times 424 over their number, and its row says so.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from harness import report
from memory import csiq, peak_of

from csiq.cohort.patients import N_PATIENTS

#: Seconds on two cores that a scan of a matrix may take.
BARS = {96: 15, 208: 180}
#: Hours on two cores and GB for the volumes of the paper's cohort.
COHORT_HOURS, COHORT_GB = 2.0, 10.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Print and append two tables."""
    asked = options(arguments)
    with tempfile.TemporaryDirectory() as folder:
        scans = [scan_row(Path(folder), n, asked.coils) for n in asked.matrix]
        cohort = cohort_rows(Path(folder) / "cohort", asked)
    report(
        f"A raw scan by csiq simulate ({asked.coils} coils, 20 % of Nyquist)",
        ("matrix", "s", "core s", "peak memory GiB", "file MB", "asked for, s"),
        scans,
    )
    report(
        f"Volumes of a cohort ({asked.cohort_matrix}^3, {asked.workers} processes of one thread)",
        ("what", "patients", "s", "core s a volume", "GB"),
        cohort,
        f"Asked for: at most {COHORT_HOURS:g} hours and {COHORT_GB:g} GB on 2 cores.",
    )


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--matrix", type=int, nargs="+", default=[96, 208])
    parser.add_argument("--coils", type=int, default=8)
    parser.add_argument("--patients", type=int, default=8)
    parser.add_argument("--cohort-matrix", type=int, default=208)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args(arguments)


def scan_row(folder: Path, n: int, coils: int) -> tuple[object, ...]:
    raw = folder / f"scan-{n}.h5"
    wall, cores = time.perf_counter(), core_seconds()
    peak = peak_of(["simulate", "-o", str(raw), "--matrix", str(n), "--coils", str(coils)])
    wall, cores = time.perf_counter() - wall, core_seconds() - cores
    return (
        n,
        f"{wall:.1f}",
        f"{cores:.0f}",
        f"{peak / 2**30:.2f}",
        f"{raw.stat().st_size / 1e6:.0f}",
        BARS.get(n, "-"),
    )


def cohort_rows(folder: Path, asked: argparse.Namespace) -> list[tuple[object, ...]]:
    """Return what a small cohort took, and what follows for the paper's."""
    wall, cores = time.perf_counter(), core_seconds()
    settings = {"patients": asked.patients, "matrix": asked.cohort_matrix, "workers": asked.workers}
    command = [text for name, value in settings.items() for text in (f"--{name}", str(value))]
    csiq("cohort", "init", str(folder), "--no-raw", "--quiet", *command)
    wall, cores = time.perf_counter() - wall, core_seconds() - cores
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9
    more = N_PATIENTS / asked.patients
    return [
        ("measured", asked.patients, f"{wall:.0f}", f"{cores / asked.patients:.1f}", f"{disk:.2f}"),
        ("extrapolated", N_PATIENTS, f"{wall * more:.0f}", "as above", f"{disk * more:.2f}"),
    ]


def core_seconds() -> float:
    """Return the seconds that finished child processes spent on cores."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


if __name__ == "__main__":
    main()
