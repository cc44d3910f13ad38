"""The other side of :class:`csiq.workers.apart.Apart`: reads a call, makes it, writes the answer."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from types import FrameType
from typing import Any, BinaryIO, NoReturn

from csiq.workers.apart import GRACE


class Unwanted(BaseException):
    """Nobody waits for the answer any more; no ``Exception``, so that nothing on the way swallows it."""


def main() -> None:
    """Make the call that standard input holds and write its answer to standard output."""
    # what libraries print must not get between the bytes of the answer
    answer = os.dup(1)
    os.dup2(2, 1)
    task, item = pickle.load(sys.stdin.buffer)
    signal.signal(signal.SIGTERM, _raise_unwanted)
    threading.Thread(target=_watch, args=(sys.stdin.buffer,), daemon=True).start()
    try:
        content = _call(task, item)
    except Unwanted:
        os._exit(128 + signal.SIGTERM)
    with open(answer, "wb") as stream:
        stream.write(content)
    # not through the interpreter's end: threads of libraries have been seen to hold it up
    os._exit(0)


def _call(task: Any, item: Any) -> bytes:
    try:
        return pickle.dumps((False, task(item)))
    except Exception as error:
        try:
            packed = pickle.dumps((True, error))
            pickle.loads(packed)
        except Exception:
            packed = pickle.dumps((True, RuntimeError(f"{type(error).__name__}: {error}")))
        return packed


def _raise_unwanted(number: int, frame: FrameType | None) -> NoReturn:
    raise Unwanted


def _watch(stdin: BinaryIO) -> None:
    """End this process when the other side of standard input is closed, or gone."""
    stdin.read(1)
    os.kill(os.getpid(), signal.SIGTERM)
    # a long call into native code does not hear the signal
    threading.Event().wait(GRACE)
    os._exit(128 + signal.SIGTERM)
