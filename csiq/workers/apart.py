"""A function called in a process of its own: whatever kills that process, ours goes on.

The process is a fresh interpreter, never a fork: a fork hangs once an OpenMP library has run. It is none of
:mod:`multiprocessing` either, since a worker of Dask may not start those.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from csiq.workers.threads import environment as thread_environment

#: Seconds a process that was asked to end gets before it ends itself the hard way.
GRACE = 5.0


class ProcessDied(Exception):
    """The process ended without an answer: killed from outside, out of memory, or a fault in native code."""


class Apart:
    """A call in a process that is started by making this.

    Parameters
    ----------
    task : callable
        Named in a module, so that another process finds it; takes ``item``, returns what can be pickled.
    item : object
    threads : int
        Of the libraries there.
    environment : mapping, optional
        Further variables of its environment.
    log : Path, optional
        Where what it prints is appended, native complaints included; the folder has to be there.
    """

    def __init__(
        self,
        task: Callable[[Any], Any],
        item: Any,
        *,
        threads: int = 1,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        variables = {**os.environ, **thread_environment(threads), **(environment or {})}
        with open(log or os.devnull, "ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-c", "from csiq.workers.child import main; main()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**variables, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,  # Ctrl-C is ours to hear
            )
        with suppress(BrokenPipeError):
            # left open: its end tells the process that nobody waits any more
            self._stdin.write(pickle.dumps((task, item)))
            self._stdin.flush()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def _stdin(self) -> Any:
        return self._process.stdin

    def result(self) -> Any:
        """Wait for the process and return its answer.

        Raises
        ------
        ProcessDied
            If it ended without one.
        Exception
            What the function raised.
        """
        stdout = self._process.stdout
        assert stdout is not None
        answer = stdout.read()
        code = self._process.wait()
        stdout.close()
        self.ask_to_end()
        if not answer:
            raise ProcessDied(_how(code))
        raised, value = pickle.loads(answer)
        if raised:
            raise value
        return value

    def ask_to_end(self) -> None:
        """Let the process know that its answer is not wanted; it ends within :data:`GRACE` and a second."""
        with suppress(OSError):
            self._stdin.close()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()


def _how(code: int) -> str:
    if code >= 0:
        return f"its process ended by itself (code {code})"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    perhaps = ": out of memory, perhaps" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{perhaps}"
