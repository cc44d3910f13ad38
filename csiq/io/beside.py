"""Writing beside the work: one thread, one task at a time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType


class Beside:
    """One thread that writes while the caller goes on; best in a ``with`` statement, which waits at its end.

    At most one task is under way. What goes wrong in it is raised by the next :meth:`submit` or :meth:`wait`,
    as if the caller had done it.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="csiq-write")
        self._last: Future[None] | None = None

    def submit(self, task: Callable[[], None]) -> None:
        """Begin a task as soon as the last one is done. What it reads must not change any more."""
        self.wait()
        self._last = self._pool.submit(task)

    def wait(self) -> None:
        """Wait until the last task is done.

        Raises
        ------
        Exception
            What went wrong in it.
        """
        # kept if the wait is interrupted: the end waits again
        if self._last is not None:
            try:
                self._last.result()
            finally:
                if self._last.done():
                    self._last = None

    def __enter__(self) -> Beside:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # after an error the task in hand is still finished: what it writes is worth having
        self._pool.shutdown(wait=True)
        if kind is None:
            self.wait()
