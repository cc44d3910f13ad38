"""Listening to an Alg: its ``update`` and ``done`` on this one object, until the listener is taken off."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from csiq.stopping import Stop

_OF_CLASS = object()


class Hooks:
    """Stands in for ``update`` and ``done`` of one Alg; leaves the object as it was.

    A look at the iterate is due after each update. It is taken when ``done`` is asked, which SigPy's Apps do
    outside the seconds they count and after they wrote down their objective; in a loop that never asks, it is
    taken before the next update.

    Parameters
    ----------
    alg : Alg
    before : callable
        Called before each update.
    look : callable
        Called once after each update, with whether the Alg is done by its own account.
    stopped : callable
        Returns whether to tell the caller that it is done.
    """

    def __init__(
        self,
        alg: Any,
        before: Callable[[], None],
        look: Callable[[bool], None],
        stopped: Callable[[], bool],
    ) -> None:
        self.seconds = 0.0
        self._alg = alg
        self._before, self._look, self._stopped = before, look, stopped
        self._pending = False
        self._own_update, self._own_done = alg.update, alg.done
        self._had = {name: vars(alg).get(name, _OF_CLASS) for name in ("update", "done")}

    def __enter__(self) -> Self:
        self._alg.update, self._alg.done = self._update, self._done
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, value in self._had.items():
            if value is _OF_CLASS:
                delattr(self._alg, name)
            else:
                setattr(self._alg, name, value)

    def catch_up(self) -> None:
        """Take the look that is still due."""
        self._take(bool(self._own_done()))

    def _take(self, ended: bool) -> None:
        if self._pending:
            self._pending = False
            self._look(ended)

    def _update(self) -> None:
        self._take(False)
        self._before()
        started = time.perf_counter()
        self._own_update()
        self.seconds += time.perf_counter() - started
        self._pending = True

    def _done(self) -> bool:
        ended = bool(self._own_done())
        self._take(ended)
        return ended or self._stopped()


def why_ended(alg: Any, iteration: int) -> Stop:
    """Return why an Alg ended that no rule stopped: its own limit, its own tolerance, or its user."""
    if getattr(alg, "iter", iteration) >= getattr(alg, "max_iter", float("inf")):
        return Stop(iteration, "max_iter", "max_iter")
    if alg.done():
        return Stop(iteration, "plateau", "solver_converged")
    return Stop(iteration, "interrupted")
