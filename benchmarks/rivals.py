"""A^H W A of one phase with other programs: what :mod:`normal_operator` times against the Toeplitz operator.

Each function takes :class:`Operands` and returns a callable without arguments that computes the volume, plans
and kernels made beforehand. :data:`RIVALS` names them; where a package is missing, :func:`available` says so.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from csiq.arrays import to_host, to_torch, xp_of

Array = Any
Normal = Callable[[], Array]


@dataclass(frozen=True)
class Operands:
    """What an operator is made of and applied to, on the device that is timed.

    Attributes
    ----------
    volume : complex64 array, (z, y, x)
    smaps : complex64 array, (n_coils, z, y, x)
    coord : float32 array, (n_spokes, n_samples, 3)
        z y x, cycles per field of view.
    dcf : float32 array, (n_spokes, n_samples)
    threads : int
    """

    volume: Array
    smaps: Array
    coord: Array
    dcf: Array
    threads: int

    @property
    def axes(self) -> list[int]:
        """The axes longer than one voxel: two for a slice."""
        return [axis for axis in range(3) if self.volume.shape[axis] > 1]

    @property
    def modes(self) -> tuple[int, ...]:
        """Voxels along :attr:`axes`."""
        return tuple(self.volume.shape[axis] for axis in self.axes)

    @property
    def angles(self) -> Array:
        """Positions in radians, float32 (n_points, n_axes)."""
        flat = self.coord.reshape(-1, 3)[:, self.axes]
        return (2 * np.pi * flat / xp_of(flat).asarray(self.modes)).astype(np.float32)

    @property
    def on_gpu(self) -> bool:
        """Whether the arrays are CuPy's."""
        return xp_of(self.volume) is not np


def sigpy_pair(given: Operands) -> Normal:
    """SigPy's NUFFT pair at its defaults, all coils in one call as its Sense does."""
    import sigpy

    coord, shape = given.coord[..., given.axes], (len(given.smaps), *given.modes)
    smaps, volume = given.smaps.reshape(shape), given.volume.reshape(given.modes)

    def run() -> Array:
        samples = sigpy.nufft(smaps * volume, coord)
        samples *= given.dcf
        return (smaps.conj() * sigpy.nufft_adjoint(samples, coord, oshape=shape)).sum(axis=0)

    return run


def finufft_plans(given: Operands, eps: float, n_trans: int, **options: Any) -> tuple[Any, Any]:
    """Return plans of the forward transform and of the adjoint; cufinufft's on a GPU."""
    library = importlib.import_module("cufinufft" if given.on_gpu else "finufft")
    plans = []
    for kind, sign in ((2, -1), (1, 1)):
        plan = library.Plan(
            kind, given.modes, n_trans=n_trans, eps=eps, isign=sign, dtype="complex64", **options
        )
        plan.setpts(*xp_of(given.coord).ascontiguousarray(given.angles.T))
        plans.append(plan)
    return plans[0], plans[1]


def finufft_by_coil(eps: float) -> Callable[[Operands], Normal]:
    """One single-threaded plan a worker, one coil a worker at a time; upsampling 2."""

    def make(given: Operands) -> Normal:
        workers = min(given.threads, len(given.smaps))
        plans = [finufft_plans(given, eps, 1, nthreads=1, upsampfac=2.0) for _ in range(workers)]
        smaps, volume = given.smaps.reshape(-1, *given.modes), given.volume.reshape(given.modes)
        weights = given.dcf.ravel() * np.float32(1 / math.prod(given.modes))

        def share(worker: int) -> Array:
            forward, adjoint = plans[worker]
            out = np.zeros(given.modes, np.complex64)
            for smap in smaps[worker::workers]:
                samples = forward.execute(smap * volume)
                samples *= weights
                out += smap.conj() * adjoint.execute(samples)
            return out

        def run() -> Array:
            with ThreadPoolExecutor(workers) as pool:
                return sum(pool.map(share, range(workers)))

        return run

    return make


def finufft_batched(eps: float) -> Callable[[Operands], Normal]:
    """Plans of all coils with the library's own threads and its own choice of upsampling."""

    def make(given: Operands) -> Normal:
        options = {} if given.on_gpu else {"nthreads": given.threads}
        forward, adjoint = finufft_plans(given, eps, len(given.smaps), **options)
        smaps, volume = given.smaps.reshape(-1, *given.modes), given.volume.reshape(given.modes)
        weights = given.dcf.ravel() * np.float32(1 / math.prod(given.modes))

        def run() -> Array:
            samples = forward.execute(smaps * volume)
            samples *= weights
            return (smaps.conj() * adjoint.execute(samples)).sum(axis=0)

        return run

    return make


def mrinufft_pair(eps: float | None) -> Callable[[Operands], Normal]:
    """mri-nufft with maps and density compensation inside; ``eps`` None is its default."""

    def make(given: Operands) -> Normal:
        from mrinufft import get_operator

        backend = "cufinufft" if given.on_gpu else "finufft"
        options: dict[str, Any] = {} if given.on_gpu else {"nthreads": given.threads}
        if eps is not None:
            options["eps"] = eps
        operator = get_operator(backend)(
            to_host(given.angles) / np.float32(2 * np.pi),
            given.modes,
            n_coils=len(given.smaps),
            smaps=given.smaps.reshape(len(given.smaps), *given.modes),
            density=given.dcf.ravel(),
            squeeze_dims=True,
            **options,
        )
        volume = given.volume.reshape(given.modes)
        # it divides by sqrt(2^d n) in either direction, so that a pair lacks a factor of 2^d
        scale = np.float32(operator.norm_factor**2 / math.prod(given.modes))
        return lambda: scale * operator.adj_op(operator.op(volume))

    return make


