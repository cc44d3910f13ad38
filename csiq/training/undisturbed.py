"""Steps that signals do not break off: they arrive when the step is done."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: Ctrl-C, and what batch systems send some time before they kill.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


@contextmanager
def signals_wait() -> Iterator[None]:
    """Hold SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 back until the block has ended; then the first comes through.

    Outside the main thread, which alone gets signals, nothing is done.
    """
    arrived: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        """Keep a signal for the end of the block."""
        arrived.append(number)

    try:
        before = {number: signal.signal(number, remember) for number in _SIGNALS}
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(arrived[0])
