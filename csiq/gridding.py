"""The adjoint NUFFT on a CPU: finufft spreads, the transforms are ours.

Spreading is a sixth of the time of finufft's adjoint in 3D; the rest is a transform of the doubled grid, most
of whose result is thrown away. Here it goes plane by plane (:mod:`csiq.fft`), and what is thrown away of a
plane is not carried on.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from csiq import fft

#: Points a period of the fine grid is cut into, to measure the spreading kernel's transform.
_SHIFTS = 32
#: Bytes of the rows that are transformed along z at a time.
_BLOCK_BYTES = 1 << 18


class GriddingAdjoint:
    """sum_j c_j exp(i k x_j) for the modes k = -(n // 2) .. of an image or volume.

    Parameters
    ----------
    angles : sequence of float32 arrays, (n_points,)
        x_j of each axis, in [-3 pi, 3 pi); two or three axes, slowest first.
    modes : tuple of int
        n of each axis.
    eps : float
        Relative accuracy.
    """

    def __init__(self, angles: list[np.ndarray], modes: tuple[int, ...], *, eps: float) -> None:
        import scipy.fft

        self.modes = modes
        self._fine = tuple(scipy.fft.next_fast_len(max(2 * n, 16)) for n in modes)
        self._factors = [_factors(n, fine, eps) for n, fine in zip(modes, self._fine, strict=True)]
        self._plan = _spreading_plan(self._fine, eps)
        self._plan.setpts(*angles)
        self._grid = fft.aligned(self._fine)

    def __call__(self, strengths: np.ndarray) -> np.ndarray:
        """Return the sums.

        Parameters
        ----------
        strengths : complex64 array, (n_points,)

        Returns
        -------
        complex64 array, the modes
        """
        self._plan.execute(strengths, out=self._grid)
        *_, n_y, n_x = self.modes
        planes = self._grid.reshape(-1, *self._fine[-2:])
        rows = fft.aligned((len(planes), n_y, n_x))
        for plane, row in zip(planes, rows, strict=True):
            fft.along_last(plane, 2, inverse=True)
            _crop(plane, row)
        row_factors = self._factors[-2][:, None] * self._factors[-1]
        if len(self.modes) == 2:
            return rows[0] * row_factors
        return self._along_z(rows, row_factors)

    def _along_z(self, rows: np.ndarray, row_factors: np.ndarray) -> np.ndarray:
        (n_z, n_y, n_x), fine = self.modes, self._fine[0]
        out, half = np.empty(self.modes, np.complex64), n_z // 2
        step = max(1, _BLOCK_BYTES // (fine * n_x * 8))
        for first in range(0, n_y, step):
            block = rows[:, first : first + step]
            fft.along_first(block, inverse=True)
            factors = row_factors[first : first + step]
            np.multiply(block[fine - half :], factors, out=out[:half, first : first + step])
            np.multiply(block[: n_z - half], factors, out=out[half:, first : first + step])
        out *= self._factors[0][:, None, None]
        return out


def _crop(full: np.ndarray, out: np.ndarray) -> None:
    """Write the modes -(n // 2) .. of both axes, the origin of ``full`` being its first element."""
    n_y, n_x = out.shape
    y, x = n_y // 2, n_x // 2
    out[y:, x:] = full[: n_y - y, : n_x - x]
    out[y:, :x] = full[: n_y - y, full.shape[1] - x :]
    out[:y, x:] = full[full.shape[0] - y :, : n_x - x]
    out[:y, :x] = full[full.shape[0] - y :, full.shape[1] - x :]


@cache
def _factors(n: int, fine: int, eps: float) -> np.ndarray:
    """Return (-1)^k / (transform of the spreading kernel at k) for the modes of an axis.

    The fine grid begins at -pi, which makes the sign. The kernel is finufft's own, measured by spreading
    points at fractions of a grid step: together they sample it so finely that a sum is its integral.
    """
    plan = _spreading_plan((fine,), eps, n_trans=_SHIFTS)
    plan.setpts((np.arange(_SHIFTS) * (2 * np.pi / (fine * _SHIFTS))).astype(np.float32))
    spread = plan.execute(np.eye(_SHIFTS, dtype=np.complex64))
    # grid point g, shift s: the kernel at (g - fine / 2) - s / shifts steps
    step = np.arange(fine)[None] - fine / 2 - np.arange(_SHIFTS)[:, None] / _SHIFTS
    k = np.arange(n) - n // 2
    cosines = np.cos(2 * np.pi / fine * k[:, None, None] * step)
    transform = np.sum(cosines * spread.real.astype(np.float64), axis=(1, 2)) / _SHIFTS
    return ((-1.0) ** k / transform).astype(np.float32)


def _spreading_plan(fine: tuple[int, ...], eps: float, n_trans: int = 1) -> Any:
    import finufft

    options = {"upsampfac": 2.0, "nthreads": 1, "spreadinterponly": 1, "n_trans": n_trans}
    return finufft.Plan(1, fine, eps=eps, isign=1, dtype="complex64", **options)
