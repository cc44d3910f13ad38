"""The penalties: each a linear operator K and the sum of moduli |K x|.

=====================  ======================================================================
:class:`PhaseTV`       differences along the phases; always there, with an exact proximal operator
:class:`SpatialTV`     differences along z, y and x of each phase, isotropic
:class:`Wavelet`       detail coefficients of each phase, orthonormal Daubechies 4
=====================  ======================================================================

Solvers see parts: pieces of the volumes on which K acts alone, ranges of voxels for the first, phases for the
others. They are what threads share, and what a buffer is as large as.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, TypeVar

import numpy as np

from csiq.arrays import Array, default_threads, run_tasks, xp_of
from csiq.errors import ConfigError
from csiq.solvers import wavelet
from csiq.solvers.modulus import modulus_sum
from csiq.solvers.total_variation import phase_total_variation

_T = TypeVar("_T", bound="Penalty")


@dataclass(frozen=True)
class Penalty(ABC):
    """weight * sum |K x|, with the modulus over the components of K x.

    Attributes
    ----------
    weight : float
        Relative to max |A^H W y| when it is given to :func:`~csiq.solvers.problem.build_problem`, in the
        units of the data in a :class:`~csiq.solvers.problem.Problem`.
    """

    weight: float

    #: How it is called in the state of a solver.
    name: ClassVar[str]

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ConfigError(f"expected a weight of 0 or more, got {self.weight}", field=self.name)

    def scaled(self: _T, factor: float) -> _T:
        """Return the penalty with ``factor`` times the weight."""
        return replace(self, weight=self.weight * factor)

    def parts(self, volumes: Array) -> list[Array]:
        """Return views of the volumes, (n_phases, z, y, x), on which K acts one by one: the phases."""
        return list(volumes)

    @abstractmethod
    def coefficients_shape(self, part: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of K x of a part of that shape, components first."""

    @abstractmethod
    def forward(self, part: Array) -> Array:
        """Return K x of a part, complex64, components first."""

    @abstractmethod
    def adjoint(self, coefficients: Array, part: tuple[int, ...]) -> Array:
        """Return K^H of coefficients, for a part of that shape."""

    @abstractmethod
    def norm2(self, part: tuple[int, ...]) -> float:
        """Return a bound of the largest eigenvalue of K^H K."""

    def value(self, volumes: Array, threads: int | None = None) -> float:
        """Return sum |K x|, without the weight, in double precision; threads do not change it."""

        def task(part: Array) -> tuple[float, ...]:
            return (modulus_sum(grouped(self.forward(part))),)

        return summed(task, [(part,) for part in self.parts(volumes)], threads)[0]


@dataclass(frozen=True)
class PhaseTV(Penalty):
    """Total variation along the phases, of the complex modulus; end-inspiration is not tied to expiration."""

    name = "phase_tv"

    def parts(self, volumes: Array) -> list[Array]:
        """Return ranges of voxels small enough for a cache, all phases of each."""
        flat = volumes.reshape(volumes.shape[0], -1)
        size = 1 << 15 if xp_of(volumes) is np else flat.shape[1]
        return [flat[:, start : start + size] for start in range(0, flat.shape[1], size)]

    def coefficients_shape(self, part: tuple[int, ...]) -> tuple[int, ...]:
        """One component: a difference for each pair of neighbouring phases."""
        return (1, part[0] - 1, *part[1:])

    def forward(self, part: Array) -> Array:
        """Return x_(p+1) - x_p."""
        return (part[1:] - part[:-1])[None]

    def adjoint(self, coefficients: Array, part: tuple[int, ...]) -> Array:
        """Return the adjoint of the differences."""
        return _differences_adjoint(coefficients[0], part, 0)

    def norm2(self, part: tuple[int, ...]) -> float:
        """Return 4: 2 - 2 cos of less than a half turn."""
        return 4.0

    def value(self, volumes: Array, threads: int | None = None) -> float:
        """Return sum |x_(p+1) - x_p|."""
        return phase_total_variation(volumes, threads=threads)


