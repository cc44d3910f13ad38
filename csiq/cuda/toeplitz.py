"""The Toeplitz normal operator of one phase, for a GPU: coil batches, few passes, no allocation.

z is padded first, together with the product with the coil maps. Then a slab of z planes at a time is
padded along y and x, transformed, multiplied by the kernel, transformed back and cropped in one buffer that
is small enough to stay in a GPU's second-level cache; a kernel plane is read once for all coils of a batch.
The crop along z, conj(smaps) and the sum over coils are one step. All FFTs are in place, without transposes
(cuFFT strides along y and z), their plans made once.

The driver :func:`sum_of_coils` is the same for NumPy and CuPy. What differs is behind two hooks: the steps
between the FFTs (:class:`ArraySteps`, :class:`FusedSteps`) and the FFT in place (``Buffers.transform``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from csiq.arrays import Array, xp_of
from csiq.cuda import kernels
from csiq.errors import ShapeError
from csiq.nufft import doubled_shape

#: Bytes of the doubled grid worked on at a time, at most: within the second-level cache of an A100 (40 MB)
#: or H100 (50 MB). ``benchmarks/gpu.py`` measures others.
SLAB_BYTES = 32 << 20


def planes_of(shape: tuple[int, ...], batch: int, slab_bytes: int = SLAB_BYTES) -> int:
    """Return how many z planes of a batch of coils fit into a slab: a divisor of 2z, at least 1.

    A divisor, so that all slabs have one size and share their plans.
    """
    doubled = doubled_shape(shape)
    most = max(1, slab_bytes // (8 * batch * doubled[1] * doubled[2]))
    return max(n for n in range(1, min(most, doubled[0]) + 1) if doubled[0] % n == 0)


@dataclass
class Buffers:
    """Memory and FFT plans that every application uses again.

    Attributes
    ----------
    shape : (int, int, int)
        Voxels, z y x.
    batch : int
        Coils at a time.
    planes : int
        Planes of the doubled grid at a time.
    spectrum, work : flat complex64 arrays
        Of ``batch * 2z * y * x`` and ``batch * planes * 2y * 2x`` elements.
    """

    shape: tuple[int, int, int]
    batch: int
    planes: int
    spectrum: Array
    work: Array
    _plans: dict[tuple[int, int, bool], Any] = field(default_factory=dict)

    @classmethod
    def allocate(cls, xp: Any, shape: tuple[int, ...], batch: int, slab_bytes: int = SLAB_BYTES) -> Buffers:
        """Return buffers for volumes of this shape on the device of ``xp``.

        Parameters
        ----------
        xp : module
            numpy or cupy.
        shape : (int, int, int)
        batch : int
        slab_bytes : int
            At most; one plane is the least.
        """
        n_z, n_y, n_x = shape
        doubled, planes = doubled_shape(shape), planes_of(shape, batch, slab_bytes)
        spectrum = xp.empty(doubled[0] * batch * n_y * n_x, dtype=np.complex64)
        work = xp.empty(doubled[1] * planes * batch * doubled[2], dtype=np.complex64)
        return cls((n_z, n_y, n_x), batch, planes, spectrum, work)

    def transform(self, array: Array, *, first: bool, inverse: bool) -> None:
        """Transform a contiguous array along its first or its last axis, in place and unscaled."""
        if array.shape[0 if first else -1] == 1:
            return
        if xp_of(array) is np:
            import scipy.fft

            axis = 0 if first else array.ndim - 1
            if inverse:
                array[...] = scipy.fft.ifft(array, axis=axis, norm="forward", workers=1)
            else:
                array[...] = scipy.fft.fft(array, axis=axis, workers=1)
            return
        from cupy.cuda import cufft

        plan = self._plan(array.shape[0 if first else -1], array.size, first)
        # cupy.fft would copy a view before it transforms it: the plan itself works in place
        plan.fft(array, array, cufft.CUFFT_INVERSE if inverse else cufft.CUFFT_FORWARD)

    def _plan(self, length: int, size: int, first: bool) -> Any:
        """Return the cuFFT plan: element k of transform b lies at k * stride + b * distance."""
        key = (length, size, first)
        if key not in self._plans:
            from cupy.cuda import cufft

            batch = size // length
            stride, distance = (batch, 1) if first else (1, length)
            layout = ((length,), stride, distance)
            self._plans[key] = cufft.PlanNd((length,), *layout, *layout, cufft.CUFFT_C2C, batch, "C", 0, None)
        return self._plans[key]


def sum_of_coils(
    volume: Array, smaps: Array, kernel: Array, *, batch: int, buffers: Buffers | None = None
) -> Array:
    """Return sum_c conj(S_c) crop(ifft(kernel * fft(pad(S_c volume)))).

    Parameters
    ----------
    volume : complex64 array, (z, y, x)
    smaps : complex64 array, (n_coils, z, y, x)
        On the volume's device, or on the host: then a batch at a time is copied over.
    kernel : float32 array, (2z, 2y, 2x)
        From :func:`csiq.nufft.toeplitz_kernel`, no fftshift; axes of length 1 are not doubled.
    batch : int
        Coils at a time, at most ``buffers.batch``.
    buffers : Buffers, optional
        Reused where given; else made for this one call.

    Returns
    -------
    complex64 array, (z, y, x)

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    """
    xp, shape = xp_of(volume), tuple(volume.shape)
    doubled = doubled_shape(shape)
    if tuple(smaps.shape[1:]) != shape or tuple(kernel.shape) != doubled:
        raise ShapeError(f"volume {shape}, maps {smaps.shape} and kernel {kernel.shape} do not fit together")
    buffers = buffers or Buffers.allocate(xp, shape, min(batch, smaps.shape[0]))
    if buffers.shape != shape:
        raise ShapeError(f"expected buffers for {shape}, got some for {buffers.shape}")
    steps = steps_of(xp)
    volume = xp.ascontiguousarray(volume)
    out = xp.zeros(shape, dtype=np.complex64)
    scale = np.float32(1 / math.prod(doubled))
    for start in range(0, smaps.shape[0], min(batch, buffers.batch)):
        maps = xp.ascontiguousarray(xp.asarray(smaps[start : start + min(batch, buffers.batch)]))
        spectrum = buffers.spectrum[: doubled[0] * maps.shape[0] * math.prod(shape[1:])]
        spectrum = spectrum.reshape(doubled[0], maps.shape[0], *shape[1:])
        steps.pad_first(spectrum, maps, volume)
        buffers.transform(spectrum, first=True, inverse=False)
        _filter(spectrum, kernel, buffers, steps)
        buffers.transform(spectrum, first=True, inverse=True)
        steps.crop_first(out, spectrum, maps, scale)
    return out


def _filter(spectrum: Array, kernel: Array, buffers: Buffers, steps: Steps) -> None:
    """Convolve the planes of a spectrum (2z, coils, y, x) along y and x with the kernel, in place."""
    _, coils, n_y, _ = spectrum.shape
    for planes, work in _slabs(spectrum, kernel, buffers):
        slab, part = spectrum[planes], kernel[planes]
        steps.pad_plane(work, slab)
        # rows y and beyond are zero yet: half of the transforms along x are left out
        rows = work[:n_y].reshape(-1, work.shape[-1])
        buffers.transform(rows, first=False, inverse=False)
        buffers.transform(work, first=True, inverse=False)
        steps.multiply(work, part, coils)
        buffers.transform(work, first=True, inverse=True)
        buffers.transform(rows, first=False, inverse=True)
        steps.crop_plane(slab, work)


def _slabs(spectrum: Array, kernel: Array, buffers: Buffers) -> Iterator[tuple[slice, Array]]:
    """Yield the planes of each slab and the work array (2y, planes * coils, 2x) for them."""
    n_planes, coils = spectrum.shape[:2]
    _, doubled_y, doubled_x = kernel.shape
    for first in range(0, n_planes, buffers.planes):
        planes = slice(first, min(first + buffers.planes, n_planes))
        images = (planes.stop - first) * coils
        yield (
            planes,
            buffers.work[: doubled_y * images * doubled_x].reshape(doubled_y, images, doubled_x),
        )


def traffic_bytes(shape: tuple[int, ...], n_coils: int, batch: int) -> int:
    """Return what one application to one phase reads and writes, in bytes, step by step.

    Each FFT counts as one reading and one writing of its array, also where a slab stays in a cache: the rate
    that follows from it can exceed the memory's.
    """
    full = 8 * math.prod(doubled_shape(shape)) * n_coils
    voxels = 8 * math.prod(shape)
    along_z = full * math.prod(shape[1:]) // math.prod(doubled_shape(shape)[1:])
    along_x = full * shape[1] // doubled_shape(shape)[1]
    batches = -(-n_coils // batch)
    first = n_coils * voxels + batches * voxels + along_z  # maps, volume, spectrum
    last = along_z // 2 + n_coils * voxels + 2 * batches * voxels
    slabs = 2 * along_z + 2 * along_x // 2 + full  # crop and pad: the padded array is only written
    slabs += full // 2 // n_coils * batches  # the kernel, float32, once a batch
    transforms = 2 * 2 * (along_z + along_x + full)
    return first + last + slabs + transforms + 2 * full


class Steps(Protocol):
    """What happens between the FFTs. ``spectrum`` is (2z, coils, y, x), ``work`` (2y, planes * coils, 2x)."""

    def pad_first(self, spectrum: Array, smaps: Array, volume: Array) -> None:
        """Write smaps * volume into the spectrum, zero in the padded half of z."""

    def crop_first(self, out: Array, spectrum: Array, smaps: Array, scale: np.float32) -> None:
        """Add scale * sum over coils of conj(smaps) * spectrum, the padded half of z left out."""

    def pad_plane(self, work: Array, slab: Array) -> None:
        """Write planes (planes, coils, y, x) with y to the front, zero in the padded halves."""

    def multiply(self, work: Array, kernel: Array, coils: int) -> None:
        """Multiply by the kernel's planes (planes, 2y, 2x), the same for all coils."""

    def crop_plane(self, slab: Array, work: Array) -> None:
        """Write the unpadded part back to where :meth:`pad_plane` took it from."""


