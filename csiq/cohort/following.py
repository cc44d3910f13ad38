"""The work on a cohort followed to its end: who is told, how long it took, what failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
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


@dataclass(frozen=True)
class Running:
    """How work over many scans is run; no number but seconds depends on it.

    Attributes
    ----------
    workers : int
        Processes of one thread each.
    overwrite, resume : bool
        As the function that opens the folder takes them.
    """

    workers: int = 1
    overwrite: bool = False
    resume: bool = False


def follow(folder: Path, what: str, steps: Iterable[Progress], listen: Listener, workers: int) -> None:
    """Follow the work on a cohort to its end, note how long it took, and raise what failed.

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

    def noted(made: int) -> dict[str, Any]:
        return {"what": what, "made": made, "workers": workers}

    failed, done = followed(folder, steps, partial(listen, what), noted)
    if failed:
        raise failure(folder, failed, f"{done} {what}", "the others are kept; --resume tries these again")


def followed(
    folder: Path,
    steps: Iterable[Progress],
    listen: Callable[[Progress], None],
    noted: Callable[[int], dict[str, Any]],
) -> tuple[list[str], int]:
    """Follow work to its end and return what failed, and how many were tried.

    ``timing.json`` gets a run, even if the work is broken off.

    Parameters
    ----------
    folder : Path
    steps : iterable of Progress
    listen : callable
    noted : callable
        Returns what to write down of the run beside its seconds, from how many were made.
    """
    started, failed, done = time.monotonic(), [], 0
    try:
        for step in steps:
            done = step.done
            listen(step)
            if step.error is not None:
                failed.append(f"{step.name}: {step.error}")
    finally:
        if done:
            run = {**noted(done - len(failed)), "seconds": round(time.monotonic() - started, 1)}
            write_json(folder / TIMING, [*runs_of(folder), run])
    return failed, done


def failure(folder: Path, failed: Sequence[str], of: str, hint: str) -> CohortError:
    """Return the error that names the first few that failed.

    Parameters
    ----------
    folder : Path
    failed : sequence of str
    of : str
        How many of what were tried: ``12 volumes``.
    hint : str
    """
    more = f"; and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
    shown = "; ".join(failed[:_SHOWN])
    return CohortError(f"{len(failed)} of {of} failed: {shown}{more}", file=folder, hint=hint)


def runs_of(folder: Path) -> list[dict[str, Any]]:
    """Return what was made when a folder was worked on, and how long it took."""
    return list(read_json(folder / TIMING)) if (folder / TIMING).is_file() else []
