"""The sum of a layer's voxels at its samples, coil by coil, on the device the k-space is on.

On a CPU finufft does it, a plan a thread. On a GPU it is :class:`csiq.nufft.Nufft`: cufinufft where that is
installed, else SigPy's kernels; one coil after the other, each of which fills the device. What is painted and
where the samples are comes from the CPU, once a layer and state. This has not run on a GPU yet: tests run it
with stand-ins for CuPy and cufinufft, and SigPy's transform on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from csiq.arrays import Array, Device, choose_device, xp_of
from csiq.errors import ResourceError
from csiq.nufft import Nufft
from csiq.simulate._signal_numba import add_samples
from csiq.simulate.layers import Layer

_UPSAMPLING = 1.25  # on a CPU; a type 2 still errs by 3e-5 only, type 1 would not


@dataclass(frozen=True)
class Samples:
    """The samples of a layer in one state.

    Attributes
    ----------
    angles : tuple of float32 arrays, (n_points,)
        Radians a voxel, of each axis that the layer has.
    where : int64 array, (n_points,)
        Index into the flattened k-space of a coil; none twice.
    factor : complex64 array, (n_points,)
        What the layer's sum is multiplied by.
    """

    angles: tuple[Array, ...]
    where: Array
    factor: Array

    def held_by(self, xp: Any) -> Samples:
        """Return the samples as arrays of a module; no copy if they are."""
        angles = tuple(xp.asarray(angle) for angle in self.angles)
        return Samples(angles, xp.asarray(self.where), xp.asarray(self.factor))


@contextmanager
def computing_on(device: Device | str) -> Iterator[Any]:
    """Let this thread's new arrays lie on a device; yield its array module.

    Raises
    ------
    DeviceError
        If there is no such device.
    ResourceError
        If the memory of a GPU runs out meanwhile.
    """
    device = choose_device(device) if isinstance(device, str) else device
    if not device.is_gpu:
        yield np
        return
    import cupy

    from csiq.cuda.memory import is_out_of_memory

    with cupy.cuda.Device(device.index):
        try:
            yield cupy
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            hint = "--device cpu, or fewer coils"
            raise ResourceError(f"the memory of {device} ran out", field="--device", hint=hint) from error
        finally:
            cupy.get_default_memory_pool().free_all_blocks()


def add_layer(
    kspace: Array, layer: Layer, image: np.ndarray, samples: Samples, *, eps: float, threads: int
) -> None:
    """Add what coils receive of a layer to their k-space.

    Parameters
    ----------
    kspace : complex64 array, (n_coils, n_readouts, n_samples)
        Changed in place; where it lies, it is computed.
    layer : Layer
    image : float32 array, ``layer.grid.shape``
    samples : Samples
        On the CPU.
    eps : float
        Relative accuracy of the transform.
    threads : int
        Of a CPU; the result does not depend on it.
    """
    if samples.where.size == 0 or not image.any():
        return
    xp, n_coils = xp_of(kspace), len(kspace)
    there, painted = samples.held_by(xp), xp.asarray(image)
    shape = layer.grid.shape[1:] if layer.flat else layer.grid.shape

    def transform(coils: range) -> None:
        """Add the layer's signal to the k-space of these coils."""
        execute = transform_of(shape, there.angles, eps)
        for coil in coils:
            seen = layer.maps.times(coil, painted)
            values = execute(seen.mean(axis=0) if layer.flat else seen)
            _add(kspace[coil].reshape(-1), there, values)

    workers = min(threads, n_coils) if xp is np else 1
    if workers == 1:  # a GPU is the current one of this thread alone
        transform(range(n_coils))
        return
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(transform, [range(first, n_coils, workers) for first in range(workers)]))


def transform_of(shape: tuple[int, ...], angles: tuple[Array, ...], eps: float) -> Callable[[Array], Array]:
    """Return what takes an image to ``sum_r image(r) exp(-i angles.r)``, r from voxel ``n // 2``.

    Parameters
    ----------
    shape : tuple of int
        Voxels of two or three axes.
    angles : tuple of float32 arrays, (n_points,)
        Radians a voxel of each axis, at most pi; the transform works where they lie.
    eps : float

    Returns
    -------
    callable
        Takes a complex64 array (shape), returns one (n_points,).
    """
    if xp_of(angles[0]) is np:
        return _on_cpu(shape, angles, eps)
    return _on_gpu(shape, angles, eps)


def _on_cpu(shape: tuple[int, ...], angles: tuple[Array, ...], eps: float) -> Callable[[Array], Array]:
    import finufft

    plan = finufft.Plan(2, shape, eps=eps, isign=-1, dtype="complex64", nthreads=1, upsampfac=_UPSAMPLING)
    plan.setpts(*angles)

    def execute(image: Array) -> Array:
        return plan.execute(image)

    return execute


def _on_gpu(shape: tuple[int, ...], angles: tuple[Array, ...], eps: float) -> Callable[[Array], Array]:
    xp = xp_of(angles[0])
    coord = xp.zeros((angles[0].size, 3), np.float32)
    for axis, angle in enumerate(angles, start=3 - len(shape)):
        coord[:, axis] = angle * np.float32(shape[axis - 3 + len(shape)] / (2 * np.pi))
    n_z, n_y, n_x = (1, *shape)[-3:]
    nufft, scale = Nufft(coord, (n_z, n_y, n_x), eps=eps), np.float32(math.sqrt(math.prod(shape)))

    def execute(image: Array) -> Array:
        return nufft.forward(image.reshape(n_z, n_y, n_x)) * scale

    return execute


def _add(flat: Array, samples: Samples, values: Array) -> None:
    if xp_of(flat) is np:
        add_samples(flat, samples.where, samples.factor, values)
    else:
        flat[samples.where] += samples.factor * values
