"""A scan of the paper's size from raw file to report, with the command people type.

    python benchmarks/paper_scale.py [--matrix 208] [--receive 8] [--coils 8] [--raw FILE] [--max-iter 20]

`csiq check`, then `csiq recon --stop-on-plateau`: seconds of each stage, of an iteration and of its grades,
the plateau, the largest resident memory of the process against what `csiq check` said, NRMSE to the truth. A
raw file that is not there is simulated first, with its truth beside it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from demo_figures import nrmse
from harness import report
from memory import csiq, estimate, peak_of

from csiq.io.tables import read_table


def main(arguments: Sequence[str] | None = None) -> None:
    """Print and append a table of one run."""
    asked = options(arguments)
    with tempfile.TemporaryDirectory() as folder:
        raw = asked.raw or Path(folder) / "scan.h5"
        simulated = 0.0
        if not raw.exists():
            started = time.perf_counter()
            csiq("simulate", "-o", str(raw), "--matrix", str(asked.matrix), "--coils", str(asked.receive))
            simulated = time.perf_counter() - started
        settings = ["--coils", str(asked.coils), "--max-iter", str(asked.max_iter)]
        said, run = estimate(raw, settings), Path(folder) / "run"
        started = time.perf_counter()
        command = ["recon", str(raw), "-o", str(run), "--device", "cpu", "--stop-on-plateau", "--quiet"]
        peak = peak_of([*command, *settings])
        wall = time.perf_counter() - started
        content = json.loads((run / "run.json").read_text())
        error = error_to_truth(raw, run)
        rows = table(content, curve(run), said, (peak, wall, simulated, error))
    scan = content["scan"]
    report(
        f"Paper scale: {asked.matrix}^3, 4 phases, {scan['n_coils_used']} virtual coils, "
        f"{scan['n_spokes']} spokes, raw file to report",
        ("what", "value"),
        rows,
    )


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--matrix", type=int, default=208)
    parser.add_argument("--receive", type=int, default=8, help="coils of the scan")
    parser.add_argument("--coils", type=int, default=8, help="virtual coils")
    parser.add_argument("--max-iter", type=int, default=20)
    parser.add_argument("--raw", type=Path, help="a simulated scan that is there already")
    return parser.parse_args(arguments)


def curve(run: Path) -> list[dict[str, float]]:
    """Return the rows of phase 1, one an iteration."""
    return [row for row in read_table(run / "curves.tsv") if row["phase"] == 1]


def table(
    content: dict[str, Any],
    rows: Sequence[dict[str, float]],
    said: dict[str, Any],
    measured: tuple[int, float, float, float],
) -> list[tuple[str, str]]:
    """Return what is said of a run, one line each."""
    (peak, wall, simulated, error), seconds, last = measured, content["seconds"], rows[-1]
    steps = max(1, len(rows) - 1)
    iteration = (last["recon_s"] - rows[0]["recon_s"]) / steps
    grading = last["grading_s"] / len(rows)
    stop = content["stop"]
    setup = seconds["coils"] + seconds["setup"]
    return [
        ("stopped", f"at {stop['iteration']} by {stop['rule']}"),
        ("seconds an iteration", f"{iteration:.1f} (said before: {said['seconds_per_iteration']:.1f})"),
        (
            "seconds of the gradings of an iterate",
            f"{grading:.2f}, {grading / iteration:.1%} of an iteration",
        ),
        ("seconds of coil maps, gridding, kernels", f"{setup:.1f}, {setup / iteration:.1f} iterations"),
        ("seconds of each stage", ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())),
        ("seconds in all", f"{wall:.0f}" + (f" (simulation before: {simulated:.0f})" if simulated else "")),
        ("peak memory", f"{peak / 2**30:.2f} GiB (said before: {said['memory_bytes'] / 2**30:.2f} GiB)"),
        ("NRMSE to the truth", f"{error:.3f}"),
        ("cost / cost of iteration 0", " ".join(f"{row['cost'] / rows[0]['cost']:.4f}" for row in rows)),
        ("grade of phase 1", " ".join(f"{row['grade']:.2f}" for row in rows)),
    ]


def error_to_truth(raw: Path, run: Path) -> float:
    """Return the NRMSE of the returned volumes inside the rim, which the simulator paints coarsely."""
    with h5py.File(raw.with_suffix(".truth.h5")) as truth, h5py.File(run / "volumes.h5") as found:
        volumes, true = found["volumes"][...], truth["volumes"][...]
        rim = round(10 / float(np.min(found["volumes"].attrs["voxel_size_mm"])))
    return nrmse(volumes, true, rim)


if __name__ == "__main__":
    main()
