"""Grading on a CPU: patches a second, seconds a volume, and its share of an iteration.

    python benchmarks/grading.py [--matrix 96 128 208] [--coils 8] [--phases 4] [--scaled 208] [--slices 18]
        [--threads 2]

A grade is that of csiq.quality.grade.Grader with the shipped network: magnitude, resampling to 18 slices of
1 mm, intensity, 648 patches, image statistics. The iteration beside it is timed in the same run on noise; for
matrices of ``--scaled`` and more at one phase and two coils, times phases x coils / 2, said in its row.
A second table has the patches of --slices slices one at a time, 36 at a time, and as they are graded: with
convolutions that neighbours share. The network alone, in one thread, on slices that are there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from growth import Case, time_case
from harness import report, side_by_side
from torch import Tensor

from csiq.arrays import default_threads, use_threads
from csiq.quality.grade import Grader
from csiq.quality.network import IQDCNN, PATCH, STRIDE
from csiq.quality.patches import N_PATCHES, SIDE, volume_slices

#: Grading all phases may take this share of an iteration at paper scale.
BAR = 0.10
_FOV = 208.0
#: Patches of one slice.
_A_SLICE = 36


def main(arguments: Sequence[str] | None = None) -> None:
    """Print and append both tables."""
    asked = options(arguments)
    use_threads(asked.threads)
    grader = Grader.load()
    rows = [row(grader, n, asked) for n in asked.matrix]
    report(
        f"Grading on a CPU ({asked.phases} phases, {asked.coils} coils, {asked.threads} threads)",
        (
            "matrix",
            "s a volume",
            "patches/s",
            "of it slices",
            "all phases s",
            "iteration s",
            "share",
            "iteration",
        ),
        rows,
        f"Asked for at paper scale (208): below {BAR:.0%} of an iteration.",
    )
    use_threads(1)
    report(
        f"The {_A_SLICE * asked.slices} patches of {asked.slices} slices, the network alone (1 thread)",
        ("network", "patches", "s", "patches/s", "times shared"),
        sharing_rows(grader.name, grader.network, asked),
    )


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--matrix", type=int, nargs="+", default=[96, 128, 208])
    parser.add_argument("--coils", type=int, default=8)
    parser.add_argument("--phases", type=int, default=4)
    parser.add_argument("--scaled", type=int, default=208, help="from here on, one phase and two coils")
    parser.add_argument("--slices", type=int, default=N_PATCHES // _A_SLICE, help="18 are a volume")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=default_threads())
    return parser.parse_args(arguments)


def row(grader: Grader, n: int, asked: argparse.Namespace) -> tuple[object, ...]:
    volume = image(n)
    voxel = (_FOV / n,) * 3
    best = side_by_side(
        {
            "grade": lambda: grader.grade(volume, voxel),
            "slices": lambda: volume_slices(volume, voxel),
        },
        asked.repeats,
    )
    iteration, how = iteration_seconds(n, asked)
    all_phases = asked.phases * best["grade"]
    return (
        n,
        f"{best['grade']:.3f}",
        f"{N_PATCHES / best['grade']:.0f}",
        f"{best['slices'] / best['grade']:.0%}",
        f"{all_phases:.2f}",
        f"{iteration:.2f}",
        f"{all_phases / iteration:.1%}",
        how,
    )


def sharing_rows(name: str, network: IQDCNN, asked: argparse.Namespace) -> list[tuple[object, ...]]:
    """Return the seconds of patches one at a time, a slice's patches at a time, and shared."""
    slices = torch.rand(asked.slices, SIDE, SIDE)
    patches = slices.unfold(1, PATCH, STRIDE).unfold(2, PATCH, STRIDE).reshape(-1, PATCH, PATCH)

    def graded(parts: Tensor, at_a_time: int) -> None:
        with torch.inference_mode():
            for part in parts.split(at_a_time):
                network(part)

    best = side_by_side(
        {
            "one at a time": partial(graded, patches, 1),
            f"{_A_SLICE} at a time": partial(graded, patches, _A_SLICE),
            "shared convolutions": partial(graded, slices, 3),
        },
        asked.repeats,
    )
    shared = best["shared convolutions"]
    return [
        (name, how, f"{seconds:.2f}", f"{len(patches) / seconds:.0f}", f"{seconds / shared:.1f}")
        for how, seconds in best.items()
    ]


def image(n: int) -> np.ndarray:
    """Return a bright ball in noise: complex64 (n, n, n)."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((n, n, n, 2), np.float32).view(np.complex64)[..., 0]
    axis = (np.arange(n, dtype=np.float32) - n // 2) / n
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    return (0.05 * noise + (radius < 0.3)).astype(np.complex64)


def iteration_seconds(n: int, asked: argparse.Namespace) -> tuple[float, str]:
    """Return the seconds of an iteration, and how they were found."""
    spokes = round(0.2 * np.pi / 2 * n**2)
    if n < asked.scaled:
        case = Case(n, asked.coils, asked.phases, spokes)
        return time_case(case, asked.threads, asked.repeats).iteration, "measured"
    case = Case(n, 2, 1, spokes // asked.phases)
    factor = asked.phases * asked.coils / 2
    seconds = factor * time_case(case, asked.threads, asked.repeats).iteration
    return seconds, f"1 phase x 2 coils, times {factor:g}"


if __name__ == "__main__":
    main()
