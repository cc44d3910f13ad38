"""Drive a solver from outside: a generator of iterates, so that the caller owns the loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from csiq.arrays import Array
from csiq.errors import ConfigError, nearest
from csiq.solvers.bb import BarzilaiBorwein
from csiq.solvers.nlcg import NLCG
from csiq.solvers.pnlcg import PreconditionedNLCG
from csiq.solvers.pogm import POGM
from csiq.solvers.problem import Cost, Problem

#: Name in the configuration -> ``solver(problem, max_iter)``, an Alg with ``volumes`` and ``cost``.
SOLVERS: dict[str, Callable[[Problem, int], Any]] = {
    "pnlcg": PreconditionedNLCG,
    "nlcg": NLCG,
    "pogm": POGM,
    "bb": BarzilaiBorwein,
}


@dataclass(frozen=True)
class Iterate:
    """One image of all phases, and how the solver came to it.

    Attributes
    ----------
    iteration : int
        0 is the gridded image.
    volumes : complex64 array, (n_phases, z, y, x)
        May be the solver's own buffer: copy what you keep.
    cost : Cost
        Of these very volumes.
    seconds : float
        Since the solver started, the caller's own work between iterates left out.
    last : bool
        Whether the solver is done.
    state : callable
        Arrays and numbers to :func:`solve` on from; the solver does not change the arrays any more.
    """

    iteration: int
    volumes: Array
    cost: Cost
    seconds: float
    last: bool
    state: Callable[[], dict[str, Any]]


def solver_named(name: str) -> Callable[[Problem, int], Any]:
    """Return the solver of a name: a key of :data:`SOLVERS`, or what another package adds.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if name in SOLVERS:
        return SOLVERS[name]
    from csiq.plugins import solver_class

    found = solver_class(name)
    if found is None:
        raise ConfigError(f"no solver '{name}'", field="--solver", hint=nearest(name, SOLVERS))
    return found


def solve(
    problem: Problem, solver: str = "pnlcg", max_iter: int = 20, state: Mapping[str, Any] | None = None
) -> Iterator[Iterate]:
    """Yield iteration 0 (the gridded image), then an iterate after each update of the solver.

    Parameters
    ----------
    problem : Problem
    solver : str
        A key of :data:`SOLVERS`.
    max_iter : int
        Updates at most; iteration 0 is not counted.
    state : mapping, optional
        ``Iterate.state()`` of an earlier run: yields the iterates after that one.

    Raises
    ------
    ConfigError
        If there is no such solver.
    """
    make = solver_named(solver)
    clock = time.perf_counter
    started = clock()
    alg = make(problem, max_iter)
    resuming = state is not None
    if state is not None:
        alg.restore(state)
    del state  # its arrays may go with the first update
    seconds = clock() - started
    if not resuming:
        yield Iterate(0, alg.volumes, alg.cost, seconds, alg.done(), alg.state)
    while not alg.done():
        started = clock()
        alg.update()
        seconds += clock() - started
        yield Iterate(alg.iter, alg.volumes, alg.cost, seconds, alg.done(), alg.state)
