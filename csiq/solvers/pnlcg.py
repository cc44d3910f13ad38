"""Preconditioned nonlinear conjugate gradients on smoothed penalties."""

from __future__ import annotations

from csiq.arrays import Array, combined, vdot
from csiq.solvers.nlcg import NLCG
from csiq.solvers.preconditioner import Preconditioner
from csiq.solvers.problem import Problem

#: Modulus below which a penalty is rounded off, relative to the largest voxel of iteration 0: at first, the
#: iterations after which it is half of that, and at least. A tenth of what plain conjugate gradients need at
#: first; smaller ones changed nothing in 20 iterations and were slower in 100.
SMOOTHING, HALVED_AFTER, LEAST_SMOOTHING = 1e-3, 30, 3e-5


class PreconditionedNLCG(NLCG):
    """Minimise data term + smoothed penalties by preconditioned conjugate gradients.

    One operator application an iteration and none for the set-up but that of iteration 0: no eigenvalue, no
    step length. As :class:`~csiq.solvers.nlcg.NLCG`, with the preconditioner of
    :mod:`csiq.solvers.preconditioner`. The cost falls in every iteration, up to the smoothing.

    Parameters
    ----------
    problem : Problem
    max_iter : int

    Attributes
    ----------
    volumes : complex64 array, (n_phases, z, y, x)
        The current iterate; the next update replaces it.
    cost : Cost
        With the moduli themselves, not the smoothed ones: comparable with that of other solvers.

    References
    ----------
    Feng L, et al. XD-GRASP. Magn Reson Med 2016;75:775-788. Polak E, Ribiere G. Rev Fr Inform Rech Oper
    1969;3:35-43. Fessler JA, Booth SD. Conjugate-gradient preconditioning methods for shift-variant PET image
    reconstruction. IEEE Trans Image Process 1999;8:688-699.
    """

    _NUMBERS = ("step", "size")

    def __init__(self, problem: Problem, max_iter: int = 20) -> None:
        super().__init__(problem, max_iter)
        self._precondition = Preconditioner.of(problem, self.volumes, self._normal_volumes)
        #: <gradient, M gradient> of the last iteration; 0 before the first
        self._size = 0.0

    def _update(self) -> None:
        # at rest between two smoothings is not at the minimum yet
        rounded_least = self._smoothing() <= self._peak * LEAST_SMOOTHING
        super()._update()
        self.stationary = self.stationary and rounded_least

    def _smoothing(self) -> float:
        return self._peak * max(LEAST_SMOOTHING, SMOOTHING * 0.5 ** (self.iter / HALVED_AFTER))

    def _next_direction(self, gradient: Array) -> Array:
        """Return the direction of Polak and Ribiere in the preconditioner's metric."""
        descent = self._precondition(gradient, self.volumes, self._smoothing())
        size, before = vdot(gradient, descent).real, self._size
        beta = (size - vdot(self._gradient, descent).real) / before if before > 0 else 0.0
        self._size = size
        direction = combined((max(0.0, beta), self._direction), (-1, descent))
        return direction if vdot(gradient, direction).real < 0 else -descent
