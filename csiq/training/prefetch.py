"""The next batches are read while the network computes on this one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from typing import TypeVar

Item = TypeVar("Item")
_DEPTH = 4
_LOOK = 0.2  # s between two looks at whether anybody still listens


def ahead(make: Callable[[int], Item], first: int, end: int) -> Generator[Item, None, None]:
    """Yield ``make(first) ... make(end - 1)``, made in a thread of their own, a few ahead.

    What ``make`` raises is raised here. The thread ends when the generator is closed.
    """
    ready: queue.Queue[Item | BaseException] = queue.Queue(_DEPTH)
    stop = threading.Event()

    def offer(item: Item | BaseException) -> None:
        """Put an item in the queue when it has room; give up when the reader has gone."""
        while not stop.is_set():
            try:
                ready.put(item, timeout=_LOOK)
                return
            except queue.Full:
                continue

    def work() -> None:
        """Make the items in order; an error takes the place of the item and ends the line."""
        for number in range(first, end):
            if stop.is_set():
                return
            try:
                offer(make(number))
            except BaseException as error:
                offer(error)
                return

    thread = threading.Thread(target=work, name="csiq-batches", daemon=True)
    thread.start()
    try:
        for _ in range(first, end):
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
