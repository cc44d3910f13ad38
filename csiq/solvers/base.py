"""What all solvers share: where they start, what they carry along, how they are saved and taken up again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import sigpy

from csiq.arrays import Array
from csiq.solvers.problem import Cost, Problem, start_of


class Solver(sigpy.alg.Alg):
    """A solver that carries N x along: cost and line searches need no operator.

    A child has ``_update``, which replaces ``volumes``, ``_normal_volumes`` and ``cost`` (arrays that were
    handed out are never written to), and names what else it remembers in ``_ARRAYS`` and ``_NUMBERS``.

    Parameters
    ----------
    problem : Problem
    max_iter : int

    Attributes
    ----------
    volumes : complex64 array, (n_phases, z, y, x)
        The current iterate; the next update replaces it.
    cost : Cost
    stationary : bool
        Whether it cannot move any more.
    """

    #: For :mod:`csiq.footprint`: sets of volumes at the peak of an update, sets of differences along the
    #: phases, sets while further penalties are searched (0: they are not). A child that does not say is taken
    #: for the largest of csiq's own.
    VOLUME_SETS: ClassVar[float] = 10
    DIFFERENCE_SETS: ClassVar[float] = 1.5
    SEARCH_SETS: ClassVar[float] = 8
    #: Attributes to save beside the volumes, without their underscore.
    _ARRAYS: ClassVar[tuple[str, ...]] = ()
    _NUMBERS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, problem: Problem, max_iter: int = 20) -> None:
        self.problem = problem
        self.volumes: Array
        self.volumes, self._normal_volumes, self._curvature = start_of(problem)
        self.cost = problem.cost(self.volumes, self._normal_volumes)
        self.stationary = False
        super().__init__(max_iter)

    def state(self) -> dict[str, Any]:
        """Return arrays and numbers from which :meth:`restore` goes on as if nothing had happened."""
        return {
            "volumes": self.volumes,
            "normal_volumes": self._normal_volumes,
            **{name: getattr(self, f"_{name}") for name in (*self._ARRAYS, *self._NUMBERS)},
            "iteration": self.iter,
            "cost_data": self.cost.data,
            "cost_penalty": self.cost.penalty,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up the state of another solver of the same kind and problem."""
        self.volumes, self._normal_volumes = state["volumes"], state["normal_volumes"]
        for name in self._ARRAYS:
            setattr(self, f"_{name}", state[name])
        for name in self._NUMBERS:
            setattr(self, f"_{name}", float(state[name]))
        self.iter = int(state["iteration"])
        self.cost = Cost(float(state["cost_data"]), float(state["cost_penalty"]))

    def _done(self) -> bool:
        return self.iter >= self.max_iter or self.stationary