class ArraySteps:
    """The steps in plain array operations, for NumPy."""

    def pad_first(self, spectrum: Array, smaps: Array, volume: Array) -> None:
        """See :class:`Steps`."""
        n_z = volume.shape[0]
        spectrum[:n_z] = (smaps * volume).swapaxes(0, 1)
        spectrum[n_z:] = 0

    def crop_first(self, out: Array, spectrum: Array, smaps: Array, scale: np.float32) -> None:
        """See :class:`Steps`."""
        total = np.zeros_like(out)
        for coil, smap in enumerate(smaps):
            total += smap.conj() * spectrum[: out.shape[0], coil]
        out += scale * total

    def pad_plane(self, work: Array, slab: Array) -> None:
        """See :class:`Steps`."""
        n_y, n_x = slab.shape[2:]
        work[...] = 0
        work[:n_y, :, :n_x] = slab.reshape(-1, n_y, n_x).swapaxes(0, 1)

    def multiply(self, work: Array, kernel: Array, coils: int) -> None:
        """See :class:`Steps`."""
        planes, doubled_y, doubled_x = kernel.shape
        images = work.reshape(doubled_y, planes, coils, doubled_x)
        images *= kernel.swapaxes(0, 1)[:, :, None]

    def crop_plane(self, slab: Array, work: Array) -> None:
        """See :class:`Steps`."""
        n_y, n_x = slab.shape[2:]
        slab[...] = work[:n_y, :, :n_x].swapaxes(0, 1).reshape(slab.shape)


