"""The reconstruction problems that benchmarks share: simulated scans, none of them an inverse crime.

A breathing patient is painted on grids finer than the reconstruction's, at 12 to 24 displacements (several a
phase, so that it moves within them), with the body outside the field of view, coils and correlated noise.
What the program would do with such a scan is done here with its own stages: whitening and compression,
maps estimated from the scan, phases found by gating, analytic density compensation.

=====================  =======================================================================
:func:`radial_2d`      208^2, 4 phases, 8 coils, 24 spokes a phase at golden angles
:func:`honest_3d`      n^3, 4 phases, 8 coils, the paper's sampling: 20 % of (pi/2) n^2 diameters
:func:`speed_3d`       the same with 15 000 spokes at 96^3: more than Nyquist, an easy problem
=====================  =======================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from csiq.acquisition import Acquisition
from csiq.coils import estimate_smaps
from csiq.config import Config, load_config
from csiq.gating import Bins
from csiq.operators import ForwardModel
from csiq.pipeline import gate, phase_dcf, prepare_coils
from csiq.simulate import ScanConfig, simulate_scan
from csiq.simulate.scan import N_TRUE_PHASES
from csiq.solvers import Problem, build_problem
from csiq.trajectory import GOLDEN_ANGLE_2D

#: mm at the edge of the field of view that the simulator paints coarsely; no error is measured there.
_RIM_MM = 10.0


@dataclass(frozen=True)
class Benchmark:
    """One reconstruction problem as arrays that any program can take.

    Attributes
    ----------
    name : str
    coords : tuple of float32 arrays, (n_spokes_of_phase, n_samples, 3)
        z y x in cycles per field of view (-n/2 .. n/2), one array a phase.
    kspace : complex64 array, (n_coils, n_spokes, n_samples)
        Whitened; the spokes of phase 0 first, then those of phase 1, and so on.
    smaps : complex64 array, (n_coils, z, y, x)
        Estimated from the scan; unit root-sum-of-squares.
    dcf : float32 array, (n_spokes, n_samples)
        Density compensation w, mean 1 in each phase; the data term is ||sqrt(w) (A x - y)||^2.
    truth : float32 array, (n_phases, z, y, x), optional
        Magnitude at the mean displacement of each of four phases, arbitrary scale; None for other numbers.
    rim : int
        Voxels at the in-plane edges (all edges in 3D) that errors leave out.
    lamda : float
        Of the total variation along the phases, relative to max |A^H W y|.
    """

    name: str
    coords: tuple[np.ndarray, ...]
    kspace: np.ndarray
    smaps: np.ndarray
    dcf: np.ndarray
    truth: np.ndarray | None
    rim: int
    lamda: float = 0.02

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels z y x; z is 1 for a slice."""
        z, y, x = self.smaps.shape[1:]
        return z, y, x

    @property
    def n_phases(self) -> int:
        """Breathing phases."""
        return len(self.coords)

    @property
    def spokes(self) -> tuple[slice, ...]:
        """Where each phase lies on the spoke axis of ``kspace`` and ``dcf``."""
        ends = np.cumsum([len(coord) for coord in self.coords])
        return tuple(slice(int(e) - len(c), int(e)) for e, c in zip(ends, self.coords, strict=True))

    def model(self, threads: int | None = None) -> ForwardModel:
        """Return A of all phases."""
        return ForwardModel(self.coords, self.smaps, threads=threads)

    def problem(self, threads: int | None = None, *, dcf_in_cost: bool = True) -> Problem:
        """Return what our solvers minimise: kernels, right-hand side, weight of the penalty."""
        model = self.model(threads)
        return build_problem(model, self.kspace, self.dcf, self.lamda, dcf_in_cost=dcf_in_cost)

    def nrmse(self, volumes: np.ndarray) -> float:
        """Return the error of magnitudes inside the rim against the truth, each phase's scale fitted.

        Parameters
        ----------
        volumes : complex64 array, (n_phases, z, y, x)

        Returns
        -------
        float
            Mean over the phases; not a number where there is no truth.
        """
        if self.truth is None:
            return float("nan")
        inside = tuple(slice(self.rim, -self.rim) if n > 1 else slice(None) for n in self.shape)
        errors = []
        for volume, truth in zip(volumes, self.truth, strict=True):
            magnitude, true = np.abs(volume[inside]).astype(np.float64), truth[inside].astype(np.float64)
            magnitude *= np.sum(magnitude * true) / np.sum(magnitude**2)
            # no BLAS: its threads would go on spinning into the next iteration that is timed
            errors.append(np.sqrt(np.sum((magnitude - true) ** 2) / np.sum(true**2)))
        return float(np.mean(errors))


