"""A preconditioner for smoothed reconstruction problems: cheap, symmetric, positive, no operator application.

Two things make the problem stiff, and each gets its own factor of ``M = B T^-1 B``:

- Density compensation: a sample far out in k-space stands for a large volume, so the normal operator is
  several times larger on what is sampled there than at the centre. ``B = a I + b G`` with G a binomial blur
  over the nearest voxels evens that out. a and b follow from the image the solver starts from.
- The penalty: where neighbouring phases agree, the smoothed total variation bends sharply. T is twice the
  identity plus the penalty's curvature: one tridiagonal matrix a voxel, as large as there are phases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from csiq.arrays import Array, combined, default_threads, norm2, run_tasks, vdot, xp_of
from csiq.solvers.penalties import PhaseTV, summed
from csiq.solvers.problem import Problem

#: By how much the two ends of k-space may be weighted differently at most, one over the other.
_MAX_RATIO = 30.0


@dataclass(frozen=True)
class Preconditioner:
    """``M = B T^-1 B``, an approximation of the inverse of the Hessian.

    Attributes
    ----------
    low, high : float
        What B multiplies slowly varying images and those of the finest detail with.
    weight : float
        Of the total variation along the phases, as in the cost.
    threads : int, optional
        On a CPU; all cores by default. The result does not depend on it.
    """

    low: float
    high: float
    weight: float
    threads: int | None = None

    @classmethod
    def of(cls, problem: Problem, image: Array, normal_image: Array) -> Preconditioner:
        """Return the preconditioner of a problem.

        Parameters
        ----------
        problem : Problem
        image, normal_image : complex64 arrays, (n_phases, z, y, x)
            An image that samples made (so that it has no part in the null space), and N applied to it.
        """
        whole = vdot(image, normal_image).real / norm2(image)
        smooth, normal_smooth = (
            blur(blur(x, problem.threads), problem.threads) for x in (image, normal_image)
        )
        low = _ratio(smooth, normal_smooth, whole)
        fine, normal_fine = (x - blur(x, problem.threads) for x in (image, normal_image))
        high = min(max(_ratio(fine, normal_fine, whole), low / _MAX_RATIO), low * _MAX_RATIO)
        return cls(1 / math.sqrt(low), 1 / math.sqrt(high), problem.lamda_abs, problem.threads)

    def __call__(self, gradient: Array, volumes: Array, mu: float) -> Array:
        """Return M times a gradient.

        Parameters
        ----------
        gradient : complex64 array, (n_phases, z, y, x)
        volumes : complex64 array, (n_phases, z, y, x)
            The image at which the penalty's curvature is taken.
        mu : float
            Modulus below which the penalty is rounded off; positive.
        """
        out = self._balanced(gradient)
        if volumes.shape[0] == 1:
            out *= np.float32(0.5)
            return self._balanced(out)
        # in the middle of k-space B^2 is about this: the penalty as T sees it, between the two B
        weight = self.weight * ((self.low + self.high) / 2) ** 2
        tv = PhaseTV(weight)

        def task(x: Array, right: Array) -> tuple[float, ...]:
            solve_tied(x, right, weight, mu)
            return ()

        summed(task, list(zip(tv.parts(volumes), tv.parts(out), strict=True)), self.threads)
        return self._balanced(out)

    def _balanced(self, volumes: Array) -> Array:
        out = blur(volumes, self.threads)
        return combined((self.low - self.high, out), (self.high, volumes), out=out)


def blur(volumes: Array, threads: int | None = None) -> Array:
    """Return volumes smoothed with (1 2 1) / 4 along z, y and x, zero outside.

    Symmetric, with eigenvalues between 0 and 1: cos^2 of a quarter of a turn at the edge of k-space.

    Parameters
    ----------
    volumes : complex64 array, (n_phases, z, y, x)
    threads : int, optional
    """
    if xp_of(volumes) is np:
        return _blur_compiled(volumes, threads or default_threads())
    out = xp_of(volumes).empty_like(volumes)
    for phase, smooth in enumerate(volumes):
        for axis, n in enumerate(smooth.shape):
            if n > 1:
                smooth = _blur_axis(smooth, axis)
        out[phase] = smooth
    return out


def _blur_compiled(volumes: Array, threads: int) -> Array:
    # compiled on first use: importing csiq must not wait for numba
    from csiq.solvers import _blur_numba

    volumes = np.ascontiguousarray(volumes, np.complex64)
    out = np.empty_like(volumes)
    n_z = volumes.shape[1]
    step = -(-n_z // threads)
    tasks = [
        partial(_blur_numba.blur, of.view(np.float32), z, min(z + step, n_z), to.view(np.float32))
        for of, to in zip(volumes, out, strict=True)
        for z in range(0, n_z, step)
    ]
    run_tasks(tasks, threads)
    return out


def _blur_axis(volume: Array, axis: int) -> Array:
    before = (slice(None),) * axis
    low, high = (*before, slice(None, -1)), (*before, slice(1, None))
    quarter = volume * np.float32(0.25)
    out = quarter * np.float32(2)
    out[high] += quarter[low]
    out[low] += quarter[high]
    return out


def solve_tied(volumes: Array, right: Array, weight: float, mu: float) -> None:
    """Solve ``(2 I + weight D^H W D) y = right`` for each voxel, W = 1 / sqrt(|D x|^2 + mu^2); y replaces it.

    Elimination along the phases; all terms are sums of positive ones, so nothing cancels.

    Parameters
    ----------
    volumes, right : complex64 arrays, (n_phases, n_voxels)
        x and the right-hand side, at least two phases.
    weight, mu : float
    """
    xp = xp_of(volumes)
    steps = volumes[1:] - volumes[:-1]
    ties = xp.sqrt(steps.real**2 + steps.imag**2 + np.float32(mu * mu))
    np.divide(np.float32(weight), ties, out=ties)
    own = 2.0 + 0 * ties[0]
    pivots = []
    for p, tie in enumerate(ties):
        pivot = own + tie
        share = tie / pivot
        right[p + 1] += share * right[p]
        own = 2 + share * own
        pivots.append(pivot)
    right[-1] /= own
    for p in range(len(pivots) - 1, -1, -1):
        right[p] += ties[p] * right[p + 1]
        right[p] /= pivots[p]


def _ratio(image: Array, normal_image: Array, otherwise: float) -> float:
    size = norm2(image)
    value = vdot(image, normal_image).real / size if size > 0 else 0.0
    return value if value > 0 else otherwise
