"""Peak memory of whole runs of csiq recon against what csiq check says beforehand.

    python benchmarks/memory.py [--matrix 64 96 128] [--receive 12] [--iterations 2] [--settings ...]

Each row is a process of its own: its peak is what the system says of it in the end (VmHWM), the estimate what
csiq check --json printed. Scans are simulated first, at the paper's 20 % of Nyquist. The second table has the
terms of the largest stage.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import report

#: Options of csiq recon for each row.
SETTINGS = ("--coils 8", "--coils 4 --phases 2", "--coils 8 --threads 1", "--coils 8 --solver bb")
BAR = 0.15


def main(arguments: Sequence[str] | None = None) -> None:
    """Print and append two tables: peaks, and what the estimates are made of."""
    asked = options(arguments)
    rows, terms = [], []
    with tempfile.TemporaryDirectory() as folder:
        for n in asked.matrix:
            raw = Path(folder) / f"scan-{n}.h5"
            simulate(raw, n, asked.receive)
            for setting in asked.settings:
                said = estimate(raw, setting.split())
                peak = measured_peak(raw, setting.split(), asked.iterations)
                rows.append(row(n, setting, said, peak))
                terms.append((n, setting, *largest_stage(said)))
    report(
        f"Peak memory of csiq recon on a CPU, scans of {asked.receive} coils",
        ("matrix", "options", "estimate MB", "measured MB", "estimate / measured"),
        rows,
        f"Asked for: within {BAR:.0%}. Worst: {max((abs(float(r[-1]) - 1) for r in rows), default=0):.0%}.",
    )
    report("What the estimates are made of", ("matrix", "options", "stage", "MB of each"), terms)


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--matrix", type=int, nargs="+", default=[64, 96, 128])
    parser.add_argument("--receive", type=int, default=12, help="coils of the scan")
    parser.add_argument("--iterations", type=int, default=2, help="the peak is reached in the second")
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), help="one string of options a row")
    return parser.parse_args(arguments)


def simulate(raw: Path, n: int, n_coils: int) -> None:
    """Write a simulated scan."""
    csiq("simulate", "-o", str(raw), "--matrix", str(n), "--coils", str(n_coils))


def estimate(raw: Path, settings: Sequence[str]) -> dict[str, Any]:
    """Return what csiq check says of a reconstruction."""
    said: dict[str, Any] = json.loads(csiq("check", str(raw), "--device", "cpu", "--json", *settings))
    return dict(said["estimate"])


def measured_peak(raw: Path, settings: Sequence[str], iterations: int) -> int:
    """Return the largest resident size of a process that reconstructs, in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["recon", str(raw), "-o", str(Path(folder) / "out"), "--device", "cpu", "--quiet"]
        return peak_of([*command, *settings, "--max-iter", str(iterations)])


#: csiq, its largest resident size in KiB written to a file at the end. (What `wait4` says would not do: a
#: process takes over the peak of the one that started it.)
_WATCHED = """
import re, sys
file = sys.argv.pop(1)
from csiq.cli import main
try:
    main()
finally:
    with open("/proc/self/status") as status, open(file, "w") as peak:
        peak.write(re.search(r"VmHWM:\\s+(\\d+)", status.read()).group(1))
"""


def peak_of(command: Sequence[str]) -> int:
    """Run csiq with these arguments; return the largest resident size of its process, in bytes; Linux."""
    with tempfile.TemporaryDirectory() as folder:
        peak = Path(folder) / "peak"
        subprocess.run([sys.executable, "-c", _WATCHED, peak, *command], check=True, capture_output=True)
        return int(peak.read_text()) * 1024


def csiq(*arguments: str) -> str:
    """Run the program, return what it printed."""
    command = [sys.executable, "-m", "csiq", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def row(n: int, setting: str, said: dict[str, Any], peak: int) -> tuple[object, ...]:
    memory = said["memory_bytes"]
    return n, setting, f"{memory / 1e6:.0f}", f"{peak / 1e6:.0f}", f"{memory / peak:.2f}"


def largest_stage(said: dict[str, Any]) -> tuple[str, str]:
    """Return the stage with the largest sum, and its terms with the process itself first."""
    stage, parts = max(said["terms"].items(), key=lambda item: sum(item[1].values()))
    named = {"process": said["process_bytes"], **parts}
    return stage, ", ".join(f"{name} {size / 1e6:.0f}" for name, size in named.items())


if __name__ == "__main__":
    main()