def honest_3d(
    n: int = 96, *, n_coils: int = 8, n_phases: int = 4, n_spokes: int | None = None, seed: int = 0
) -> Benchmark:
    """Return a self-gated phyllotaxis scan of n^3 at the paper's sampling ratio.

    Parameters
    ----------
    n : int
    n_coils, n_phases : int
    n_spokes : int, optional
        Of all phases; 0.2 (pi/2) n^2 if not given.
    seed : int
        Patient, breathing, coils and noise follow from it.
    """
    config = load_config(overrides={"coils": n_coils, "phases": n_phases})
    scan, truth = simulate_scan(ScanConfig(seed=seed, matrix=n, n_coils=n_coils, n_spokes=n_spokes))
    scan = prepare_coils(scan, config)
    _, bins = gate(scan, config)
    name = f"{n}^3, {n_phases} phases, {n_coils} coils, {scan.n_spokes} spokes"
    return _benchmark(name, scan, bins.indices, truth.volumes, config)


def speed_3d(n: int = 96, n_spokes: int = 15000, *, n_coils: int = 8, n_phases: int = 4) -> Benchmark:
    """Return :func:`honest_3d` with as many spokes as the paper has at 208^3, for rows about speed."""
    return honest_3d(n, n_coils=n_coils, n_phases=n_phases, n_spokes=n_spokes)


def radial_2d(n: int = 208, *, n_coils: int = 8, spokes_per_phase: int = 24, seed: int = 0) -> Benchmark:
    """Return a slice at golden angles: four phases, each of spokes picked from a long scan of free breathing.

    Spoke i of phase p is the one of that phase whose angle is nearest to the golden angle of spoke 4 i + p
    (within a fraction of a degree): golden angles over all phases, and the motion of each phase within it.
    """
    config = load_config(overrides={"coils": n_coils})
    scan, truth = simulate_scan(ScanConfig(seed=seed, matrix=n, n_coils=n_coils, trajectory="golden2d"))
    scan = prepare_coils(scan, config)
    _, bins = gate(scan, config)
    angles = np.arange(scan.n_spokes) * GOLDEN_ANGLE_2D
    picked = []
    for phase, indices in enumerate(bins.indices):
        wanted = (4 * np.arange(spokes_per_phase) + phase) * GOLDEN_ANGLE_2D
        # angles of diameters: turn by 180 degrees and it is the same line
        apart = np.abs(np.exp(2j * angles[indices][None]) - np.exp(2j * wanted[:, None]))
        picked.append(indices[np.argmin(apart, axis=1)])
    name = f"{n}^2, 4 phases, {n_coils} coils, {spokes_per_phase} spokes a phase"
    return _benchmark(name, scan, picked, truth.volumes, config)


def _benchmark(
    name: str, scan: Acquisition, indices: Sequence[np.ndarray], truth: np.ndarray | None, config: Config
) -> Benchmark:
    order, counts = np.concatenate(indices), [len(i) for i in indices]
    scan = replace(
        scan,
        kspace=np.ascontiguousarray(scan.kspace[:, order]),
        coord=scan.coord[order],
        times=scan.times[order],
        heartbeat=scan.heartbeat[order],
    )
    parts = np.split(np.arange(len(order)), np.cumsum(counts)[:-1])
    bins = Bins(tuple(parts), np.empty(0), np.repeat(np.arange(len(counts)) + 1, counts))
    return Benchmark(
        name=name,
        coords=tuple(scan.coord[part] for part in parts),
        kspace=scan.kspace,
        smaps=estimate_smaps(scan),
        dcf=phase_dcf(scan, bins, config.penalty.dcf),
        truth=truth if len(counts) == N_TRUE_PHASES else None,
        rim=round(_RIM_MM / scan.geometry.voxel_size[-1]),
    )
