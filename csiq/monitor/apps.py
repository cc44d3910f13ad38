"""What csiq knows of SigPy's Apps and Algs: where the image is, and what the cost is at no extra charge.

The image, unless the caller says where it is:

======================================  ==========================================================
csiq's solvers                          ``alg.volumes``
``LinearLeastSquares`` and its kin      ``alg.x``, the image itself with all four of its solvers:
(Sense-, L1Wavelet-, TotalVariation-    wavelets and differences are inside the penalty
Recon), ``L2ConstrainedMinimization``
``JsenseRecon``                         the transform of ``img_ker``
other Algs                              ``alg.x``
``PowerMethod``, ``SDMM``, ``AltMin``   none: an eigenvector, a column, and whatever two functions change
======================================  ==========================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import sigpy
import sigpy.mri.app

from csiq.arrays import Array, to_host, xp_of
from csiq.errors import ConfigError
from csiq.history import CostLike
from csiq.monitor.images import has_signal

#: An App or an Alg of SigPy, or anything with their ``update`` and ``done``.
Target = Any


def alg_of(target: Target) -> Any:
    """Return the Alg of an App, or the Alg itself.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    alg = getattr(target, "alg", target)
    if not (callable(getattr(alg, "update", None)) and callable(getattr(alg, "done", None))):
        raise ConfigError(
            f"expected a SigPy App or Alg, got {type(target).__name__}",
            field="watch",
            hint="a loop of your own calls monitor.update(image)",
        )
    return alg


def image_of(target: Target) -> Array | None:
    """Return the current image of an App or Alg, its own buffer; None if it has none."""
    alg = alg_of(target)
    if hasattr(alg, "volumes"):
        return alg.volumes
    if isinstance(target, sigpy.mri.app.JsenseRecon):
        return sigpy.ifft(sigpy.resize(target.img_ker, target.img_shape))
    if isinstance(alg, (sigpy.alg.PowerMethod, sigpy.alg.SDMM)):
        return None
    return getattr(alg, "x", None)


def gridded_of(target: Target) -> Array | None:
    """Return A^H y, the image that a start from zeros stands for, or None where it is not known.

    Conjugate gradients carry it as their right-hand side; elsewhere it costs one adjoint.
    """
    alg = alg_of(target)
    if isinstance(alg, sigpy.alg.ConjugateGradient):
        return alg.b
    if isinstance(target, sigpy.app.LinearLeastSquares):
        return target.A.H(target.y)
    return None


def starting_image(target: Target, image: Callable[[Any], Array] | None = None) -> Array:
    """Return the image that counts as iteration 0: where the target starts, or A^H y for a start from zeros.

    Parameters
    ----------
    target : App or Alg
    image : callable, optional
        Says where the image is; whoever says it knows another space than the App's, so zeros stay zeros.

    Raises
    ------
    ConfigError
        If there is no image.
    """
    start = image_of(target) if image is None else image(target)
    if start is None:
        raise ConfigError(
            f"{type(target).__name__} has no image that csiq knows of",
            field="image",
            hint="watch(app, image=lambda app: ...) says where it is",
        )
    if image is None and not has_signal(start):
        gridded = gridded_of(target)
        return start if gridded is None else gridded
    return start


class CostSource(Protocol):
    """Says the cost of each iterate: asked once at the start, and once after each update."""

    def before(self) -> None:
        """Take note before an update."""

    def value(self) -> float | CostLike | None:
        """Return the cost now; None if it is not known."""


def cost_of(target: Target) -> CostSource:
    """Return what says the cost of an App or Alg without computing it anew.

    csiq's solvers state it. ``save_objective_values=True`` lets an App of SigPy's compute it. Conjugate
    gradients within a ``LinearLeastSquares`` imply it. Otherwise it is not known: the operator would have to
    be applied once more in each iteration.
    """
    alg = alg_of(target)
    if hasattr(getattr(alg, "cost", None), "total"):
        return Asked(lambda: alg.cost)
    if getattr(target, "save_objective_values", False):
        return _Listed(target)
    own = isinstance(target, sigpy.app.LinearLeastSquares)
    if own and isinstance(alg, sigpy.alg.ConjugateGradient):
        return _ConjugateGradientCost(target, alg)
    return Asked(lambda: None)


class Asked:
    """A cost that a function returns."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function

    def before(self) -> None:
        """Do nothing."""

    def value(self) -> float | CostLike | None:
        """Return what the function returns."""
        return self._function()


class _Listed:
    """The objective values an App writes down after each update."""

    def __init__(self, app: Any) -> None:
        self._values = app.objective_values
        self._expected = len(self._values)

    def before(self) -> None:
        """Expect one more value in the App's list."""
        self._expected += 1

    def value(self) -> float | None:
        """Return the last cost that the App has listed; None if it listed none for this step."""
        # an Alg that is driven without its App leaves the list as it is
        return float(self._values[-1]) if len(self._values) == self._expected else None


class _ConjugateGradientCost:
    """The cost of conjugate gradients, which each step lowers by a number that it knows.

    With H x = b from 1/2 |A x - y|^2 + lamda/2 |x - z|^2 and the residual r = b - H x, the cost is
    1/2 |y|^2 + lamda/2 |z|^2 - Re x^H (b + r) / 2. A step along p by a = r^H P r / p^H H p lowers it by
    a r^H P r / 2.
    """

    def __init__(self, app: Any, alg: Any) -> None:
        self._alg = alg
        self._step: float | None = None
        self._cost = _half_square(app.y)
        if app.lamda and app.z is not None:
            xp = xp_of(alg.x)
            self._cost += float(app.lamda) * _half_square(xp.broadcast_to(xp.asarray(app.z), alg.x.shape))
        self._cost -= _number(xp_of(alg.x).vdot(alg.x, alg.b + alg.r)) / 2

    def before(self) -> None:
        """Keep the r^H P r that the step starts from."""
        self._step = _number(self._alg.rzold)

    def value(self) -> float:
        """Return the cost after the step, lowered by a r^H P r / 2; unchanged if no step was taken."""
        if self._step is not None and not self._alg.not_positive_definite:
            self._cost -= _number(self._alg.alpha) * self._step / 2
        self._step = None
        return self._cost


def _half_square(x: Array) -> float:
    return _number(xp_of(x).linalg.norm(x)) ** 2 / 2


def _number(value: Any) -> float:
    return float(np.real(to_host(value)))


def parts(cost: float | CostLike | None) -> tuple[float, float, float]:
    """Return total, data and penalty of a cost; nan where they are not known."""
    if cost is None:
        return math.nan, math.nan, math.nan
    if isinstance(cost, (int, float)) or not hasattr(cost, "total"):
        return float(cost), math.nan, math.nan  # type: ignore[arg-type]
    return float(cost.total), float(cost.data), float(cost.penalty)