class FusedSteps:
    """The steps as one CUDA kernel each, ``toeplitz.cu``."""

    def pad_first(self, spectrum: Array, smaps: Array, volume: Array) -> None:
        """See :class:`Steps`."""
        doubled_z, coils, n_y, n_x = spectrum.shape
        arguments = (spectrum, smaps, volume, coils, volume.shape[0], doubled_z, n_y * n_x)
        _launch("pad_first", doubled_z * coils, n_y * n_x, arguments)

    def crop_first(self, out: Array, spectrum: Array, smaps: Array, scale: np.float32) -> None:
        """See :class:`Steps`."""
        _, coils, n_y, n_x = spectrum.shape
        arguments = (out, spectrum, smaps, coils, out.shape[0], n_y * n_x, np.float32(scale))
        _launch("crop_first", out.shape[0], n_y * n_x, arguments)

    def pad_plane(self, work: Array, slab: Array) -> None:
        """See :class:`Steps`."""
        doubled_y, images, doubled_x = work.shape
        arguments = (work, slab, images, *slab.shape[2:], doubled_y, doubled_x)
        _launch("pad_plane", doubled_y * images, doubled_x, arguments)

    def multiply(self, work: Array, kernel: Array, coils: int) -> None:
        """See :class:`Steps`."""
        planes, doubled_y, doubled_x = kernel.shape
        arguments = (work, kernel, planes, coils, doubled_y, doubled_x)
        _launch("multiply", doubled_y * planes, doubled_x, arguments)

    def crop_plane(self, slab: Array, work: Array) -> None:
        """See :class:`Steps`."""
        _, images, doubled_x = work.shape
        n_y, n_x = slab.shape[2:]
        _launch("crop_plane", images * n_y, n_x, (slab, work, images, n_y, n_x, doubled_x))


def _launch(function: str, rows: int, columns: int, arguments: tuple[Any, ...]) -> None:
    kernels.launch_rows(kernels.kernel("toeplitz", function), rows, columns, arguments)


def steps_of(xp: Any) -> Steps:
    """Return the steps for an array module."""
    return ArraySteps() if xp is np else FusedSteps()
