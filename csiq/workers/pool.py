"""Work in processes of their own that end with the one that started them.

Processes are spawned, never forked: a fork hangs once an OpenMP library has run. Each works in one thread, so
that results do not depend on how many there are.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, TypeVar

from csiq.errors import ResourceError
from csiq.workers.threads import VARIABLES, environment

Item = TypeVar("Item")
Result = TypeVar("Result")

_LOOK = 0.5  # s between two looks at whether to go on


def results_of(
    task: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[tuple[Item, Result | Exception]]:
    """Yield each item with what became of it, as they come.

    Parameters
    ----------
    task : callable
        Named in a module, so that another process finds it.
    items : sequence
    workers : int
        Processes.

    Yields
    ------
    (item, result)
        The exception in place of the result where the task raised one.

    Raises
    ------
    ResourceError
        If a process died: killed from outside, or out of memory.
    """
    if not items:
        return
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with _one_thread_each():
        pool = ProcessPoolExecutor(min(workers, len(items)), context, _prepare, (stop,))
        try:
            jobs = {pool.submit(task, item): item for item in items}
            for job in as_completed(jobs):
                error = job.exception()
                if isinstance(error, BrokenProcessPool):
                    raise ResourceError(
                        "a worker process died: killed, or out of memory",
                        field="--workers",
                        hint="what is finished is kept: go on with --resume, with fewer workers perhaps",
                    )
                if error is not None and not isinstance(error, Exception):
                    raise error
                yield jobs[job], job.result() if error is None else error
            pool.shutdown()
        except BaseException:
            # A task takes half a minute: nobody who stopped the program wants to wait for it
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let libraries in processes that are started meanwhile use one thread; ours have started theirs."""
    before = {name: os.environ.get(name) for name in VARIABLES}
    os.environ.update(environment(1))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _prepare(stop: Any) -> None:
    import signal

    from csiq.arrays import use_threads

    # Ctrl-C reaches all processes of a terminal; the first one decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    use_threads(1)
    threading.Thread(target=_watch, args=(stop,), daemon=True).start()


def _watch(stop: Any) -> None:
    """End this process when it is told to, or when the one that started it is gone."""
    parent = multiprocessing.parent_process()
    while parent is not None and not wait([parent.sentinel], timeout=_LOOK):
        if stop.is_set():
            break
    os._exit(1)
