"""What every benchmark shares: timing side by side, and results with device, versions and commit."""

from __future__ import annotations

import datetime
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"


def side_by_side(candidates: dict[str, Callable[[], object]], repeats: int = 3) -> dict[str, float]:
    """Return the best seconds of each candidate, run in turn: a machine that drifts drifts for all."""
    for run in candidates.values():
        run()  # plans, compilation, pages
    best = dict.fromkeys(candidates, float("inf"))
    for _ in range(repeats):
        for name, run in candidates.items():
            started = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def report(title: str, header: Sequence[str], rows: Sequence[Sequence[object]], note: str = "") -> None:
    """Print a table and append it to RESULTS.md."""
    cells = [[str(value) for value in row] for row in (header, *rows)]
    lines = ["| " + " | ".join(cells[0]) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in cells[1:]]
    text = f"\n## {title}\n\n{provenance()}\n\n" + "\n".join(lines) + "\n" + (f"\n{note}\n" if note else "")
    print(text)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(text)


def provenance() -> str:
    """Return device, versions, date and commit in one line."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False
    ).stdout.strip()
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("numpy", "scipy", "finufft", "sigpy", "torch")
    )
    today = datetime.date.today().isoformat()
    return f"{today}, commit {commit or 'unknown'}, {cpu()}, Python {platform.python_version()}, {packages}"


def cpu() -> str:
    """Return the processor and how many cores this process may use."""
    from csiq.arrays import default_threads

    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{name}, {default_threads()} cores"