@dataclass(frozen=True)
class SpatialTV(Penalty):
    """Isotropic total variation of each phase: sum of the root of |D_z x|^2 + |D_y x|^2 + |D_x x|^2.

    The image does not go on beyond its edge (Neumann): the last difference along an axis is zero. An axis of
    length 1 has none.
    """

    name = "spatial_tv"

    def coefficients_shape(self, part: tuple[int, ...]) -> tuple[int, ...]:
        """One component an axis that has differences."""
        return (len(_long_axes(part)), *part)

    def forward(self, part: Array) -> Array:
        """Return the differences along each axis."""
        xp = xp_of(part)
        out = xp.zeros(self.coefficients_shape(part.shape), dtype=np.complex64)
        for component, axis in zip(out, _long_axes(part.shape), strict=True):
            low, high = _neighbours(axis)
            xp.subtract(part[high], part[low], out=component[low])
        return out

    def adjoint(self, coefficients: Array, part: tuple[int, ...]) -> Array:
        """Return minus the divergence."""
        out = xp_of(coefficients).zeros(part, dtype=np.complex64)
        for component, axis in zip(coefficients, _long_axes(part), strict=True):
            low, high = _neighbours(axis)
            out[high] += component[low]
            out[low] -= component[low]
        return out

    def norm2(self, part: tuple[int, ...]) -> float:
        """Return 4 for each axis that has differences."""
        return 4.0 * max(1, len(_long_axes(part)))


@dataclass(frozen=True)
class Wavelet(Penalty):
    """Sum of the moduli of each phase's detail coefficients, orthonormal Daubechies 4, three levels.

    The coefficients of the coarse image are left alone: shrinking them would darken the image.
    """

    name = "wavelet"

    def coefficients_shape(self, part: tuple[int, ...]) -> tuple[int, ...]:
        """One component, of the padded shape."""
        return (1, *wavelet.padded_shape(part))

    def forward(self, part: Array) -> Array:
        """Return the coefficients, zero where the coarse image is."""
        coefficients = wavelet.forward(part)
        coefficients[wavelet.approximation(part.shape)] = 0
        return coefficients[None]

    def adjoint(self, coefficients: Array, part: tuple[int, ...]) -> Array:
        """Return the volume of the detail coefficients."""
        details = coefficients[0].copy()
        details[wavelet.approximation(part)] = 0
        return wavelet.adjoint(details, part)

    def norm2(self, part: tuple[int, ...]) -> float:
        """Return 1: the transform is orthonormal."""
        return 1.0


def grouped(coefficients: Array) -> Array:
    """Return coefficients as (n_components, n_groups), a view."""
    return coefficients.reshape(coefficients.shape[0], -1)


def summed(
    task: Callable[..., tuple[float, ...]], arguments: Sequence[tuple[Any, ...]], threads: int | None
) -> list[float]:
    """Return the sums of what ``task`` returns, over all arguments (arrays first), in their order.

    The tasks share the threads on a CPU; which of them does what changes no bit of the sums.
    """
    found: list[tuple[float, ...]] = [()] * len(arguments)

    def run(number: int) -> None:
        found[number] = task(*arguments[number])

    tasks = [partial(run, i) for i in range(len(arguments))]
    run_tasks(tasks, threads or default_threads(), xp_of(arguments[0][0]))
    return [float(np.sum(column)) for column in zip(*found, strict=True)]


def _long_axes(shape: tuple[int, ...]) -> list[int]:
    return [axis for axis, n in enumerate(shape) if n > 1]


def _neighbours(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    before = (slice(None),) * axis
    return (*before, slice(None, -1)), (*before, slice(1, None))


def _differences_adjoint(steps: Array, shape: tuple[int, ...], axis: int) -> Array:
    out = xp_of(steps).zeros(shape, dtype=np.complex64)
    low, high = _neighbours(axis)
    out[high] += steps
    out[low] -= steps
    return out
