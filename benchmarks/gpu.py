"""The GPU at paper scale, in one call: whole reconstruction, normal operator, grading, memory, simulation.

    python benchmarks/gpu.py [matrix] [coils] [iterations]

208^3, 4 phases, 12 virtual coils, 15 000 spokes of 416 samples, 20 iterations with all gradings by default.
The scan is made on the device (a ball that moves from phase to phase, smooth coils, noise), so no file is
needed: the numbers say how fast it is, not how good the images are. The last table is a scan of a simulated
patient by `csiq simulate --device cuda:0`, and by `--device cpu`. Every table goes to RESULTS.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from harness import report

from csiq.acquisition import Acquisition, Geometry
from csiq.arrays import Array, Device, default_threads, gpu_count, to_device, to_host, xp_of
from csiq.coils import estimate_smaps
from csiq.config import Config, load_config
from csiq.cuda.memory import GpuProblem, free_bytes, plan_gpu
from csiq.cuda.toeplitz import SLAB_BYTES, Buffers, planes_of, sum_of_coils, traffic_bytes
from csiq.gating import Bins
from csiq.loop import Loop, ignore
from csiq.nufft import doubled_shape
from csiq.operators import ForwardModel
from csiq.pipeline import load_grader, prepare_coils, set_up, use_device
from csiq.quality.grade import Grade, Grader
from csiq.simulate import ScanConfig, simulate_scan
from csiq.solvers import Problem, solve
from csiq.stopping import MaxIter
from csiq.trajectory import golden_means_3d, radial_coord


@dataclass(frozen=True)
class Setting:
    """The size of the problem."""

    n: int = 208
    n_coils: int = 12
    n_iter: int = 20
    n_phases: int = 4
    n_spokes: int = 15_000

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels, z y x."""
        return self.n, self.n, self.n

    def __str__(self) -> str:
        return f"{self.n}^3, {self.n_phases} phases, {self.n_coils} coils, {self.n_spokes} spokes"


def main(n: int = 208, n_coils: int = 12, n_iter: int = 20) -> int:
    if not gpu_count():
        print(
            "No GPU that CuPy can use: nothing was measured. Install csiq[gpu12] or csiq[gpu13] where one is."
        )
        return 1
    setting, device = Setting(n, n_coils, n_iter), Device(0)
    use_device(device)
    copy = copy_rate(device)
    normal_operator(setting, device, copy)
    whole(setting, device)
    simulation(setting, device)
    return 0


def seconds_of(run: Callable[[], object], device: Device, repeats: int = 5) -> float:
    """Return the best seconds of a run, the device's work included; the first run is not counted."""
    run()
    best = float("inf")
    for _ in range(repeats):
        wait(device)
        started = time.perf_counter()
        run()
        wait(device)
        best = min(best, time.perf_counter() - started)
    return best


def wait(device: Device) -> None:
    """Wait until the device has done all that was launched."""
    if device.is_gpu:
        import cupy

        cupy.cuda.Device(device.index).synchronize()


