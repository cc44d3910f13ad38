"""What is minimised: the data term, the penalty, and the number that people compare.

``cost(x) = sum_p ||sqrt(w_p) (A_p x_p - y_p)||^2 + lamda_abs sum |x_(p+1) - x_p|``, no 1/2 in front, and
further penalties where they are asked for. Expanded, the data term is
``<x, N x> - 2 Re <x, b> + ||sqrt(w) y||^2`` with ``N = A^H W A`` and ``b = A^H W y``: with N x at hand it
costs two dot products and no operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from csiq.arrays import Array, combined, norm2, vdot, xp_of
from csiq.errors import ConfigError, RawDataError, ShapeError
from csiq.operators import ForwardModel
from csiq.solvers.penalties import Penalty, PhaseTV
from csiq.solvers.total_variation import phase_total_variation, prox_phase_tv


@dataclass(frozen=True)
class Cost:
    """The cost of an iterate, split.

    Attributes
    ----------
    data : float
        ``||sqrt(w) (A x - y)||^2``
    penalty : float
        ``lamda_abs * sum |x_(p+1) - x_p|``, and the other penalties with their weights
    """

    data: float
    penalty: float

    @property
    def total(self) -> float:
        """The number that is minimised."""
        return self.data + self.penalty


class NormalOperator(Protocol):
    """What solvers need of N = A^H W A."""

    def __call__(self, volumes: Array) -> Array:
        """Return N applied to volumes."""

    def largest_eigenvalue(self, n_steps: int) -> float:
        """Return an estimate of its largest eigenvalue."""


@dataclass(frozen=True)
class Problem:
    """A reconstruction problem in the form solvers need; it knows no trajectory and no coil.

    Attributes
    ----------
    normal : NormalOperator
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
        For the penalties on a CPU; all cores by default.
    further : tuple of Penalty
        What is penalised besides, with weights in units of the data.
    """

    normal: NormalOperator
    rhs: Array
    gridded: Array
    energy: float
    lamda_abs: float
    threads: int | None = None
    further: tuple[Penalty, ...] = ()

    @property
    def penalties(self) -> tuple[Penalty, ...]:
        """All penalties with weights in units of the data, that along the phases first."""
        return (PhaseTV(self.lamda_abs), *self.further)

    def cost(self, volumes: Array, normal_volumes: Array) -> Cost:
        """Return the cost of ``volumes``, given N applied to them."""
        data = vdot(volumes, normal_volumes).real - 2 * vdot(volumes, self.rhs).real + self.energy
        return Cost(data=data, penalty=self.weighted_penalty(volumes))

    def weighted_penalty(self, volumes: Array) -> float:
        """Return the sum of all penalties, each with its weight."""
        return sum(p.weight * p.value(volumes, self.threads) for p in self.penalties)

    def penalty(self, volumes: Array) -> float:
        """Return the total variation along the phases, without its weight."""
        return phase_total_variation(volumes, threads=self.threads)

    def warm_prox(self, target: Array, step: float, dual: Array, dual_mu: float) -> Array:
        """Return the proximal point for a step, from the dual solution of the last one at ``dual_mu``.

        Of the total variation along the phases alone; :class:`~csiq.solvers.proximal.WarmProx` takes all
        penalties. The dual solution grows with the weight: rescaled, the last one is a good start. ``dual``
        is written.
        """
        mu = step * self.lamda_abs
        if dual_mu > 0:
            dual *= np.float32(mu / dual_mu)
        return prox_phase_tv(target, mu, dual, threads=self.threads)

    def largest_eigenvalue(self, n_steps: int) -> float:
        """Return an estimate, at most a few per cent low, of the largest eigenvalue of N."""
        return self.normal.largest_eigenvalue(n_steps)

    def gradient(self, normal_volumes: Array) -> Array:
        """Return the gradient of the data term, 2 (N x - b), given N x."""
        return combined((2, normal_volumes), (-2, self.rhs))


def start_of(problem: Problem) -> tuple[Array, Array, float]:
    """Return where solvers start: the gridded image times the factor that fits the data best.

    Returns
    -------
    volumes, normal_volumes : complex64 arrays, (n_phases, z, y, x)
        The image, and N applied to it.
    curvature : float
        <b, N b> / <b, b>, the curvature of half the data term along the image.
    """
    normal_gridded = problem.normal(problem.gridded)
    curvature = vdot(problem.gridded, normal_gridded).real
    scale = vdot(problem.gridded, problem.rhs).real / curvature if curvature > 0 else 0.0
    length2 = norm2(problem.gridded)
    return (
        combined((scale, problem.gridded)),
        combined((scale, normal_gridded)),
        curvature / length2 if curvature > 0 else 1.0,
    )


def build_problem(
    model: ForwardModel,
    kspace: Array,
    dcf: Array,
    lamda: float,
    *,
    dcf_in_cost: bool = True,
    penalties: Sequence[Penalty] = (),
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
        Weight of the total variation along the phases, relative to max |A^H W y| over all phases, so that
        the minimiser does not change with the scale of the data.
    dcf_in_cost : bool
        Whether w weights the data term; else W is the identity there.
    penalties : sequence of Penalty
        What to penalise besides, weights relative as ``lamda``: ``[SpatialTV(0.005), Wavelet(0.01)]``.
        One of weight 0 is left out.

    Raises
    ------
    ShapeError
        If k-space or the weights are not of the model's coils and spokes.
    RawDataError
        If the gridded image is zero or not finite.
    ConfigError
        If a penalty comes twice.
    """
    _check_fit(model, kspace, dcf)
    names = [penalty.name for penalty in penalties]
    if len({PhaseTV.name, *names}) <= len(names):
        raise ConfigError("each penalty once", field="penalties", hint="lamda is that along the phases")
    weighted = (dcf * kspace).astype(np.complex64, copy=False)
    gridded = model.H(weighted)
    peak = _peak(gridded)
    if dcf_in_cost:
        normal, rhs, energy = model.normal_operator(dcf), gridded, vdot(kspace, weighted).real
    else:
        normal, rhs, energy = model.normal_operator(), model.H(kspace), norm2(kspace)
        peak = _peak(rhs)
    further = tuple(penalty.scaled(peak) for penalty in penalties if penalty.weight > 0)
    return Problem(normal, rhs, gridded, energy, lamda * peak, model.threads, further)


def _check_fit(model: ForwardModel, kspace: Array, dcf: Array) -> None:
    expected = tuple(model.oshape)
    if tuple(kspace.shape) != expected:
        maps = tuple(model.smaps.shape)
        what = f"maps {maps} and their spokes make k-space {expected}, got {tuple(kspace.shape)}"
        raise ShapeError(what, field="smaps, kspace")
    if tuple(dcf.shape) != expected[1:]:
        raise ShapeError(f"expected weights {expected[1:]}, got {tuple(dcf.shape)}", field="dcf")


def _peak(volumes: Array) -> float:
    peak = float(xp_of(volumes).abs(volumes).max())
    if not (np.isfinite(peak) and peak > 0):
        raise RawDataError(f"the gridded image has maximum {peak}", field="kspace, smaps, dcf")
    return peak
