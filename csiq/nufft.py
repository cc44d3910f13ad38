"""Non-uniform Fourier transforms of one image or k-space at a time, on the device the arrays are on.

Forward: ``F(k) = sum_r m(r) exp(-2 pi i k.r / n) / sqrt(prod n)`` with r counted from voxel ``n // 2`` and k
in cycles per field of view: SigPy's convention. Axes of length 1 are left out, so a slice costs what a
slice costs. On a CPU finufft does the work (single-threaded plans: the sums are then the same to the
bit however many workers there are); on a GPU cufinufft where it is installed, else SigPy's kernels.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from csiq.arrays import Array, xp_of
from csiq.errors import ShapeError
from csiq.gridding import GriddingAdjoint

#: Relative accuracy asked of the transform. With upsampling 2, float32 rounding dominates below 1e-6;
#: the automatic choice of upsampling 1.25 errs by 2.7e-3 in 3D (docs/conventions.md).
EPS = 1e-6
_UPSAMPLING = 2.0


class Nufft:
    """The transform between one image and one set of positions, planned once.

    Parameters
    ----------
    coord : float32 array, (..., 3)
        Positions, z y x, in cycles per field of view.
    shape : (int, int, int)
        Voxels, z y x.
    eps : float
        Relative accuracy.

    Raises
    ------
    ShapeError
        If ``coord`` or ``shape`` is not three-dimensional.
    """

    def __init__(self, coord: Array, shape: tuple[int, int, int], *, eps: float = EPS) -> None:
        if coord.shape[-1] != 3 or len(shape) != 3:
            raise ShapeError(f"expected coord (..., 3) and shape z y x, got {coord.shape} and {shape}")
        self.shape = tuple(shape)
        self.points = coord.shape[:-1]
        self._axes = [axis for axis in range(3) if shape[axis] > 1]
        self._modes = tuple(shape[axis] for axis in self._axes)
        self._scale = 1 / math.sqrt(math.prod(shape))
        self._eps = eps
        flat = coord.reshape(-1, 3)
        self._gpu = xp_of(coord) is not np
        cufinufft = _cufinufft() if self._gpu else None
        self._sigpy_coord = flat[:, self._axes] if self._gpu and cufinufft is None else None
        self._library: Any = cufinufft if self._gpu else _finufft()
        xp = xp_of(coord)
        self._angles = [
            xp.ascontiguousarray(
                (flat[:, axis].astype(np.float64) * (2 * np.pi / shape[axis])).astype(np.float32)
            )
            for axis in self._axes
        ]
        self._plans: dict[int, Any] = {}
        self._adjoint: GriddingAdjoint | None = None

    def forward(self, image: Array) -> Array:
        """Return the samples of an image.

        Parameters
        ----------
        image : complex64 array, (z, y, x)

        Returns
        -------
        complex64 array, coord.shape[:-1]
        """
        if image.shape != self.shape:
            raise ShapeError(f"expected an image {self.shape}, got {image.shape}")
        image = xp_of(image).ascontiguousarray(image.reshape(self._modes))
        if self._sigpy_coord is not None:
            import sigpy

            return sigpy.nufft(image, self._sigpy_coord, oversamp=2.0, width=6).reshape(self.points)
        samples = self._plan(2).execute(image)
        samples *= self._scale
        return samples.reshape(self.points)

    def adjoint(self, samples: Array) -> Array:
        """Return the adjoint of :meth:`forward`, applied to samples.

        Parameters
        ----------
        samples : complex64 array, coord.shape[:-1]

        Returns
        -------
        complex64 array, (z, y, x)
        """
        if samples.shape != self.points:
            raise ShapeError(f"expected samples {self.points}, got {samples.shape}")
        if self._sigpy_coord is not None:
            import sigpy

            flat = samples.reshape(-1)
            image = sigpy.nufft_adjoint(flat, self._sigpy_coord, oshape=self._modes, oversamp=2.0, width=6)
            return image.reshape(self.shape)
        flat = xp_of(samples).ascontiguousarray(samples.reshape(-1))
        image = self._plan(1).execute(flat) if self._gpu else self._gridding()(flat)
        image *= self._scale
        return image.reshape(self.shape)

    def _gridding(self) -> GriddingAdjoint:
        if self._adjoint is None:
            self._adjoint = GriddingAdjoint(self._angles, self._modes, eps=self._eps)
        return self._adjoint

    def _plan(self, kind: int) -> Any:
        if kind not in self._plans:
            sign = 1 if kind == 1 else -1
            options: dict[str, Any] = {"eps": self._eps, "isign": sign, "dtype": "complex64", "n_trans": 1}
            options["upsampfac"] = _UPSAMPLING
            if self._gpu:
                # cufinufft allocates beside CuPy's pool, which may hold everything
                xp = xp_of(self._angles[0])
                xp.get_default_memory_pool().free_all_blocks()
                options["gpu_device_id"] = self._angles[0].device.id  # else it takes the first
            else:
                options["nthreads"] = 1
            plan = self._library.Plan(kind, self._modes, **options)
            plan.setpts(*self._angles)
            self._plans[kind] = plan
        return self._plans[kind]


def _finufft() -> Any:
    import finufft

    return finufft


def _cufinufft() -> Any | None:
    try:
        import cufinufft
    except ImportError:
        return None
    return cufinufft


def doubled_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the doubled grid; axes of length 1 stay."""
    return tuple(2 * n if n > 1 else 1 for n in shape)


