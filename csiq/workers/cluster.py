"""Tasks on the workers of a Dask cluster, one at a time each.

Which worker gets which task is decided here and not by the scheduler, so that a worker never has two: a task
is a whole reconstruction, with all threads and the GPU of its worker. Workers may come and go meanwhile.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from csiq._version import __version__
from csiq.errors import ConfigError, ResourceError
from csiq.workers.apart import Apart
from csiq.workers.engine import Call, Ended, WorkerLost

_LOOK = 0.5  # s between two looks at which workers there are, and at whether a task is still wanted
_PATIENCE = 10  # s for the scheduler to answer
#: Of a worker's process: another program's tasks on the same worker wait.
_ALONE = threading.Lock()


@contextmanager
def connected(scheduler: str) -> Iterator[Any]:
    """Give a Dask client of a scheduler.

    Parameters
    ----------
    scheduler : str
        ``tcp://host:8786``; ``tls://`` with the certificates that Dask's configuration names.

    Raises
    ------
    ConfigError
        If Dask is not installed.
    ResourceError
        If the scheduler does not answer.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError(
            "Dask is not installed", field="--scheduler", hint="pip install 'csiq[cluster]'"
        ) from None
    with _dask_silent():
        try:
            client = Client(scheduler, timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            hint = "`dask scheduler` starts one, and says its address"
            what = f"no scheduler answers at {scheduler} ({error})"
            raise ResourceError(what, field="--scheduler", hint=hint) from None
        with client, client.as_current():
            yield client


@contextmanager
def _dask_silent() -> Iterator[None]:
    """Keep Dask's own log off the screen: a lost scheduler is our one line, not its traceback."""
    names = ("distributed", "distributed.client", "tornado", "tornado.application")
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


class ClusterEngine:
    """Runs a task on every worker of a cluster, each in a process of its own beside the worker.

    A task that kills its process leaves the worker alone. What it prints goes to the task's log, by a path
    that all machines have to see.

    Parameters
    ----------
    call : Call
    client : distributed.Client
    """

    def __init__(self, call: Call, client: Any) -> None:
        self._call, self._client = call, client
        self._waiting: deque[Any] = deque()
        self._done: SimpleQueue[Any] = SimpleQueue()
        self._running: dict[Any, tuple[str, Any]] = {}  # future: (worker, item)
        self._numbers = itertools.count()

    def submit(self, item: Any) -> None:
        """Take an item; it waits until a worker is free."""
        self._waiting.append(item)

    def next_ended(self) -> Ended:
        """Wait for the next item to end.

        Raises
        ------
        ResourceError
            If the scheduler is lost.
        """
        while True:
            workers = self._workers()
            for future, (worker, item) in self._running.items():
                if worker not in workers and not future.done():
                    self._forget(future)
                    return Ended(item, error=WorkerLost("its worker was lost"))
            self._hand_out(workers)
            with suppress(Empty):
                future = self._done.get(timeout=_LOOK)
                if future in self._running:
                    return self._ended(future)

    def close(self) -> None:
        """Drop what waits, and have what runs end: workers look for that every half second."""
        self._waiting.clear()
        for future in list(self._running):
            self._forget(future)

    def __enter__(self) -> ClusterEngine:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _workers(self) -> set[str]:
        try:
            return set(self._client.nthreads())
        except Exception:
            raise self._lost() from None

    def _hand_out(self, workers: set[str]) -> None:
        busy = {worker for worker, _ in self._running.values()}
        for worker in sorted(workers - busy):
            if not self._waiting:
                return
            item = self._waiting.popleft()
            key = f"csiq-{time.time_ns()}-{next(self._numbers)}"
            future = self._client.submit(
                partial(_on_worker, self._call, key), item, key=key, workers=[worker], pure=False
            )
            self._running[future] = (worker, item)
            future.add_done_callback(self._done.put)

    def _ended(self, future: Any) -> Ended:
        _, item = self._running.pop(future)
        if future.cancelled():
            raise self._lost()
        error = future.exception()
        if error is None:
            return Ended(item, future.result())
        if type(error).__name__ == "KilledWorker":  # by name: Dask is optional
            return Ended(item, error=WorkerLost("its worker died again and again"))
        return Ended(item, error=error)

    def _forget(self, future: Any) -> None:
        del self._running[future]
        with suppress(Exception):
            future.cancel()

    def _lost(self) -> ResourceError:
        self._running.clear()
        return ResourceError(
            "the scheduler was lost",
            field="--scheduler",
            hint="what is finished is kept: start a scheduler and workers, and go on with --resume",
        )


def _on_worker(call: Call, key: str, item: Any) -> Any:
    from distributed import get_worker

    if call.version != __version__:
        versions = f"the worker has csiq {__version__}, the program that uses it {call.version}"
        raise ConfigError(versions, field="--scheduler", hint="the same version everywhere")
    worker = get_worker()
    threads = int(worker.state.nthreads)
    with _ALONE:
        apart = Apart(partial(call.task, threads=threads), item, threads=threads, log=call.log(item))
        over = threading.Event()
        threading.Thread(target=_end_if_unwanted, args=(worker, key, apart, over), daemon=True).start()
        try:
            return apart.result()
        finally:
            over.set()


def _end_if_unwanted(worker: Any, key: str, apart: Apart, over: threading.Event) -> None:
    """Have a task's process end when the program that asked for it is gone, or the worker closes."""
    while not over.wait(_LOOK):
        state = worker.state.tasks.get(key)
        unwanted = state is None or state.state in ("cancelled", "released")
        if unwanted or worker.status.name in ("closing", "closed", "failed"):
            apart.ask_to_end()
            return
