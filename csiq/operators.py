"""The operators of the reconstruction, as SigPy Linops, so that any SigPy App can use them.

========================  ===================================================================
:class:`ForwardModel`     volumes (n_phases, z, y, x) -> k-space (n_coils, n_spokes, n_samples)
:class:`Gridding`         its adjoint
:class:`PhaseDifference`  x_(p+1) - x_p along the phases, n_phases - 1 rows (Neumann)
========================  ===================================================================

A^H W A is :class:`csiq.toeplitz.ToeplitzNormal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import sigpy

from csiq.arrays import Array, default_threads, run_tasks, xp_of
from csiq.cuda.memory import GpuPlan
from csiq.errors import RawDataError, ShapeError
from csiq.nufft import Nufft, toeplitz_kernel
from csiq.toeplitz import ToeplitzNormal


class ForwardModel(sigpy.linop.Linop):
    """Volumes of all phases to multi-coil k-space: A in ||sqrt(w) (A x - y)||^2.

    The spokes of phase 0 come first, then those of phase 1, and so on: take k-space as
    ``kspace[:, numpy.concatenate(bins.indices)]``.

    Parameters
    ----------
    coords : sequence of float32 arrays, (n_spokes_of_phase, n_samples, 3)
        z y x in cycles per field of view, one array a phase.
    smaps : complex64 array, (n_coils, z, y, x)
    threads : int, optional
        On a CPU; all cores by default.
    coil_batch : int, optional
        Coil images in flight at once, at most: one a thread by default. Fewer take less memory. For a CPU.
    plan : GpuPlan, optional
        The layout on a GPU; see :class:`csiq.toeplitz.ToeplitzNormal`.

    Raises
    ------
    ShapeError
        If the maps are not four-dimensional, or the phases differ in samples per spoke.
    RawDataError
        If a map is not finite, or all of them are zero.
    """

    def __init__(
        self,
        coords: Sequence[Array],
        smaps: Array,
        *,
        threads: int | None = None,
        coil_batch: int | None = None,
        plan: GpuPlan | None = None,
    ) -> None:
        if smaps.ndim != 4:
            raise ShapeError(f"expected maps (n_coils, z, y, x), got shape {smaps.shape}", field="smaps")
        if len({c.shape[1] for c in coords}) != 1:
            raise ShapeError("phases differ in samples per spoke", field="coords")
        _check_maps(smaps)
        self.smaps = smaps
        self.coords = list(coords)
        self.plan = plan
        self.threads = min(threads or default_threads(), coil_batch or smaps.shape[0] * len(coords))
        shape = tuple(smaps.shape[1:])
        ends = np.cumsum([c.shape[0] for c in coords])
        self.spokes = [slice(int(e) - c.shape[0], int(e)) for e, c in zip(ends, coords, strict=True)]
        super().__init__((smaps.shape[0], int(ends[-1]), coords[0].shape[1]), (len(coords), *shape))

    def nufft(self, phase: int) -> Nufft:
        """Return the transform of a phase; not kept, for its grids are larger than the volumes."""
        return Nufft(self.coords[phase], tuple(self.ishape[1:]))

    def _apply(self, volumes: Array) -> Array:
        xp = xp_of(volumes)
        kspace = xp.empty(self.oshape, dtype=np.complex64)

        def phase_task(phase: int) -> None:
            """Write the k-space of one phase's spokes, coil by coil."""
            nufft = self.nufft(phase)
            for coil, smap in enumerate(self.smaps):
                kspace[coil, self.spokes[phase]] = nufft.forward(xp.asarray(smap) * volumes[phase])

        run_tasks([partial(phase_task, p) for p in range(self.ishape[0])], self.threads, xp)
        return kspace

    def _adjoint_linop(self) -> sigpy.linop.Linop:
        return Gridding(self)

    def normal_operator(self, weights: Array | None = None) -> ToeplitzNormal:
        """Return A^H W A by the Toeplitz embedding.

        Parameters
        ----------
        weights : float32 array, (n_spokes, n_samples), optional
            In the order of the model's spokes; one by default.
        """
        _, *shape = self.ishape

        def kernel(phase: int) -> Array:
            """Return one phase's kernel, on twice the grid; weights are 1 where none were given."""
            coord = self.coords[phase]
            if weights is None:
                return toeplitz_kernel(coord, xp_of(coord).ones(coord.shape[:2], np.float32), tuple(shape))
            return toeplitz_kernel(coord, xp_of(coord).asarray(weights[self.spokes[phase]]), tuple(shape))

        kernels = [partial(kernel, phase) for phase in range(len(self.coords))]
        return ToeplitzNormal(kernels, self.smaps, threads=self.threads, plan=self.plan)


def _check_maps(smaps: Array) -> None:
    xp, any_signal = xp_of(smaps), False
    for coil, smap in enumerate(smaps):  # coil by coil: the answers are as large as a map
        if not bool(xp.isfinite(smap).all()):
            raise RawDataError(f"sensitivity map of coil {coil} is not finite", field="smaps")
        any_signal = any_signal or bool(smap.any())
    if not any_signal:
        raise RawDataError(f"sensitivity maps of shape {smaps.shape} are all zero", field="smaps")


class Gridding(sigpy.linop.Linop):
    """The adjoint of a :class:`ForwardModel`: gridding, combined with the conjugate maps."""

    def __init__(self, model: ForwardModel) -> None:
        self.model = model
        super().__init__(model.ishape, model.oshape)

    def _apply(self, kspace: Array) -> Array:
        model, xp = self.model, xp_of(self.model.coords[0])
        volumes = xp.zeros(self.oshape, dtype=np.complex64)

        def phase_task(phase: int) -> None:
            """Add up one phase's gridded image over the coils."""
            nufft = model.nufft(phase)
            for coil, smap in enumerate(model.smaps):
                # k-space and maps may wait on the host
                samples = xp.ascontiguousarray(xp.asarray(kspace[coil, model.spokes[phase]]))
                volumes[phase] += xp.conj(xp.asarray(smap)) * nufft.adjoint(samples)

        run_tasks([partial(phase_task, p) for p in range(self.oshape[0])], model.threads, xp)
        return volumes

    def _adjoint_linop(self) -> sigpy.linop.Linop:
        return self.model


class PhaseDifference(sigpy.linop.Linop):
    """Difference along the phases, x_(p+1) - x_p, with n_phases - 1 rows.

    End-inspiration is not tied to end-expiration, unlike SigPy's circular ``FiniteDifference``.

    Parameters
    ----------
    ishape : tuple of int
        (n_phases, z, y, x)
    """

    def __init__(self, ishape: Sequence[int]) -> None:
        super().__init__((ishape[0] - 1, *ishape[1:]), tuple(ishape))

    def _apply(self, volumes: Array) -> Array:
        return volumes[1:] - volumes[:-1]

    def _adjoint_linop(self) -> sigpy.linop.Linop:
        return _PhaseDifferenceAdjoint(self)


class _PhaseDifferenceAdjoint(sigpy.linop.Linop):
    def __init__(self, difference: PhaseDifference) -> None:
        self.difference = difference
        super().__init__(difference.ishape, difference.oshape)

    def _apply(self, steps: Array) -> Array:
        volumes = xp_of(steps).zeros(self.oshape, dtype=steps.dtype)
        volumes[1:] += steps
        volumes[:-1] -= steps
        return volumes

    def _adjoint_linop(self) -> sigpy.linop.Linop:
        return self.difference