def toeplitz_kernel(coord: Array, weights: Array, shape: tuple[int, int, int]) -> Array:
    """Return the transfer function of the normal operator F^H diag(weights) F on the doubled grid.

    The point spread function is evaluated block by block with transforms of the image's own size, on the
    half space that Hermitian symmetry leaves over; no grid of twice the doubled size is ever made.

    Parameters
    ----------
    coord : float32 array, (..., 3)
        Positions, z y x, in cycles per field of view.
    weights : float32 array, coord.shape[:-1]
        Real, not negative.
    shape : (int, int, int)

    Returns
    -------
    float32 array, (2z, 2y, 2x)
        Axes of length 1 stay. The origin is at index 0 (no fftshift), and ``A^H W A m`` is
        ``crop(ifft(kernel * fft(pad(m))))`` with unnormalised ``fft`` and ``ifft`` with 1/size.

    References
    ----------
    Fessler JA, et al. Toeplitz-based iterative image reconstruction for MRI with correction for magnetic
    field inhomogeneity. IEEE Trans Signal Process 2005;53:3393-3402.
    """
    xp = xp_of(coord)
    nufft = Nufft(coord, shape)
    doubled = doubled_shape(shape)
    half = xp.zeros((*doubled[:2], shape[2] + 1), dtype=np.complex64)
    flat = coord.reshape(-1, 3).astype(np.float64)
    scale = 1 / math.sqrt(math.prod(shape))
    for block in _blocks(shape):
        angle = xp.zeros(flat.shape[0])
        for axis, start in enumerate(block):
            angle += flat[:, axis] * (2 * np.pi / shape[axis] * (start + shape[axis] // 2))
        ramp = xp.exp(1j * angle).astype(np.complex64) * weights.reshape(-1)
        psf = nufft.adjoint(ramp.reshape(coord.shape[:-1])) * scale
        _place(half, psf, block, shape)
    del nufft, psf  # its grid is as large as what the last transform needs
    # conj: the kernel is real, so its forward transform equals the inverse one of the conjugate
    xp.conj(half, out=half)
    axes = tuple(range(3)) if shape[0] > 1 else (1, 2)
    return _real_fft(half, doubled, axes, xp).astype(np.float32, copy=False)


def _blocks(shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """Return the first lags (z, y, x) of the blocks that cover the half space of lags with x >= 0."""
    starts = [(0, -n) if n > 1 else (0,) for n in shape[:2]]
    return [(z, y, 0) for z in starts[0] for y in starts[1]]


def _place(half: Array, psf: Array, block: tuple[int, ...], shape: tuple[int, int, int]) -> None:
    """Write a block of lags where a circular convolution wants it; lag -n is left zero."""
    target, source = [], []
    for start, n in zip(block[:2], shape[:2], strict=True):
        target.append(slice(0, n) if start == 0 else slice(n + 1, 2 * n))
        source.append(slice(None) if start == 0 else slice(1, n))
    half[target[0], target[1], : shape[2]] = psf[source[0], source[1]]


def _real_fft(half: Array, doubled: tuple[int, ...], axes: tuple[int, ...], xp: Any) -> Array:
    sizes = [doubled[axis] for axis in axes]
    if xp is np:
        import torch

        return torch.fft.irfftn(torch.from_numpy(half), s=sizes, dim=axes, norm="forward").numpy()
    return xp.fft.irfftn(half, s=sizes, axes=axes, norm="forward")
