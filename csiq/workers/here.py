"""Tasks in processes of this machine, each in one of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Any

from csiq.workers.apart import GRACE, Apart
from csiq.workers.engine import Call, Ended


class LocalEngine:
    """Runs as many tasks at a time as there are environments.

    Parameters
    ----------
    call : Call
    environments : sequence of mappings
        One a worker: variables of the environment of its processes, such as the GPU it may see.
    threads : int
        Of each worker.
    """

    def __init__(self, call: Call, environments: Sequence[Mapping[str, str]], threads: int) -> None:
        self._call, self._threads = call, threads
        self._waiting: SimpleQueue[Any] = SimpleQueue()
        self._ended: SimpleQueue[Ended] = SimpleQueue()
        self._lock, self._running, self._closing = threading.Lock(), set[Apart](), False
        self._workers = [
            threading.Thread(target=self._work, args=(environment,), daemon=True)
            for environment in environments
        ]
        for worker in self._workers:
            worker.start()

    def submit(self, item: Any) -> None:
        """Take an item; it waits until a worker is free."""
        self._waiting.put((item,))

    def next_ended(self) -> Ended:
        """Wait for the next item to end."""
        return self._ended.get()

    def close(self) -> None:
        """Drop what waits, and have what runs end."""
        with self._lock:
            self._closing = True
            running = list(self._running)
        for apart in running:
            apart.ask_to_end()
        for _ in self._workers:
            self._waiting.put(None)
        deadline = time.monotonic() + GRACE + 2
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        for apart in list(self._running):
            apart.kill()

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _work(self, environment: Mapping[str, str]) -> None:
        while True:
            given = self._waiting.get()
            if given is None or self._closing:
                return
            (item,) = given
            try:
                self._ended.put(Ended(item, self._one(item, environment)))
            except Exception as error:
                self._ended.put(Ended(item, error=error))

    def _one(self, item: Any, environment: Mapping[str, str]) -> Any:
        task = partial(self._call.task, threads=self._threads)
        with self._lock:
            if self._closing:
                raise InterruptedError
            log = self._call.log(item)
            apart = Apart(task, item, threads=self._threads, environment=environment, log=log)
            self._running.add(apart)
        try:
            return apart.result()
        finally:
            with self._lock:
                self._running.discard(apart)
