"""What every benchmark shares: timing side by side, and results with device, versions and commit."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).resolve().parent
#: Where tables go; the tests set the variable to a temporary file.
RESULTS = Path(os.environ.get("CSIQ_BENCHMARK_RESULTS", HERE / "RESULTS.md"))
#: Named in the line of provenance where they are installed.
PACKAGES = (
    *("numpy", "scipy", "numba", "finufft", "sigpy", "torch", "mri-nufft", "mrpro", "torchkbnufft"),
    *("cupy-cuda12x", "cupy-cuda13x", "cufinufft"),
)


#: Seconds after which one run of a candidate is enough: what takes so long has no start-up worth leaving out.
PATIENCE = 20.0


def side_by_side(
    candidates: dict[str, Callable[[], object]], repeats: int = 3, sync: Callable[[], object] | None = None
) -> dict[str, float]:
    """Return the best seconds of each candidate, run in turn: a machine that drifts drifts for all.

    Parameters
    ----------
    candidates : dict
        Name -> what is timed.
    repeats : int
        Of each, after one run that is not counted (unless it took :data:`PATIENCE`: then it is the only one).
    sync : callable, optional
        Waits for the device; called before either reading of the clock.
    """
    wait = sync or (lambda: None)

    def seconds(run: Callable[[], object]) -> float:
        wait()
        started = time.perf_counter()
        run()
        wait()
        return time.perf_counter() - started

    first = {name: seconds(run) for name, run in candidates.items()}  # plans, compilation, pages
    best = {name: taken if taken > PATIENCE else float("inf") for name, taken in first.items()}
    for _ in range(repeats):
        for name, run in candidates.items():
            if first[name] <= PATIENCE:
                best[name] = min(best[name], seconds(run))
    return best


def report(title: str, header: Sequence[str], rows: Sequence[Sequence[object]], note: str = "") -> None:
    """Print a table and append it to RESULTS.md (or to the file in ``CSIQ_BENCHMARK_RESULTS``)."""
    cells = [[str(value) for value in row] for row in (header, *rows)]
    lines = ["| " + " | ".join(cells[0]) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in cells[1:]]
    text = f"\n## {title}\n\n{provenance()}\n\n" + "\n".join(lines) + "\n" + (f"\n{note}\n" if note else "")
    print(text)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(text)


def provenance() -> str:
    """Return date, commit, device and the versions of what is installed, in one line."""
    packages = [f"{name} {found}" for name in PACKAGES if (found := installed(name))]
    today, python = datetime.date.today().isoformat(), f"Python {platform.python_version()}"
    return ", ".join([today, f"commit {commit()}", cpu(), *gpus(), python, *packages])


def installed(package: str) -> str | None:
    """Return the version of a package, or None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def commit() -> str:
    """Return the short hash of the code that ran, with ``+ changes`` where files differ from it."""
    head = _git("rev-parse", "--short", "HEAD")
    # a table just written is no change of what ran
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/RESULTS.md")
    return (head or "unknown") + (" + changes" if changed else "")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=HERE.parent, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip()


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


def gpus() -> list[str]:
    """Return the names of the GPUs that can be used; empty without any."""
    from csiq.arrays import gpu_count

    count = gpu_count()
    if not count:
        return []
    import cupy

    return [cupy.cuda.runtime.getDeviceProperties(i)["name"].decode() for i in range(count)]