def mrpro_operator(toeplitz: bool) -> Callable[[Operands], Normal]:
    """The NUFFT pair of mrpro (finufft underneath), or its own Toeplitz operator."""

    def make(given: Operands) -> Normal:
        import torch
        from mrpro.data import KTrajectory
        from mrpro.operators import NonUniformFastFourierOp

        torch.set_num_threads(given.threads)
        names = ["zyx"[axis] for axis in given.axes]
        zero = torch.zeros(1, 1, 1, 1, 1, device=to_torch(given.volume).device)
        k = {f"k{name}": zero for name in "zyx"}
        for axis, name in zip(given.axes, names, strict=True):
            column = given.coord[..., axis].reshape(1, 1, *_spread(given))
            k[f"k{name}"] = to_torch(xp_of(column).ascontiguousarray(column))
        operator = NonUniformFastFourierOp(names, given.modes, given.modes, KTrajectory(**k))
        smaps, volume = to_torch(given.smaps)[None], to_torch(given.volume)[None, None]
        weights = to_torch(given.dcf).reshape(1, 1, *_spread(given))
        gram = operator.toeplitz(weight=weights) if toeplitz else None

        def run() -> Array:
            images = smaps * volume
            (images,) = gram(images) if gram else operator.adjoint(weights * operator(images)[0])
            return xp_of(given.volume).asarray((smaps.conj() * images).sum(dim=1)[0])

        return run

    return make


def _spread(given: Operands) -> tuple[int, int, int]:
    """Return (k2, k1, k0): mrpro wants as many k-space axes of more than one sample as image axes."""
    spokes, samples = given.coord.shape[:2]
    outer = next(n for n in (5, 4, 3, 2, 1) if spokes % n == 0) if len(given.axes) == 3 else 1
    return outer, spokes // outer, samples


def torchkbnufft_operator(toeplitz: bool) -> Callable[[Operands], Normal]:
    """The interpolation pair of torchkbnufft at its defaults, or its own Toeplitz operator."""

    def make(given: Operands) -> Normal:
        import torch
        import torchkbnufft

        torch.set_num_threads(given.threads)
        angles = given.angles.T
        omega = to_torch(xp_of(angles).ascontiguousarray(angles))
        smaps = to_torch(given.smaps).reshape(1, len(given.smaps), *given.modes)
        volume = to_torch(given.volume).reshape(1, 1, *given.modes)
        weights, device = to_torch(given.dcf).reshape(1, -1), volume.device
        # its "ortho" divides by the root of the twofold grid's size, in either direction
        scale = 2.0 ** len(given.modes)
        if toeplitz:
            kernel = torchkbnufft.calc_toeplitz_kernel(omega, given.modes, weights=weights, norm="ortho")
            kernel *= scale
            convolve = torchkbnufft.ToepNufft().to(device)
            return lambda: xp_of(given.volume).asarray(
                convolve(volume, kernel, smaps=smaps, norm="ortho")[0, 0]
            )
        forward = torchkbnufft.KbNufft(given.modes).to(device)
        adjoint = torchkbnufft.KbNufftAdjoint(given.modes).to(device)

        def run() -> Array:
            samples = weights * forward(volume, omega, smaps=smaps, norm="ortho")
            out = scale * adjoint(samples, omega, smaps=smaps, norm="ortho")
            return xp_of(given.volume).asarray(out[0, 0])

        return run

    return make


@dataclass(frozen=True)
class Rival:
    """Another way to compute the operator.

    Attributes
    ----------
    make : callable
        :class:`Operands` -> callable that computes the volume.
    package : str
        What must be importable.
    pair : bool
        Whether it is a pair of NUFFTs (else a Toeplitz operator).
    gpu : bool
        Whether it takes CuPy arrays too.
    """

    make: Callable[[Operands], Normal]
    package: str
    pair: bool = True
    gpu: bool = True


RIVALS = {
    "SigPy pair, defaults": Rival(sigpy_pair, "sigpy"),
    "finufft pair, 1e-3, coils batched (for reference)": Rival(finufft_batched(1e-3), "finufft"),
    "finufft pair, 1e-5, coils batched": Rival(finufft_batched(1e-5), "finufft"),
    "finufft pair, 1e-5, a coil a thread": Rival(finufft_by_coil(1e-5), "finufft", gpu=False),
    "finufft pair, 1e-6, coils batched": Rival(finufft_batched(1e-6), "finufft"),
    "finufft pair, 1e-6, a coil a thread": Rival(finufft_by_coil(1e-6), "finufft", gpu=False),
    "mri-nufft pair, defaults": Rival(mrinufft_pair(None), "mrinufft"),
    "mri-nufft pair, 1e-5": Rival(mrinufft_pair(1e-5), "mrinufft"),
    "mrpro pair": Rival(mrpro_operator(False), "mrpro"),
    "mrpro Toeplitz": Rival(mrpro_operator(True), "mrpro", pair=False),
    "torchkbnufft pair": Rival(torchkbnufft_operator(False), "torchkbnufft"),
    "torchkbnufft Toeplitz": Rival(torchkbnufft_operator(True), "torchkbnufft", pair=False),
}


def available(on_gpu: bool) -> tuple[dict[str, Rival], list[str]]:
    """Return the rivals that can run here, and a sentence for each package that is missing."""
    fits = {name: rival for name, rival in RIVALS.items() if rival.gpu or not on_gpu}
    needed = {"finufft": "cufinufft"} if on_gpu else {}
    packages = {needed.get(rival.package, rival.package) for rival in fits.values()}
    missing = {package for package in packages if importlib.util.find_spec(package) is None}
    ready = {n: r for n, r in fits.items() if needed.get(r.package, r.package) not in missing}
    return ready, [f"{package} is not installed: its rows are left out." for package in sorted(missing)]
