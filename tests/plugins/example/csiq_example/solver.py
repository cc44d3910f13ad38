"""Proximal gradient descent: the simplest solver that knows the penalties."""

from __future__ import annotations

from csiq.arrays import combined
from csiq.solvers import Problem, WarmProx
from csiq.solvers.base import Solver


class ProximalGradient(Solver):
    """Step down the gradient, then the proximal point; the step is halved until the cost falls."""

    _NUMBERS = ("step",)

    def __init__(self, problem: Problem, max_iter: int = 20) -> None:
        super().__init__(problem, max_iter)
        self._step = 1 / self._curvature
        self._prox = WarmProx(problem)

    def _update(self) -> None:
        gradient = self.problem.gradient(self._normal_volumes)
        for _ in range(20):
            target = combined((1, self.volumes), (-self._step, gradient))
            candidate = self._prox(target, self._step)
            normal_candidate = self.problem.normal(candidate)
            cost = self.problem.cost(candidate, normal_candidate)
            if cost.total <= self.cost.total:
                self.volumes, self._normal_volumes, self.cost = candidate, normal_candidate, cost
                return
            self._step /= 2
        self.stationary = True
