"""What hands out tasks to processes, here or elsewhere, and what became of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from csiq._version import __version__


class Task(Protocol):
    """Called in another process with an item and how many threads it may use; named in a module."""

    def __call__(self, item: Any, /, threads: int) -> Any:
        """Do it."""


@dataclass(frozen=True)
class Ended:
    """What became of a task.

    Attributes
    ----------
    item : object
    value : object
        What the task returned.
    error : Exception, optional
        What it raised; :class:`csiq.workers.apart.ProcessDied` if its process died,
        :class:`WorkerLost` if the machine or worker it ran on is gone.
    """

    item: Any
    value: Any = None
    error: Exception | None = None


class WorkerLost(Exception):
    """The worker that had a task is gone; the task itself may be as good as any."""


@dataclass(frozen=True)
class Call:
    """A task as it is sent: what to call, and where its output goes.

    Attributes
    ----------
    task : callable
    log_of : callable
        The file that what is printed during an item's task is appended to; its folder is made.
    version : str
        Of the program; a worker of another one refuses.
    """

    task: Task
    log_of: Callable[[Any], Path]
    version: str = __version__

    def log(self, item: Any) -> Path:
        """Return the log of an item, its folder made."""
        path = self.log_of(item)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


class Engine(Protocol):
    """Hands out items to workers, one at a time each; used by one thread, best in a ``with`` statement."""

    def submit(self, item: Any) -> None:
        """Take an item; it waits until a worker is free."""

    def next_ended(self) -> Ended:
        """Wait for the next item to end.

        Raises
        ------
        ResourceError
            If no more will: the scheduler is lost.
        """

    def close(self) -> None:
        """Drop what waits, and have what runs end; that has a few seconds to leave things in order."""

    def __enter__(self) -> Engine: ...

    def __exit__(self, *error: object) -> None: ...
