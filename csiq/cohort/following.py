"""The work on a cohort followed to its end: who is told, how long it took, what failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from csiq.cohort.database import Progress
from csiq.errors import CohortError
from csiq.io.tables import read_json, write_json

#: Wall times of the runs that made a cohort: the one file that differs from run to run.
TIMING = "timing.json"
_SHOWN = 5

#: Told of each patient that is finished; the first argument says of what.
Listener = Callable[[str, Progress], None]


def follow(folder: Path, what: str, steps: Iterable[Progress], listen: Listener, workers: int) -> None:
    """Follow the work to its end, note how long it took, and raise what failed.

    Parameters
    ----------
    folder : Path
        Of the cohort.
    what : str
        ``volumes``, ``iterates`` or ``scans``.
    steps : iterable of Progress
    listen : callable
    workers : int
        Processes, to be written down.

    Raises
    ------
    CohortError
        If some failed; the others are kept.
    """
    started, failed, done = time.monotonic(), [], 0
    try:
        for step in steps:
            done = step.done
            listen(what, step)
            if step.error is not None:
                failed.append(f"{step.name}: {step.error}")
    finally:
        if done:
            run = {"what": what, "made": done - len(failed), "workers": workers}
            run["seconds"] = round(time.monotonic() - started, 1)
            write_json(folder / TIMING, [*runs_of(folder), run])
    if failed:
        more = f"; and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
        raise CohortError(
            f"{len(failed)} of {done} {what} failed: {'; '.join(failed[:_SHOWN])}{more}",
            file=folder,
            hint="the others are kept; --resume tries these again",
        )


def runs_of(folder: Path) -> list[dict[str, Any]]:
    """Return what was made when a cohort was worked on, and how long it took."""
    return list(read_json(folder / TIMING)) if (folder / TIMING).is_file() else []
