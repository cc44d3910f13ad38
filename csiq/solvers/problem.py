"""What is minimised: the data term, the penalty, and the number that people compare.

``cost(x) = sum_p ||sqrt(w_p) (A_p x_p - y_p)||^2 + lamda_abs sum |x_(p+1) - x_p|``, no 1/2 in front.
Expanded, the data term is ``<x, N x> - 2 Re <x, b> + ||sqrt(w) y||^2`` with ``N = A^H W A`` and
``b = A^H W y``: with N x at hand it costs two dot products and no operator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from csiq.arrays import Array, norm2, vdot, xp_of
from csiq.errors import RawDataError
from csiq.operators import ForwardModel
from csiq.solvers.total_variation import phase_total_variation, prox_phase_tv


@dataclass(frozen=True)
class Cost:
    """The cost of an iterate, split.

    Attributes
    ----------
    data : float
        ``||sqrt(w) (A x - y)||^2``
    penalty : float
        ``lamda_abs * sum |x_(p+1) - x_p|``
    """

    data: float
    penalty: float

    @property
    def total(self) -> float:
        """The number that is minimised."""
        return self.data + self.penalty


@dataclass(frozen=True)
class Problem:
    """A reconstruction problem in the form solvers need; it knows no trajectory and no coil.

    Attributes
    ----------
    normal : callable
        N = A^H W A, volumes to volumes.
    rhs : complex64 array, (n_phases, z, y, x)
        b = A^H W y.
    gridded : complex64 array, (n_phases, z, y, x)
        The gridded, coil-combined image, where solvers start: b itself unless density compensation is left
        out of the cost.
    energy : float
        ``||sqrt(w) y||^2``
    lamda_abs : float
        Weight of the total variation in units of the data.
    threads : int, optional
        For the penalty on a CPU; all cores by default.
    """

    normal: Callable[[Array], Array]
    rhs: Array
    gridded: Array
    energy: float
    lamda_abs: float
    threads: int | None = None

    def cost(self, volumes: Array, normal_volumes: Array) -> Cost:
        """Return the cost of ``volumes``, given N applied to them."""
        data = vdot(volumes, normal_volumes).real - 2 * vdot(volumes, self.rhs).real + self.energy
        return Cost(data=data, penalty=self.lamda_abs * self.penalty(volumes))

    def penalty(self, volumes: Array) -> float:
        """Return the total variation along the phases, without its weight."""
        return phase_total_variation(volumes, threads=self.threads)

    def prox(self, volumes: Array, mu: float, dual: Array | None = None) -> Array:
        """Return the proximal point of the penalty; see :func:`prox_phase_tv`."""
        return prox_phase_tv(volumes, mu, dual, threads=self.threads)

    def gradient(self, normal_volumes: Array) -> Array:
        """Return the gradient of the data term, 2 (N x - b), given N x."""
        gradient = normal_volumes - self.rhs
        gradient *= 2
        return gradient


def build_problem(
    model: ForwardModel, kspace: Array, dcf: Array, lamda: float, *, dcf_in_cost: bool = True
) -> Problem:
    """Return the problem of a scan.

    Parameters
    ----------
    model : ForwardModel
    kspace : complex64 array, (n_coils, n_spokes, n_samples)
        y, in the order of the model's spokes.
    dcf : float32 array, (n_spokes, n_samples)
        w; the gridded image always uses it.
    lamda : float
        Relative to max |A^H W y| over all phases, so that the minimiser does not change with the scale
        of the data.
    dcf_in_cost : bool
        Whether w weights the data term; else W is the identity there.

    Raises
    ------
    RawDataError
        If the gridded image is zero or not finite.
    """
    weighted = (dcf * kspace).astype(np.complex64)
    gridded = model.H(weighted)
    peak = _peak(gridded)
    if dcf_in_cost:
        normal = model.normal_operator(dcf)
        return Problem(normal, gridded, gridded, vdot(kspace, weighted).real, lamda * peak, model.threads)
    rhs = model.H(kspace)
    return Problem(model.normal_operator(), rhs, gridded, norm2(kspace), lamda * _peak(rhs), model.threads)


def _peak(volumes: Array) -> float:
    peak = float(xp_of(volumes).abs(volumes).max())
    if not (np.isfinite(peak) and peak > 0):
        raise RawDataError(f"the gridded image has maximum {peak}", field="kspace, smaps, dcf")
    return peak