def copy_rate(device: Device, n_bytes: int = 1 << 30) -> float:
    """Return the bytes a second that a plain copy on the device reads and writes together."""
    source = to_device(np.ones(n_bytes // 4, np.float32), device)
    target = xp_of(source).empty_like(source)

    def copy() -> None:
        target[...] = source

    return 2 * n_bytes / seconds_of(copy, device, 10)


# ---------------------------------------------------------------- the scan


def make_scan(setting: Setting, device: Device) -> tuple[Acquisition, Bins]:
    """Return a scan made on the device, and the spokes of each phase, one in turn."""
    coord = radial_coord(golden_means_3d(setting.n_spokes), setting.n, 2 * setting.n)
    indices = tuple(np.arange(p, setting.n_spokes, setting.n_phases) for p in range(setting.n_phases))
    coords = [to_device(np.ascontiguousarray(coord[i]), device) for i in indices]
    smaps = smooth_maps(setting, device)
    model = ForwardModel(coords, smaps)
    sorted_kspace = to_host(model(balls(setting, device)))
    rng = np.random.default_rng(0)
    kspace = np.empty((setting.n_coils, *coord.shape[:2]), np.complex64)
    for coil, samples in enumerate(sorted_kspace):
        noise = rng.standard_normal((*samples.shape, 2), np.float32).view(np.complex64)[..., 0]
        kspace[coil, np.concatenate(indices)] = samples + np.float32(0.01 * np.abs(samples).max()) * noise
    spokes = np.arange(setting.n_spokes)
    geometry = Geometry(setting.shape, (float(setting.n),) * 3)
    scan = Acquisition(kspace, coord, 0.005 * spokes, spokes // 20, geometry, name="synthetic")
    return scan, Bins(indices, np.arange(setting.n_phases + 1.0), spokes % setting.n_phases + 1)


def grid(setting: Setting, device: Device) -> tuple[Array, Array, Array]:
    """Return z, y and x from -1 to 1 on the device, to be broadcast."""
    axis = to_device(np.linspace(-1, 1, setting.n, dtype=np.float32), device)
    return axis[:, None, None], axis[None, :, None], axis[None, None, :]


def balls(setting: Setting, device: Device) -> Array:
    """Return a textured ball that moves along z, (n_phases, z, y, x)."""
    z, y, x = grid(setting, device)
    xp = xp_of(z)
    out = xp.empty((setting.n_phases, *setting.shape), np.complex64)
    for p in range(setting.n_phases):
        moved = z - np.float32(0.03 * p)
        texture = 1 + 0.3 * xp.sin(25 * moved) * xp.cos(17 * y) * xp.sin(21 * x)
        out[p] = ((moved**2 + y**2 + x**2 < 0.5) * texture).astype(np.complex64)
    return out


def smooth_maps(setting: Setting, device: Device) -> Array:
    """Return maps of coils around the field of view, unit root-sum-of-squares."""
    z, y, x = grid(setting, device)
    xp = xp_of(z)
    maps = xp.empty((setting.n_coils, *setting.shape), np.complex64)
    for c in range(setting.n_coils):
        turn = 2 * np.pi * c / setting.n_coils
        far = (y - np.float32(1.5 * np.sin(turn))) ** 2 + (x - np.float32(1.5 * np.cos(turn))) ** 2
        size = 1 / (0.3 + far + (z - np.float32(0.5 * (c % 3 - 1))) ** 2)
        maps[c] = (size * np.exp(1j * turn)).astype(np.complex64)
    total = xp.zeros(setting.shape, np.float32)
    for smap in maps:
        total += xp.abs(smap) ** 2
    maps /= xp.sqrt(total)
    return maps


# ---------------------------------------------------------------- the normal operator


def normal_operator(setting: Setting, device: Device, copy: float) -> None:
    """Report the rate of the normal operator over the copy rate, for batches and slabs."""
    maps, volumes = smooth_maps(setting, device), balls(setting, device)
    xp = xp_of(maps)
    kernel = xp.ones(doubled_shape(setting.shape), np.float32)
    rows = []
    for batch in sorted({1, -(-setting.n_coils // 4), setting.n_coils}):
        for slab in (8 << 20, SLAB_BYTES, 128 << 20, 512 << 20):
            buffers = Buffers.allocate(xp, setting.shape, batch, slab)

            def apply(batch: int = batch, buffers: Buffers = buffers) -> None:
                for volume in volumes:
                    sum_of_coils(volume, maps, kernel, batch=batch, buffers=buffers)

            seconds = seconds_of(apply, device, 3)
            rate = setting.n_phases * traffic_bytes(setting.shape, setting.n_coils, batch) / seconds
            planes = planes_of(setting.shape, batch, slab)
            rows.append(
                (batch, f"{slab >> 20}", planes, f"{1e3 * seconds:.1f}", gbs(rate), f"{rate / copy:.2f}")
            )
    report(
        f"GPU: normal operator, {setting}",
        ("coils at a time", "slab MiB, at most", "planes", "ms", "GB/s", "over copy rate"),
        rows,
        f"Copy rate (read + written) {gbs(copy)} GB/s. GB/s: bytes that the steps read and write, each FFT "
        "one reading and one writing, over the seconds; above 1 where slabs stay in the cache. The default "
        f"slab is {SLAB_BYTES >> 20} MiB.",
    )


def gbs(rate: float) -> str:
    return f"{rate / 1e9:.0f}"


# ---------------------------------------------------------------- the whole


class InTurn:
    """A grader that grades after an iterate, not beside the next one."""

    def __init__(self, grader: Grader) -> None:
        self.grader = grader

    def side_line(self) -> None:
        """Return None: no line beside."""
        return

    def grade(self, volume: Array, voxel_size: tuple[float, float, float]) -> Grade:
        """Grade one volume."""
        return self.grader.grade(volume, voxel_size)


def whole(setting: Setting, device: Device) -> None:
    """Report set-up, iterations with gradings beside and in turn, grading alone, and memory."""
    overrides = {"device": str(device), "coils": setting.n_coils, "max_iter": setting.n_iter}
    config = load_config(overrides={**overrides, "phases": setting.n_phases})
    raw, bins = make_scan(setting, device)
    clocks: dict[str, float] = {}
    scan, smaps = timed(clocks, "coils: compression and maps", lambda: prepare(raw, config), device)
    threads = default_threads()
    problem = timed(
        clocks,
        "set-up: transfer, gridding, kernels",
        lambda: set_up(scan, bins, smaps, config, device, threads),
        device,
    )
    grader = timed(clocks, "grader: loading", lambda: load_grader(config, device), device)
    geometry = scan.geometry
    follow(problem, grader, config, geometry, 1)  # plans and compilation are for the first run only
    beside = timed(
        clocks, "iterations, graded beside", lambda: follow(problem, grader, config, geometry), device
    )
    timed(
        clocks,
        "iterations, graded in turn",
        lambda: follow(problem, InTurn(grader), config, geometry),
        device,
    )
    timed(clocks, "iterations, not graded", lambda: follow(problem, None, config, geometry), device)
    grading = seconds_of(lambda: [grader.grade(v, geometry.voxel_size) for v in beside.kept], device)
    alone = clocks["iterations, not graded"] / (setting.n_iter + 1)
    rows = [(name, f"{seconds:.2f}") for name, seconds in clocks.items()]
    rows.append(("one iteration, not graded", f"{alone:.3f}"))
    rows.append((f"grading {setting.n_phases} phases alone", f"{grading:.3f}"))
    rows.append(("share of an iteration", f"{100 * grading / alone:.1f} %"))
    rows += memory_rows(setting, device)
    report(
        f"GPU: {setting}, {setting.n_iter} iterations with all gradings",
        ("stage", "s"),
        rows,
        "A synthetic scan made on the device: for speed only. Iterations count the start and the solver's "
        "own estimate of its step; nothing is written to disk. Mean grade of the last iterate "
        f"{beside.history.last.mean_grade:.2f} (it means nothing here).",
    )


def prepare(raw: Acquisition, config: Config) -> tuple[Acquisition, np.ndarray]:
    scan = prepare_coils(raw, config)
    return scan, estimate_smaps(scan)


def timed(clocks: dict[str, float], name: str, run: Callable[[], Any], device: Device) -> Any:
    """Return what a run returns; its seconds go to ``clocks``."""
    wait(device)
    started = time.perf_counter()
    result = run()
    wait(device)
    clocks[name] = time.perf_counter() - started
    return result


def follow(
    problem: Problem, grader: Any, config: Config, geometry: Geometry, n_iter: int | None = None
) -> Loop:
    """Run all iterations through the loop that a run uses."""
    n_iter = n_iter or config.solver.max_iter
    loop = Loop(config, geometry, grader, (MaxIter(n_iter),), ignore)
    loop.follow(solve(problem, config.solver.solver, n_iter))
    return loop


def memory_rows(setting: Setting, device: Device) -> list[tuple[str, str]]:
    """Return what the plan says and what CuPy's pool took at most."""
    if not device.is_gpu:
        return []
    import cupy

    n_samples = setting.n_spokes * 2 * setting.n
    sizes = GpuProblem(setting.shape, setting.n_phases, setting.n_coils, n_samples)
    pool = cupy.get_default_memory_pool().total_bytes()
    plan = plan_gpu(sizes, free_bytes(device) + pool)
    return [
        ("memory, GB: planned", f"{plan.peak_bytes / 1e9:.1f}"),
        ("memory, GB: CuPy's pool at most", f"{pool / 1e9:.1f}"),
    ]


# ---------------------------------------------------------------- the simulation


def simulation(setting: Setting, device: Device) -> None:
    """Report a simulated patient's scan with its transforms on the device and on the CPU."""
    config = ScanConfig(matrix=setting.n, n_coils=setting.n_coils)
    simulate_scan(ScanConfig(matrix=16, n_coils=2), device=device)  # compiles
    clocks: dict[str, float] = {}
    ours = timed(clocks, "device", lambda: simulate_scan(config, device=device)[0].kspace, device)
    theirs = timed(clocks, "cpu", lambda: simulate_scan(config)[0].kspace, device)
    apart = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
    report(
        f"GPU: simulating a raw scan, {setting.n}^3, {setting.n_coils} coils, {theirs.shape[1]} spokes",
        ("transforms on", "s"),
        [(str(device), f"{clocks['device']:.1f}"), ("cpu", f"{clocks['cpu']:.1f}")],
        f"Whole `simulate_scan`: painting, noise and truth are on the CPU in either row, {default_threads()} "
        f"threads. The two scans differ by {apart:.1e}.",
    )


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
