"""What listening costs: a bare SigPy App with and without a QualityMonitor that has no grader.

    python monitor.py [--n2 192] [--coils 8] [--triples 200]

Each App runs once, its iterations in turn as they are, listened to, and as they are. A busy machine then does
for one what it does for the next, a few milliseconds later; what is compared are seconds of the process. The
Apps are of the cheap kind, a Cartesian transform: with a trajectory, more coils or in three dimensions an
iteration takes longer, and listening does not.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import harness
import numpy as np
import sigpy
import sigpy.mri.app

import csiq
from csiq.stopping import CostPlateau, GradePlateau


def problem(n: int, n_coils: int) -> tuple[np.ndarray, np.ndarray]:
    """Return k-space with missing lines and coil maps, complex64 (n_coils, n, n)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:n, :n] / n - 0.5
    angles = 2 * np.pi * np.arange(n_coils) / n_coils
    maps = np.stack([np.exp(-((x - np.cos(a)) ** 2) - (y - np.sin(a)) ** 2 + 1j * a) for a in angles])
    maps = (maps / np.sqrt((np.abs(maps) ** 2).sum(axis=0))).astype(np.complex64)
    kspace = sigpy.fft(maps * (np.hypot(x, y) < 0.4), axes=(-2, -1)).astype(np.complex64)
    return kspace * (rng.random((n, 1)) < 0.6), maps


def apps(kspace: np.ndarray, maps: np.ndarray, iterations: int) -> dict[str, Callable[[], sigpy.app.App]]:
    """Return what makes each App, steps given: SigPy would draw them at random."""
    options = {"max_iter": iterations, "show_pbar": False}
    mri = sigpy.mri.app
    return {
        "SenseRecon": lambda: mri.SenseRecon(kspace, maps, lamda=1e-3, **options),
        "L1WaveletRecon": lambda: mri.L1WaveletRecon(kspace, maps, 1e-3, alpha=1.0, **options),
        "TotalVariationRecon": lambda: mri.TotalVariationRecon(kspace, maps, 1e-3, tau=0.1, **options),
    }


def iteration_seconds(alg: sigpy.alg.Alg, update: Callable[[], None], done: Callable[[], bool]) -> float:
    """Return the seconds of the process for one iteration of an Alg as an App drives it."""
    started = time.process_time()
    update()
    done()
    return time.process_time() - started


def compare(make: Callable[[], sigpy.app.App], triples: int) -> tuple[float, float, float, float]:
    """Return seconds of a bare iteration, the overhead of listening with its standard error, and of nothing.

    Overheads are ratios, by the median over triples: listened to, against the bare ones before and after; and
    of these the second against the first.
    """
    app = make()
    alg = app.alg
    bare = alg.update, alg.done
    rows = []
    with rules_that_never_fire().watch(app):
        heard = alg.update, alg.done
        for _ in range(triples + 5):
            rows.append([iteration_seconds(alg, *pair) for pair in (bare, heard, bare)])
    taken = np.array(rows[5:])  # the first find their caches
    usual = float(np.median(taken[:, ::2]))
    listening = taken[:, 1] - taken[:, ::2].mean(axis=1)
    nothing = taken[:, 2] - taken[:, 0]
    return (
        usual,
        float(np.median(listening)) / usual,
        # of a median, from quartiles: a few iterations are interrupted and take many times as long
        1.253 * float(np.subtract(*np.percentile(listening, [75, 25]))) / 1.349 / triples**0.5 / usual,
        float(np.median(nothing)) / usual,
    )


def rules_that_never_fire() -> csiq.QualityMonitor:
    """Return a monitor without a grader whose rules are asked at every iteration all the same."""
    return csiq.QualityMonitor(rule=[GradePlateau(), CostPlateau(tol=0.0)])


def own_seconds(n_iterations: int = 200, repeats: int = 5) -> float:
    """Return what listening alone takes of an iteration, in seconds: of an Alg that does nothing."""
    best = float("inf")
    for _ in range(repeats):
        alg = sigpy.alg.Alg(n_iterations)
        alg._update = lambda: None
        monitor = rules_that_never_fire()
        started = time.process_time()
        with monitor.watch(alg):
            while not alg.done():
                alg.update()
        best = min(best, (time.process_time() - started) / n_iterations)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n2", type=int, default=192)
    parser.add_argument("--coils", type=int, default=8)
    parser.add_argument("--triples", type=int, default=200)
    given = parser.parse_args()
    alone = own_seconds()
    rows = []
    # conjugate gradients go on past their minimum: they must not end before the last triple
    for name, make in apps(*problem(given.n2, given.coils), 3 * (given.triples + 10)).items():
        usual, listening, error, nothing = compare(make, given.triples)
        overhead = f"{listening:+.2%} +- {error:.2%}"
        rows.append((name, f"{1e3 * usual:.2f}", overhead, f"{nothing:+.2%}", f"{alone / usual:.2%}"))
    harness.report(
        f"Monitoring a bare SigPy App without a grader, {given.n2}^2, {given.coils} coils",
        ("App", "ms an iteration", "overhead", "two bare ones differ by", "by what listening takes alone"),
        rows,
        f"Seconds of the process, medians of {given.triples} triples. Alone: {1e6 * alone:.0f} us, of an Alg "
        "that does nothing.",
    )


if __name__ == "__main__":
    main()
