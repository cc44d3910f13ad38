"""How well gradient delays are found, and what they and their correction do to the image.

    python benchmarks/delays.py [--only ellipsoids patients] [--sizes 0 0.3 1 2] [--snr inf 8 2 1]
                                [--repeats 5] [--matrix 48] [--matrix2d 96] [--iterations 8] [--phantom FILE]

First table: ellipsoids in closed form, four coils, 32 voxels, along trajectories that are displaced by a
symmetric tensor of the size asked for, its axes drawn; SNR is that of the root mean square of the strongest
coil's samples. Errors are of the six (in a plane three) entries, in samples. Second: simulated breathing
patients whose gradients are late by x 1, y -0.7, z 0.5 times the size, the image against the truth with no
correction, with the estimate and with the true delays. Third, with --phantom (HDF5: ksp, coord_nominal): the
measured phantom, delays and the entropy of its gridded image.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
import sigpy
from harness import report

from csiq.acquisition import Acquisition, Geometry
from csiq.arrays import use_threads
from csiq.config import load_config
from csiq.delays import Delays, correct_delays, estimate_delays
from csiq.delays.tensor import ENTRIES
from csiq.pipeline import reconstruct
from csiq.simulate import ScanConfig, simulate_scan
from csiq.simulate.imperfections import Imperfections
from csiq.simulate.protocol import READOUT
from csiq.trajectory import golden_angle_2d, golden_means_3d, named_trajectory, radial_coord
from csiq.truth import nrmse

_N, _COILS, _ELLIPSOIDS = 32, 4, 6
_TABLES = ("ellipsoids", "patients")
#: Of a simulated patient's axes z y x, times the size: late is positive there.
_LATE = np.array([0.5, -0.7, 1.0])
_PHANTOM = {"x": -0.614225, "y": -0.651670, "xy": -0.000881}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print and append the tables."""
    asked = options(arguments)
    use_threads(asked.threads)
    if "ellipsoids" in asked.only:
        report(
            "Gradient delays of ellipsoids: what is found",
            ("trajectory", "spokes", "SNR", "size", "RMS error", "largest error", "SD told", "trusted"),
            list(accuracy(asked)),
            f"{asked.repeats} drawn tensors a row; errors in samples, of those that were trusted.",
        )
    if "patients" in asked.only:
        report(
            f"Gradient delays of simulated patients: NRMSE after {asked.iterations} iterations",
            ("scan", "size", "largest error", "not corrected", "estimated", "true delays"),
            list(images(asked)),
            "NRMSE of all phases to the truth at its own displacement, the scale fitted; sizes in samples.",
        )
    if asked.phantom is not None:
        columns = ("delays", "x", "y", "xy", "entropy")
        note = "Stated with the data: entropy 890.7 to 863.4, by a gridding that is not described."
        report("Gradient delays of the measured phantom", columns, list(phantom(asked.phantom)), note)


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=_TABLES, default=list(_TABLES))
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.0, 0.3, 1.0, 2.0])
    parser.add_argument("--snr", type=float, nargs="+", default=[float("inf"), 8.0, 2.0, 1.0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--matrix", type=int, default=48, help="of the 3D patient")
    parser.add_argument("--matrix2d", type=int, default=96, help="of the slice")
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--phantom", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


# ---------------------------------------------------------------- ellipsoids


def accuracy(asked: argparse.Namespace) -> Iterator[tuple[object, ...]]:
    """Yield a row for each trajectory, SNR and size."""
    for name, coord in trajectories().items():
        for snr in asked.snr:
            for size in asked.sizes:
                found = [one_estimate(coord, snr, size, seed) for seed in range(asked.repeats)]
                yield (name, len(coord), f"{snr:g}", f"{size:g}", *_summary(found))


def trajectories() -> dict[str, np.ndarray]:
    """Return nominal trajectories of 32 voxels."""
    shape, n_samples = (_N, _N, _N), 2 * _N
    return {
        "2D golden angle": radial_coord(golden_angle_2d(144), (1, _N, _N), n_samples),
        "3D golden means": radial_coord(golden_means_3d(400), shape, n_samples),
        "phyllotaxis": named_trajectory("phyllotaxis", 400, n_samples, shape, n_interleaves=34),
        "stack-of-stars, in its plane": named_trajectory("stack-of-stars", 55 * 8, n_samples, (8, _N, _N)),
    }


def one_estimate(coord: np.ndarray, snr: float, size: float, seed: int) -> tuple[Delays, np.ndarray]:
    """Return the estimate of a scan whose spokes are displaced, and the errors of its entries."""
    rng = np.random.default_rng([seed, len(coord)])
    # nothing is displaced along partitions, which are set before the readout
    steps = np.diff(coord, axis=1).mean(axis=1)
    runs = np.abs(steps).max(axis=0) > 0
    true = _drawn_tensor(rng, size, runs)
    kspace = ellipsoids(coord + (steps @ true)[:, None])
    level = np.sqrt(np.mean(np.abs(kspace) ** 2, axis=(1, 2)).max() / 2) / snr
    kspace = kspace + level * (rng.standard_normal(kspace.shape) + 1j * rng.standard_normal(kspace.shape))
    n = len(coord)
    geometry = Geometry((1 if not coord[..., 0].any() else _N, _N, _N), (200.0, 200.0, 200.0))
    scan = Acquisition(kspace.astype(np.complex64), coord, 0.003 * np.arange(n), np.arange(n) // 9, geometry)
    found = estimate_delays(scan)
    there = [at for at in ENTRIES.values() if runs[at[0]] and runs[at[1]]]
    return found, np.array([found.tensor[at] - true[at] for at in there])


def _drawn_tensor(rng: np.random.Generator, size: float, runs: np.ndarray) -> np.ndarray:
    """Return a symmetric tensor whose largest eigenvalue is ``size``, on the axes that spokes run along."""
    half = rng.uniform(-1, 1, (3, 3)) * np.outer(runs, runs)
    tensor = half + half.T
    return np.asarray(size * tensor / np.abs(np.linalg.eigvalsh(tensor)).max())


def ellipsoids(k: np.ndarray) -> np.ndarray:
    """Return k-space of six ellipsoids, each with a weight a coil: 3 j1(q) / q, q = 2 pi |k a|."""
    rng = np.random.default_rng(5)
    total = np.zeros((_COILS, *k.shape[:-1]), np.complex128)
    for _ in range(_ELLIPSOIDS):
        axes, middle = rng.uniform(0.05, 0.25, 3), rng.uniform(-0.2, 0.2, 3)
        q = 2 * np.pi * np.linalg.norm(k * axes, axis=-1) + 1e-3
        one = axes.prod() * (np.sin(q) - q * np.cos(q)) / q**3 * np.exp(-2j * np.pi * k @ middle)
        weight = 1 + 0.5 * (rng.standard_normal(_COILS) + 1j * rng.standard_normal(_COILS))
        total += weight[:, None, None] * one
    return total


def _summary(found: list[tuple[Delays, np.ndarray]]) -> tuple[str, ...]:
    kept = [(delays, errors) for delays, errors in found if delays.trusted]
    share = f"{len(kept)} of {len(found)}"
    if not kept:
        return ("-", "-", "-", share)
    errors = np.array([errors for _, errors in kept])
    told = float(np.sqrt(np.mean([delays.largest_sd**2 for delays, _ in kept])))
    return (f"{np.sqrt(np.mean(errors**2)):.4f}", f"{np.abs(errors).max():.4f}", f"{told:.4f}", share)


# ---------------------------------------------------------------- simulated patients


def images(asked: argparse.Namespace) -> Iterator[tuple[object, ...]]:
    """Yield a row for each simulated scan and size of its delays."""
    kinds = {"3D phyllotaxis": ("phyllotaxis", asked.matrix), "2D golden angle": ("golden2d", asked.matrix2d)}
    for name, (trajectory, matrix) in kinds.items():
        for size in asked.sizes:
            yield (
                f"{name}, {matrix} voxels",
                f"{size:g}",
                *patient(trajectory, matrix, size, asked.iterations),
            )


def patient(trajectory: str, matrix: int, size: float, iterations: int) -> tuple[str, ...]:
    """Return the largest error of the estimate, and the NRMSE without, with it and with the true delays."""
    dwell = READOUT / (2 * matrix)
    late = size * _LATE * [trajectory != "golden2d", 1, 1]
    wrong = Imperfections(gradient_delay=tuple(float(one) for one in 1e6 * dwell * late))
    given = ScanConfig(matrix=matrix, seed=3, n_coils=6, trajectory=trajectory, imperfections=wrong)
    scan, truth = simulate_scan(given)
    true, found = Delays(-np.diag(late)), estimate_delays(scan)
    # a slice does not show enough of the breathing at every size: it is taken as one
    phases = 1 if trajectory == "golden2d" else 4
    asked = {"max_iter": iterations, "phases": phases, "return": "last", "device": "cpu"}
    config = load_config(overrides=asked)

    def error(one: Acquisition) -> float:
        volumes = reconstruct(one, config, grader=_no_opinion).volumes
        assert truth.volumes is not None
        true_ones = truth.volumes if phases > 1 else truth.volumes.mean(axis=0, keepdims=True)
        return float(np.mean([nrmse(v, t) for v, t in zip(volumes, true_ones, strict=True)]))

    scans = (scan, correct_delays(scan, found), correct_delays(scan, true))
    off = np.abs(found.tensor - true.tensor).max()
    return (f"{off:.3f}", *(f"{error(one):.4f}" for one in scans))


def _no_opinion(volume: np.ndarray, voxel_size: object) -> float:
    return 1.0


# ---------------------------------------------------------------- the measured phantom


def phantom(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield delays and entropy: nominal trajectory, the delays given with the data, ours."""
    with h5py.File(path) as file:
        kspace, plane = file["ksp"][()], file["coord_nominal"][()].astype(np.float32)
    coord = np.concatenate([np.zeros((*plane.shape[:2], 1), np.float32), plane[..., ::-1]], axis=-1)
    n = kspace.shape[1]
    geometry = Geometry((1, 192, 192), (5.0, 250.0, 250.0), known=False)
    scan = Acquisition(kspace, coord, 0.003 * np.arange(n), np.zeros(n, int), geometry)
    kinds = {"none": Delays(np.zeros((3, 3))), "given": Delays.from_entries(**_PHANTOM)}
    for name, delays in {**kinds, "estimated": estimate_delays(scan)}.items():
        entries = delays.entries()
        image = entropy(correct_delays(scan, delays))
        yield (name, *(f"{entries[axis]:+.3f}" for axis in ("x", "y", "xy")), f"{image:.1f}")


def entropy(scan: Acquisition) -> float:
    """Return -sum b ln b of the gridded image of unit energy (Atkinson 1997), |k| weighted."""
    coord = scan.coord[..., 1:]
    weighted = scan.kspace * np.linalg.norm(coord, axis=-1)
    shape = (scan.n_coils, *scan.geometry.shape[1:])
    image = np.sqrt(np.sum(np.abs(sigpy.nufft_adjoint(weighted, coord, oshape=shape)) ** 2, axis=0))
    b = image.astype(np.float64) / np.linalg.norm(image)
    return float(-np.sum(b[b > 0] * np.log(b[b > 0])))


if __name__ == "__main__":
    main()
