"""Tasks that end in every way a task can end; named in a module, so that other processes find them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from csiq.errors import RawDataError


def behave(item: str, threads: int) -> str:
    """Do what the item says."""
    what, _, rest = item.partition(" ")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "leave":
        os._exit(3)
    if what == "refuse":
        raise RawDataError("no signal", file="scan.h5", field="kspace")
    if what == "sleep":
        Path(rest).touch()
        time.sleep(60)
    if what == "print":
        print("loud")
    return f"{item}: {threads} threads, {os.environ['OMP_NUM_THREADS']}, {os.environ.get('SLOT', '-')}"


def die_once(item: str, threads: int) -> str:
    """Kill the process the first time, work the second."""
    mark = Path(item)
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"
