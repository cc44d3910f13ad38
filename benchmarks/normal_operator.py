"""The normal operator A^H W A of one phase against other programs: same problem, same threads, one run.

    python benchmarks/normal_operator.py [--only 2d 3d] [--n2 208] [--n3 96] [--coils 8] [--spokes 24 3750]
                                         [--device auto] [--threads 2] [--repeats 3]

Four tables by default: 2D 208^2 with 24 spokes and 3D 96^3 at the paper's sampling ratio, then both with the
3750 spokes a phase of a 15 000-spoke scan. Every row has its error against a pair of double-precision NUFFTs
asked for 1e-9. The last line says how near the Toeplitz operator comes to the passes of one-dimensional FFTs
that it cannot do without, timed bare in the same run (on a GPU: to the measured copy rate).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import finufft
import numpy as np
from harness import report, side_by_side
from rivals import RIVALS, Operands, Rival, available

from csiq import convolution, fft
from csiq.arrays import (
    Device,
    choose_device,
    default_threads,
    run_tasks,
    to_device,
    to_host,
    xp_of,
)
from csiq.density import density_compensation
from csiq.operators import ForwardModel
from csiq.trajectory import golden_angle_2d, golden_means_3d, radial_coord

OURS, BARE = "csiq Toeplitz", "bare FFT passes"
#: A pair of NUFFTs counts as of equal accuracy up to twice the error of 1e-5 that is asked of our operator.
EQUAL_ACCURACY = 2e-5


def main(arguments: Sequence[str] | None = None) -> None:
    """Print and append one table a problem."""
    asked = options(arguments)
    device = choose_device(asked.device)
    for spokes in asked.spokes:
        for kind in asked.only:
            n = asked.n2 if kind == "2d" else asked.n3
            shape = (1, n, n) if kind == "2d" else (n, n, n)
            few = paper_spokes(shape) if spokes == 0 else spokes
            compare(operands(shape, few, asked.coils, asked.threads), device, asked)


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=("2d", "3d"), default=["2d", "3d"])
    parser.add_argument("--n2", type=int, default=208, help="matrix of the slice")
    parser.add_argument("--n3", type=int, default=96, help="matrix of the volume")
    parser.add_argument("--coils", type=int, default=8)
    parser.add_argument(
        "--spokes",
        type=int,
        nargs="+",
        default=[0, 3750],
        help="of one phase; 0: the paper's ratio, 24 in 2D",
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--repeats", type=int, default=3)
    packages = sorted({rival.package for rival in RIVALS.values()})
    parser.add_argument("--programs", nargs="+", choices=packages, default=packages, help="to compare with")
    return parser.parse_args(arguments)


def paper_spokes(shape: tuple[int, int, int]) -> int:
    """Return the spokes of one of four phases: 24 of a slice, 5 % of (pi/2) n^2 diameters of a volume."""
    return 24 if shape[0] == 1 else round(0.2 * np.pi / 2 * shape[0] ** 2 / 4)


def operands(shape: tuple[int, int, int], spokes: int, n_coils: int, threads: int) -> Operands:
    """Return noise for image and maps, and golden spokes: timing does not depend on what is in the image."""
    rng = np.random.default_rng(0)
    directions = golden_angle_2d(spokes) if shape[0] == 1 else golden_means_3d(spokes)
    coord = radial_coord(directions, shape, 2 * shape[1])

    def noise(*size: int) -> np.ndarray:
        return rng.standard_normal((*size, 2), np.float32).view(np.complex64)[..., 0]

    return Operands(noise(*shape), noise(n_coils, *shape), coord, density_compensation(coord), threads)


def compare(host: Operands, device: Device, asked: argparse.Namespace) -> None:
    """Time everything that is asked for and installed on one problem, and report."""
    arrays = {name: to_device(getattr(host, name), device) for name in ("volume", "smaps", "coord", "dcf")}
    given = replace(host, **arrays)
    rivals, notes = available(device.is_gpu)
    chosen = {name: rival for name, rival in rivals.items() if rival.package in asked.programs}
    runs = {OURS: ours(given)} | working(chosen, given, notes)
    images: dict[str, Any] = {}
    timed = {name: partial(keep, images, name, run) for name, run in runs.items()}
    bare = {} if device.is_gpu else {BARE: bare_passes(given)}
    seconds = side_by_side(timed | bare, asked.repeats, synchroniser(given))
    truth = exact(host)
    errors = {name: relative_error(to_host(im).reshape(truth.shape), truth) for name, im in images.items()}
    rows = [
        (name, f"{seconds[name]:.4f}", f"{seconds[name] / seconds[OURS]:.1f}", f"{error:.1e}")
        for name, error in errors.items()
    ]
    n, dimensions = given.volume.shape[-1], len(given.axes)
    report(
        f"Normal operator, {n}^{dimensions}, {len(given.smaps)} coils, one phase, {len(given.coord)} spokes,"
        + f" {given.threads} threads" * (not device.is_gpu),
        ("operator", "s", "ratio to csiq", "relative error"),
        rows,
        " ".join([fastest_pair(seconds, errors), roofline(given, seconds), *notes]),
    )


def working(rivals: dict[str, Rival], given: Operands, notes: list[str]) -> dict[str, Callable[[], Any]]:
    """Return what each rival computes with; one that fails gets a note, not the end of the table."""
    runs = {}
    for name, rival in rivals.items():
        try:
            runs[name] = rival.make(given)
            if given.on_gpu:
                runs[name]()
        except Exception as error:
            runs.pop(name, None)
            notes.append(f"{name} failed: {type(error).__name__}: {' '.join(str(error).split())[:200]}.")
    return runs


def keep(images: dict[str, Any], name: str, run: Callable[[], Any]) -> None:
    """Run and keep what came out, for its error."""
    images[name] = run()


def ours(given: Operands) -> Callable[[], Any]:
    model = ForwardModel([given.coord], given.smaps, threads=given.threads)
    normal, volumes = model.normal_operator(given.dcf), given.volume[None]
    return lambda: normal(volumes)[0]


def fastest_pair(seconds: dict[str, float], errors: dict[str, float]) -> str:
    """Return a sentence on the fastest NUFFT pair of equal accuracy among the rows."""
    enough = max(EQUAL_ACCURACY, errors[OURS])
    pairs = [
        name for name, error in errors.items() if name in RIVALS and RIVALS[name].pair and error <= enough
    ]
    if not pairs:
        return f"No NUFFT pair errs by {enough:.1e} or less."
    best = min(pairs, key=seconds.__getitem__)
    ratio = seconds[best] / seconds[OURS]
    return f"Fastest NUFFT pair of equal accuracy ({enough:.1e}): {best}, {ratio:.1f} times our time."


def roofline(given: Operands, seconds: dict[str, float]) -> str:
    """Return a sentence on the rate reached, against bare passes on a CPU or the copy rate on a GPU."""
    if not given.on_gpu:
        share = seconds[BARE] / seconds[OURS]
        return f"Bare FFT passes: {seconds[BARE]:.4f} s, so {share:.0%} of their rate is reached."
    from csiq.cuda.toeplitz import traffic_bytes

    rate = traffic_bytes(given.volume.shape, len(given.smaps), len(given.smaps)) / seconds[OURS]
    copy = copy_rate(given)
    return f"{rate / 1e9:.0f} GB/s, {rate / copy:.0%} of the measured copy rate of {copy / 1e9:.0f} GB/s."


def bare_passes(given: Operands) -> Callable[[], None]:
    """Return the one-dimensional FFTs that the operator needs on a CPU, and nothing else.

    Seven passes over y x lines of 2n values forward (z while y and x are short, x while y is short, y last)
    and seven back, with the operator's own library, in place, on arrays that are there beforehand: a block of
    planes that fits the cache for y and x, rows of the volume for z; one coil a thread. A line of 2n values,
    half of them zero, is two lines of n.
    """
    z, y, x = given.volume.shape
    step = max(1, convolution._PLANES_BYTES // (32 * y * x)) if z > 1 else 1
    n_rows = max(1, min(convolution._ROWS_BYTES // (16 * z * x), y))
    threads = min(given.threads, len(given.smaps))
    along_x = [fft.aligned((step, 2, y, x)) for _ in range(threads)]
    along_y = [fft.aligned((step, 4, y, x)) for _ in range(threads)]
    along_z = [fft.aligned((2, z, y, x)) for _ in range(threads)]
    for array in (*along_x, *along_y, *along_z):
        array[...] = 0

    def z_passes(worker: int, inverse: bool) -> None:
        for half in along_z[worker] if z > 1 else ():
            for first in range(0, y, n_rows):
                fft.along_first(half[:, first : first + n_rows], inverse=inverse)

    def plane_passes(worker: int) -> None:
        for inverse in (False, True):
            fft.along_last(along_x[worker], inverse=inverse)
            for plane in along_y[worker].reshape(-1, y, x):
                fft.along_first(plane, inverse=inverse)

    def share(worker: int) -> None:
        for _coil in range(worker, len(given.smaps), threads):
            z_passes(worker, False)
            for _planes in range(-(-2 * z // step) if z > 1 else 1):
                plane_passes(worker)
            z_passes(worker, True)

    def run() -> None:
        run_tasks([partial(share, worker) for worker in range(threads)], threads)

    return run


def copy_rate(given: Operands, repeats: int = 10) -> float:
    """Return the bytes a second that the device reads and writes when it copies an array of 1 GB."""
    xp = xp_of(given.volume)
    source = xp.ones(1 << 27, np.complex64)
    target = xp.empty_like(source)

    def copy() -> None:
        target[...] = source

    best = side_by_side({"copy": copy}, repeats, synchroniser(given))["copy"]
    return 2 * source.nbytes / best


def synchroniser(given: Operands) -> Callable[[], object] | None:
    """Return what waits for the GPU; None on a CPU."""
    return xp_of(given.volume).cuda.Device().synchronize if given.on_gpu else None


def exact(given: Operands) -> np.ndarray:
    """Return A^H W A on the host in double precision, with NUFFTs asked for 1e-9."""
    angles = list(np.ascontiguousarray((2 * np.pi * given.coord.reshape(-1, 3).astype(np.float64)).T))
    angles = [angles[axis] / given.volume.shape[axis] for axis in given.axes]
    options = {"eps": 1e-9, "nthreads": given.threads}
    forward = finufft.nufft2d2 if len(angles) == 2 else finufft.nufft3d2
    adjoint = finufft.nufft2d1 if len(angles) == 2 else finufft.nufft3d1
    volume, out = given.volume.reshape(given.modes), np.zeros(given.modes, np.complex128)
    for smap in given.smaps.reshape(-1, *given.modes).astype(np.complex128):
        samples = forward(*angles, smap * volume, isign=-1, **options) * given.dcf.ravel()
        out += smap.conj() * adjoint(*angles, samples, given.modes, isign=1, **options)
    return out.reshape(given.volume.shape) / np.prod(given.modes)


def relative_error(got: np.ndarray, truth: np.ndarray) -> float:
    return float(np.linalg.norm(got - truth) / np.linalg.norm(truth))


if __name__ == "__main__":
    main()
