"""The memory of a reconstruction on a CPU, stage by stage, from the shapes alone.

With V the bytes of a complex volume, D those of a complex doubled grid (8 V in 3D), M the samples of all
spokes, P phases and C virtual coils: a kernel takes D/2, coil maps C V, k-space 8 C M. Each function below
returns what lives at the peak of its stage, by name; what the process itself takes comes on top.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from csiq.coils import CALIBRATION_BAND
from csiq.nufft import doubled_shape

_COMPLEX, _REAL = 8, 4
_POSITION = 3 * _REAL
#: Bytes a sample while positions are turned into angles, sorted and given a ramp: float32 and float64 copies.
_RAMP = 60
#: Coefficients, products and one temporary of a penalty's operator, in volumes, for each thread.
_PENALTY_VOLUMES = 3
#: The network's activations in one thread (three slices, 16 channels, a dozen buffers), and the threads that
#: its 18 slices go to at most; the first thread counts as the process's own.
_GRADING, _GRADING_THREADS = 100 << 20, 6


@dataclass(frozen=True)
class Sizes:
    """What memory depends on.

    Attributes
    ----------
    shape : (int, int, int)
        Voxels, z y x.
    n_phases, n_coils : int
        Phases; virtual coils.
    n_receive : int
        Coils in the file.
    n_samples : int
        Samples of all spokes together, of one coil.
    threads : int
        Coil images in flight at once.
    whitens : bool
        Whether there are noise readouts to whiten with.
    solver_sets, difference_sets, search_sets : float
        Of the solver: sets of volumes at its peak, sets of differences along the phases, and sets alive while
        further penalties are searched (0: it does not search).
    components : tuple of int
        Of each further penalty: sets of volumes that its coefficients take.
    """

    shape: tuple[int, int, int]
    n_phases: int
    n_coils: int
    n_receive: int
    n_samples: int
    threads: int
    whitens: bool = True
    solver_sets: float = 10
    difference_sets: float = 1
    search_sets: float = 8
    components: tuple[int, ...] = ()

    @property
    def volume(self) -> int:
        """Bytes of a complex volume."""
        return _COMPLEX * math.prod(self.shape)

    @property
    def doubled(self) -> int:
        """Bytes of a complex doubled grid."""
        return _COMPLEX * math.prod(doubled_shape(self.shape))

    @property
    def volumes(self) -> int:
        """Bytes of the volumes of all phases: a set."""
        return self.n_phases * self.volume

    @property
    def maps(self) -> int:
        """Bytes of the coil maps."""
        return self.n_coils * self.volume

    @property
    def kspace(self) -> int:
        """Bytes of the virtual coils' samples."""
        return _COMPLEX * self.n_coils * self.n_samples

    @property
    def raw(self) -> int:
        """Bytes of the samples as read."""
        return _COMPLEX * self.n_receive * self.n_samples


def stages(sizes: Sizes) -> dict[str, dict[str, int]]:
    """Return the peak of each stage: names of what lives then, and their bytes."""
    terms = {
        "compression": _compression(sizes),
        "coil maps": _coil_maps(sizes),
        "gridding": _gridding(sizes),
        "kernels": _kernels(sizes),
        "iteration": _iteration(sizes),
    }
    return {stage: {name: int(n) for name, n in parts.items() if n} for stage, parts in terms.items()}


def _compression(sizes: Sizes) -> dict[str, float]:
    return {
        "samples of all coils": sizes.raw,
        "whitened samples": sizes.raw if sizes.whitens else 0,
        "positions": _POSITION * sizes.n_samples,
        "virtual coils": sizes.kspace,
    }


def _coil_maps(sizes: Sizes) -> dict[str, float]:
    """Either the covariance of the coarse image, or the maps of each coil before they become one array."""
    coarse = math.prod(4 * min(CALIBRATION_BAND, n / 2) if n > 1 else 1 for n in sizes.shape)
    # covariance, its eigenvectors, and LAPACK's copy
    covariance = 3 * _COMPLEX * coarse * sizes.n_coils**2
    return {
        "positions": _POSITION * sizes.n_samples,
        "virtual coils": sizes.kspace,
        "coil maps twice": max(2 * sizes.maps, covariance),
    }


def _at_setup(sizes: Sizes) -> dict[str, float]:
    return {
        "virtual coils": sizes.kspace,
        "coil maps": sizes.maps,
        "k-space by phases": sizes.kspace,
        "weighted k-space": sizes.kspace,
        "positions twice": 2 * _POSITION * sizes.n_samples,
        "density": 2 * _REAL * sizes.n_samples,
        "gridded volumes": sizes.volumes,
    }


def _gridding(sizes: Sizes) -> dict[str, float]:
    in_flight = min(sizes.threads, sizes.n_phases)
    # the fine grid, cropped along x and y; the image and its product with a map
    one = 1.25 * sizes.doubled + 2 * sizes.volume + _RAMP * sizes.n_samples / sizes.n_phases
    return {**_at_setup(sizes), "grids": in_flight * one}


def _kernels(sizes: Sizes) -> dict[str, float]:
    in_flight = min(sizes.threads, sizes.n_phases)
    # the fine grid, cropped along x and y, the half spectrum, a block of lags
    one = 1.875 * sizes.doubled + _RAMP * sizes.n_samples / sizes.n_phases
    return {
        **_at_setup(sizes),
        "finished kernels": (sizes.n_phases - in_flight) * sizes.doubled / 2,
        "kernels in the making": in_flight * one,
    }


def _iteration(sizes: Sizes) -> dict[str, float]:
    volumes, coefficients = sizes.volumes, sum(sizes.components)
    differences = sizes.difference_sets * (sizes.n_phases - 1) / sizes.n_phases
    groups = min(sizes.n_coils, math.ceil(sizes.threads / sizes.n_phases))
    return {
        "coil maps": sizes.maps,
        "kernels": sizes.n_phases * sizes.doubled / 2,
        "right-hand side": volumes,
        "solver": (_solver_sets(sizes) + differences) * volumes,
        "penalties' duals": coefficients * volumes if sizes.search_sets else 0,
        "volumes to return": volumes,
        "checkpoint on its way": (1 + (sizes.n_phases - 1) / sizes.n_phases + coefficients) * volumes,
        # the spectrum (2z, y, x) and the sum of a thread's coils
        "convolutions": sizes.threads * 3 * sizes.volume,
        "sums of coil groups": (groups - 1) * volumes,
        "grading in more threads": (min(sizes.threads, _GRADING_THREADS) - 1) * _GRADING,
    }


def _solver_sets(sizes: Sizes) -> float:
    """Return the larger of two peaks: at the end of an update, and in the search for the penalties' duals."""
    if not sizes.components:
        return sizes.solver_sets
    buffers = sizes.threads * _PENALTY_VOLUMES / sizes.n_phases
    if not sizes.search_sets:
        # three numbers a group, along the line that is searched
        return sizes.solver_sets + 1.5 * len(sizes.components) + buffers
    return max(sizes.solver_sets, sizes.search_sets + sum(sizes.components) + buffers)
