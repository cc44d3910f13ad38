"""BART's `pics` as a whole command: arrays to .cfl files, the command timed, the image read back.

`pics -R T:1024:0:mu` minimises, by ADMM,

    1/2 sum_p ||p (A_p x_p - y_p / s)||^2 + mu sum_p |x_(p+1) - x_p|,  p running round a ring,

with `-p` the root of the density compensation and `-w s` the scale of the data (`-S` undoes it). Twice that,
in units of the data, is our cost with lamda_abs = 2 s mu, but for one difference: the ring ties the last
phase to the first (:mod:`circular`). `-i` counts conjugate gradient steps, up to `-C` an ADMM step.
ADMM is the only algorithm of `pics` that takes total variation: `-a` aborts, FISTA and IST leave the
differences out. Its NUFFT errs by 1e-3 and cuts off what its kernel spreads beyond the edge of k-space.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from problems import Benchmark

#: BART's dimension of time, where the phases go, and its bit for `-R T`.
TIME_DIMENSION, TIME_BIT = 10, 1 << 10


@dataclass(frozen=True)
class Settings:
    """What can be tuned in `pics -R T`.

    Attributes
    ----------
    rho : float
        `-u`, weight of ADMM's coupling; it works on data scaled to about one.
    cg : int
        `-C`, conjugate gradient steps per ADMM step at most.
    """

    rho: float = 0.5
    cg: int = 10

    def __str__(self) -> str:
        return f"-u {self.rho:g} -C {self.cg}"


def settings(text: str) -> Settings:
    """Return the settings of ``rho,cg``."""
    rho, _, cg = text.partition(",")
    return Settings(float(rho), int(cg))


#: What `pics` takes if it is not told otherwise.
DEFAULTS = Settings()


@dataclass(frozen=True)
class BartScan:
    """A problem as files.

    Attributes
    ----------
    folder : path
    shape : tuple of int
        (n_phases, z, y, x)
    scale : float
        s, as `pics` would choose it.
    mu : float
        Weight of the total variation, of scaled data.
    threads : int
    """

    folder: Path
    shape: tuple[int, ...]
    scale: float
    mu: float
    threads: int

    def pics(self, steps: int, settings: Settings = DEFAULTS) -> tuple[np.ndarray, float]:
        """Run the whole command.

        Returns
        -------
        volumes : complex64 array, (n_phases, z, y, x)
            In units of the data.
        seconds : float
            Of the command, its reading and its set-up included.
        """
        command = ["bart", "pics", "-S", "-w", repr(self.scale), "-i", str(steps)]
        command += ["-R", f"T:{TIME_BIT}:0:{self.mu!r}", "-u", repr(settings.rho), "-C", str(settings.cg)]
        command += ["-p", "weights", "-t", "trajectory", "kspace", "maps", "image"]
        started = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": str(self.threads)},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - started
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout[-500:]}{done.stderr[-500:]}")
        return read_cfl(self.folder / "image").reshape(self.shape), seconds


def version() -> str | None:
    """Return BART's version, or None where there is no `bart` command."""
    if shutil.which("bart") is None:
        return None
    return subprocess.run(["bart", "version"], capture_output=True, text=True, check=False).stdout.strip()


@contextmanager
def exported(bench: Benchmark, gridded: np.ndarray, lamda_abs: float, threads: int) -> Iterator[BartScan]:
    """Write a problem to a temporary folder, in memory where there is such a place, and remove it at the end.

    Parameters
    ----------
    gridded : complex64 array, (n_phases, z, y, x)
        A^H W y, from which `pics` takes its scale; handed over, so that it need not grid twice.
    lamda_abs : float
        Of our cost.
    """
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        coord, weights, kspace = padded(bench)
        write_cfl(folder / "trajectory", by_phase(coord[..., ::-1], 1))
        write_cfl(folder / "weights", by_phase(weights[..., None], 1))
        write_cfl(folder / "kspace", by_phase(kspace[..., None], len(bench.smaps)))
        write_cfl(folder / "maps", bench.smaps)
        scale = own_scale(gridded)
        yield BartScan(folder, (bench.n_phases, *bench.shape), scale, lamda_abs / (2 * scale), threads)


def padded(bench: Benchmark) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return trajectory, root of the weights and k-space by phase, short phases filled with weights of zero.

    Returns
    -------
    coord : float32 array, (n_phases, n_spokes, n_samples, 3)
    weights : float32 array, (n_phases, n_spokes, n_samples)
    kspace : complex64 array, (n_phases, n_coils, n_spokes, n_samples)
    """
    most, n_samples = max(len(c) for c in bench.coords), bench.kspace.shape[2]
    size = (bench.n_phases, most, n_samples)
    coord, weights = np.zeros((*size, 3), np.float32), np.zeros(size, np.float32)
    kspace = np.zeros((bench.n_phases, len(bench.kspace), most, n_samples), np.complex64)
    for phase, spokes in enumerate(bench.spokes):
        n = len(bench.coords[phase])
        coord[phase, :n] = bench.coords[phase]
        weights[phase, :n] = np.sqrt(bench.dcf[spokes])
        kspace[phase, :, :n] = bench.kspace[:, spokes]
    return coord, weights, kspace


def by_phase(values: np.ndarray, n_coils: int) -> np.ndarray:
    """Return (n_phases, ..., n_spokes, n_samples, k) in BART's order: k samples spokes coils ... phases."""
    n_spokes, n_samples, last = values.shape[-3:]
    between = (1,) * (TIME_DIMENSION - 4)
    return values.reshape(len(values), *between, n_coils, n_spokes, n_samples, last)


def own_scale(gridded: np.ndarray) -> float:
    """Return the scale that `pics` takes by itself: the 90th percentile of |A^H W y|, or the maximum."""
    sizes = np.sort(np.abs(gridded), axis=None)
    median, high, top = sizes[sizes.size // 2], sizes[int(0.9 * sizes.size)], sizes[-1]
    return float(high if top - high < 2 * (high - median) else top)


def write_cfl(path: Path, values: np.ndarray) -> None:
    """Write an array, first axis last: NumPy's order is the reverse of BART's."""
    values = np.ascontiguousarray(values, np.complex64)
    sizes: Sequence[int] = values.shape[::-1]
    path.with_suffix(".hdr").write_text(f"# Dimensions\n{' '.join(map(str, sizes))}\n", encoding="ascii")
    values.tofile(path.with_suffix(".cfl"))


def read_cfl(path: Path) -> np.ndarray:
    """Return an array with BART's dimensions in reverse."""
    sizes = path.with_suffix(".hdr").read_text(encoding="ascii").splitlines()[1].split()
    return np.fromfile(path.with_suffix(".cfl"), np.complex64).reshape([int(n) for n in sizes][::-1])
