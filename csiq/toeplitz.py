"""The normal operator A^H W A of all phases, by Toeplitz embedding on the doubled grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import sigpy

from csiq.arrays import Array, default_threads, norm2, run_tasks, vdot, xp_of
from csiq.errors import ShapeError


class ToeplitzNormal(sigpy.linop.Linop):
    """A^H W A of all phases: a convolution with the point spread function, coil by coil.

    Self-adjoint. z is padded first, then plane by plane y and x: a plane of the doubled grid, the kernel's
    plane and the work on them stay in the cache, and only 7 of 12 one-dimensional passes are needed.

    Parameters
    ----------
    kernels : float32 array, (n_phases, 2z, 2y, 2x)
        From :func:`csiq.nufft.toeplitz_kernel`; axes of length 1 are not doubled.
    smaps : complex64 array, (n_coils, z, y, x)
    threads : int, optional
        On a CPU; all cores by default.
    """

    def __init__(self, kernels: Array, smaps: Array, *, threads: int | None = None) -> None:
        shape = tuple(smaps.shape[1:])
        doubled = tuple(2 * n if n > 1 else 1 for n in shape)
        if kernels.ndim != 4 or tuple(kernels.shape[1:]) != doubled:
            raise ShapeError(f"expected kernels (n_phases, {doubled}), got {kernels.shape}", field="kernels")
        self.kernels = kernels
        self.smaps = smaps
        self.threads = threads or default_threads()
        self.applications = 0
        super().__init__((kernels.shape[0], *shape), (kernels.shape[0], *shape))

    def _apply(self, volumes: Array) -> Array:
        xp = xp_of(volumes)
        self.applications += 1
        n_phases, n_coils = self.ishape[0], self.smaps.shape[0]
        # One task a phase; several a phase only if there are more threads than phases. Each sums its own
        # coils and the sums are added in a fixed order, so the result is the same to the bit.
        n_groups = 1 if xp is not np else min(n_coils, math.ceil(self.threads / n_phases))
        groups = np.array_split(np.arange(n_coils), n_groups)
        sums = xp.empty((n_groups, *self.ishape), dtype=np.complex64)

        def task(number: int) -> None:
            group, phase = divmod(number, n_phases)
            sums[group, phase] = self._one_phase(volumes[phase], phase, groups[group])

        run_tasks([partial(task, i) for i in range(n_groups * n_phases)], self.threads, xp)
        total = sums[0]
        for more in sums[1:]:
            total += more
        return total

    def _adjoint_linop(self) -> sigpy.linop.Linop:
        return self

    def _one_phase(self, volume: Array, phase: int, coils: np.ndarray) -> Array:
        """Return the sum over some coils for one phase."""
        out = xp_of(volume).zeros(self.ishape[1:], dtype=np.complex64)
        for coil in coils:
            smap = self.smaps[coil]
            out += xp_of(volume).conj(smap) * convolve(smap * volume, self.kernels[phase])
        return out

    def largest_eigenvalue(self, n_steps: int = 8) -> float:
        """Return an estimate of the operator's largest eigenvalue, for the step of a solver.

        Lanczos steps on one phase, the one whose kernel is largest: phases are equal parts of one scan. They
        approach from below, so :data:`_LANCZOS_MARGIN` is added; a solver checks the curvature it meets.
        """
        xp = xp_of(self.smaps)
        peaks = [float(kernel.max()) for kernel in self.kernels]
        phase, n_coils = int(np.argmax(peaks)), self.smaps.shape[0]
        groups = np.array_split(np.arange(n_coils), 1 if xp is not np else min(n_coils, self.threads))

        def apply(volume: Array) -> Array:
            parts: list[Array] = [None] * len(groups)

            def task(group: int) -> None:
                parts[group] = self._one_phase(volume, phase, groups[group])

            run_tasks([partial(task, i) for i in range(len(groups))], self.threads, xp)
            return sum(parts[1:], parts[0])

        return _LANCZOS_MARGIN * _lanczos(apply, self.ishape[1:], n_steps, xp)


#: Eight steps from noise come within 6 % of the largest eigenvalue of simulated scans of 64^3 and 96^3.
_LANCZOS_MARGIN = 1.1


def _lanczos(apply: Callable[[Array], Array], shape: Sequence[int], n_steps: int, xp: Any) -> float:
    """Return the largest Ritz value of a self-adjoint operator after some steps from seeded noise."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(tuple(shape), np.float32) + 1j * rng.standard_normal(tuple(shape), np.float32)
    vector, before = xp.asarray(noise.astype(np.complex64)), None
    vector /= np.float32(math.sqrt(norm2(vector)))
    diagonal: list[float] = []
    beside: list[float] = []
    for _ in range(n_steps):
        new = apply(vector)
        diagonal.append(vdot(vector, new).real)
        new -= np.float32(diagonal[-1]) * vector
        if before is not None:
            new -= np.float32(beside[-1]) * before
        size = math.sqrt(norm2(new))
        if size <= 1e-6 * abs(diagonal[0]):
            break
        beside.append(size)
        before, vector = vector, new / np.float32(size)
    off = beside[: len(diagonal) - 1]
    return float(np.linalg.eigvalsh(np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1))[-1])


def convolve(volume: Array, kernel: Array) -> Array:
    """Return crop(ifft(kernel * fft(pad(volume)))), the doubled grid never held as a whole.

    Parameters
    ----------
    volume : complex64 array, (z, y, x)
    kernel : float32 array, (2z, 2y, 2x)
        z not doubled for a slice.
    """
    xp = xp_of(volume)
    fft, ifft = _ffts(xp)
    n_z, n_y, n_x = volume.shape
    spectrum = fft(volume, kernel.shape[0], 0) if n_z > 1 else volume.copy()
    step = max(1, _PLANE_BYTES // (8 * kernel.shape[1] * kernel.shape[2])) if xp is np else kernel.shape[0]
    for first in range(0, kernel.shape[0], step):
        planes = slice(first, first + step)
        work = fft(fft(spectrum[planes], kernel.shape[2], 2), kernel.shape[1], 1)
        work *= kernel[planes]
        work = ifft(work, kernel.shape[1], 1)[:, :n_y]
        spectrum[planes] = ifft(work, kernel.shape[2], 2)[:, :, :n_x]
    return ifft(spectrum, kernel.shape[0], 0)[:n_z] if n_z > 1 else spectrum


#: Planes of the doubled grid that are worked on at a time: about the second-level cache of a core.
_PLANE_BYTES = 1 << 20


def _ffts(xp: Any) -> tuple[Callable[..., Array], Callable[..., Array]]:
    if xp is np:
        import scipy.fft

        return (
            lambda a, n, axis: scipy.fft.fft(a, n, axis, workers=1),
            lambda a, n, axis: scipy.fft.ifft(a, n, axis, workers=1, overwrite_x=True),
        )
    return (
        lambda a, n, axis: xp.fft.fft(a, n, axis).astype(np.complex64, copy=False),
        lambda a, n, axis: xp.fft.ifft(a, n, axis).astype(np.complex64, copy=False),
    )
