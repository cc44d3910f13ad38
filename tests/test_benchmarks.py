"""Every benchmark script runs, at sizes whose numbers mean nothing; what the tables rest on is right."""

from __future__ import annotations

import importlib
import io
import runpy
import shutil
import subprocess
import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest

from csiq.arrays import use_threads
from csiq.cli import main as csiq_command
from csiq.density import density_compensation
from csiq.solvers import prox_phase_tv
from csiq.trajectory import golden_angle_2d, radial_coord
from tests.helpers import complex_normal, relative_error

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"

#: Script -> arguments of a tiny run, and what the tables must say.
TINY = {
    "normal_operator.py": (
        "--n2 16 --n3 8 --coils 2 --spokes 0 --repeats 1 --threads 1",
        ["16^2, 2 coils", "8^3, 2 coils", "| csiq Toeplitz |", "| SigPy pair, defaults |", "Bare FFT passes"],
    ),
    "reconstruction.py": (
        "--problems 2d --only csiq sigpy bart dcf --n2 24 --coils 2 --iterations 6 --budget 1"
        " --steps 2 6 --reference 20 --threads 1 --curves --plot --folder .",
        ["| csiq, default solver |", "| SigPy App, PDHG |", "BART", "w in the cost"],
    ),
    "growth.py": (
        "--matrix 8 12 --coils 1 2 --phases 1 2 --spokes 20 40 --base 8 --base-spokes 20 --iterations 1"
        " --threads 1",
        ["| matrix | 12 |"],
    ),
    "grading.py": (
        "--matrix 16 --coils 1 --phases 1 --slices 1 --repeats 1 --threads 1",
        ["patches/s", "| one at a time |", "| shared convolutions |"],
    ),
    "delays.py": (
        "--sizes 0.5 --snr inf --repeats 1 --matrix 24 --matrix2d 24 --iterations 1",
        [
            "| phyllotaxis | 400 | inf | 0.5 |",
            "1 of 1 |",
            "| 3D phyllotaxis, 24 voxels | 0.5 |",
            "| 2D golden angle, 24 voxels | 0.5 |",
        ],
    ),
    "memory.py": ("--matrix 16 --receive 2 --iterations 1 --settings=--coils=2", ["measured MB"]),
    "paper_scale.py": (
        "--matrix 32 --receive 4 --coils 2 --max-iter 2",
        ["peak memory", "NRMSE to the truth", "| stopped |"],
    ),
    "phase_errors.py": (
        "--patients 1 --matrix 32 --coils 2 --iterations 0",
        ["| 0 | 6 |", "| correlation |", "1 patients, 32^3, 2 coils"],
    ),
    "simulation.py": (
        "--matrix 16 --coils 2 --patients 1 --cohort-matrix 32 --workers 1",
        ["| 16 |", "extrapolated"],
    ),
    "training.py": (
        "--batch 2 --matrix 176 --volumes 2 --steps 2 --repeats 1 --threads 1",
        ["| single patches instead of windows |", "| without batch normalisation |", "| 1.3 mm |"],
    ),
    "monitor.py": ("--n2 32 --coils 2 --triples 3", ["| TotalVariationRecon |", "two bare ones"]),
    "solvers.py": ("16 --iterations 3 --reference 6 --threads 1", ["pogm"]),
}
#: Scripts not run here, and why.
ELSEWHERE = {
    "domain.py": "needs a cohort of whole patients; tests/quality/test_strangers.py runs its parts",
    "gpu.py": "needs a GPU",
    "trust.py": "needs a cohort and the second anatomy; tests/trust runs its parts",
    "demo_figures.py": "grades 84 volumes on a 1 mm grid whatever the size; examples run its parts",
}


@pytest.fixture
def part(monkeypatch):
    """Import a file of the folder by its name, as the scripts do."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def test_every_script_has_a_tiny_run():
    files = {path.name: path.read_text() for path in BENCHMARKS.glob("*.py")}
    scripts = {name for name, text in files.items() if '__name__ == "__main__"' in text}
    assert scripts == set(TINY) | set(ELSEWHERE), "a new script wants a line in TINY"
    readme = (BENCHMARKS / "README.md").read_text()
    assert [name for name in files if f"`{name}" not in readme] == []


@pytest.fixture
def tiny_run(tmp_path, monkeypatch, capsys):
    """Run a script in an empty folder, as ``python`` would but in this process; return its tables.

    A script's own processes (a reconstruction whose memory is measured) are started as ever; only a plain
    ``python -m csiq`` runs here as well, since a process imports for seconds.
    """
    started = subprocess.run

    def started_or_here(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        if command[:3] != [sys.executable, "-m", "csiq"]:
            return started(command, **options)
        with redirect_stdout(io.StringIO()) as said:
            done = subprocess.CompletedProcess(command, csiq_command(command[3:]), said.getvalue(), "")
        if options.get("check"):
            done.check_returncode()
        return done

    def run(script: str, arguments: str) -> str:
        results = tmp_path / "results.md"
        monkeypatch.setenv("CSIQ_BENCHMARK_RESULTS", str(results))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [script, *arguments.split()])
        monkeypatch.setattr(subprocess, "run", started_or_here)
        for name in [path.stem for path in BENCHMARKS.glob("*.py")]:
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(str(BENCHMARKS))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the rivals' own
            runpy.run_path(str(BENCHMARKS / script), run_name="__main__")
        return results.read_text() if results.exists() else capsys.readouterr().out

    yield run
    use_threads(None)  # scripts set how many


@pytest.mark.slow
@pytest.mark.parametrize("script", TINY)
def test_script_runs_and_leaves_the_results_alone(script, tmp_path, tiny_run):
    before = (BENCHMARKS / "RESULTS.md").read_bytes()
    text = tiny_run(script, TINY[script][0])
    for words in TINY[script][1]:
        assert words in text
    assert (BENCHMARKS / "RESULTS.md").read_bytes() == before
    if script == "reconstruction.py":
        lines = (tmp_path / "2d.tsv").read_text().splitlines()
        assert lines[0].split("\t") == ["program", "iteration", "seconds", "cost", "gap", "nrmse"]
        assert sum(line.startswith("csiq") for line in lines) == 7
        assert (tmp_path / "2d.png").stat().st_size > 5000


@pytest.mark.slow
def test_missing_bart_is_said(tmp_path, tiny_run, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    few = "--problems 2d --only csiq bart --n2 16 --coils 2 --iterations 2 --budget 1 --steps 2 --reference 4"
    text = tiny_run("reconstruction.py", f"{few} --threads 1 --folder .")
    assert "BART is not installed: its rows are left out." in text
    assert "| csiq, default solver |" in text


def test_missing_packages_are_said(part, monkeypatch):
    rivals = part("rivals")
    monkeypatch.setattr(rivals.importlib.util, "find_spec", lambda name: None if name == "mrpro" else name)
    ready, notes = rivals.available(on_gpu=False)
    assert notes == ["mrpro is not installed: its rows are left out."]
    assert set(rivals.RIVALS) - set(ready) == {"mrpro pair", "mrpro Toeplitz"}


def test_installed_rivals_compute_the_same_operator(part):
    operator, rivals = part("normal_operator"), part("rivals")
    for shape in ((1, 12, 12), (8, 8, 8)):
        given = operator.operands(shape, 10, 2, 1)
        truth = operator.exact(given)
        assert operator.relative_error(operator.ours(given)(), truth) < 1e-5
        for name, rival in rivals.available(on_gpu=False)[0].items():
            image = np.asarray(rival.make(given)()).reshape(shape)
            tolerance = 2e-2 if name.startswith("SigPy") else 2e-3  # SigPy's default kernel is that coarse
            assert operator.relative_error(image, truth) < tolerance, name


def test_cfl_keeps_values_and_reverses_dimensions(part, tmp_path, rng):
    bart = part("bart")
    values = complex_normal(rng, (2, 3, 4))
    bart.write_cfl(tmp_path / "a", values)
    assert (tmp_path / "a.hdr").read_text().splitlines()[1] == "4 3 2"
    np.testing.assert_array_equal(bart.read_cfl(tmp_path / "a"), values)


def test_ring_prox_is_optimal_and_opens_without_the_last_difference(part, rng):
    """The prox of the ring equals that of the line where phases are symmetric about the cut."""
    circular = part("circular")
    half = complex_normal(rng, (3, 1, 4, 4))
    mirrored = np.concatenate([half, half[::-1]])
    ring = circular.prox_ring(mirrored, 0.3, np.zeros_like(mirrored))
    # x_0 = x_5 and x_2 = x_3: the ring is the line and its mirror image, without difference where they meet
    line = prox_phase_tv(half, 0.3)
    assert relative_error(ring[:3], line) < 1e-4
    assert relative_error(ring[3:], line[::-1]) < 1e-4


def well_sampled(problems, rng, n=16, n_phases=3, n_coils=3):
    """Return a small problem of a moving block with a clear minimum, under smooth maps."""
    coord = radial_coord(golden_angle_2d(32 * n_phases), (1, n, n), 2 * n) * np.float32(0.85)
    coords = tuple(coord[p::n_phases] for p in range(n_phases))
    y, x = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n), indexing="ij")
    places = ((1.2, 0.0), (-0.6, 1.0), (-0.6, -1.0))[:n_coils]
    maps = np.stack([np.exp(-((x - a) ** 2 + (y - b) ** 2) / 2 + 1j * a * y) for a, b in places])[:, None]
    smaps = (maps / np.linalg.norm(maps, axis=0)).astype(np.complex64)
    volumes = np.zeros((n_phases, 1, n, n), np.complex64)
    for p in range(n_phases):
        volumes[p, 0, 4:11, 4 + p : 9 + p] = 1 + 0.3j * p
    dcf = np.concatenate([density_compensation(c) for c in coords])
    bench = problems.Benchmark(
        "block", coords, np.zeros((n_coils, 96, 2 * n), np.complex64), smaps, dcf, None, 1
    )
    clean = bench.model(1)(volumes)
    noise = 0.02 * complex_normal(rng, clean.shape)
    return problems.Benchmark("block", coords, (clean + noise).astype(np.complex64), smaps, dcf, None, 1)


@pytest.mark.skipif(shutil.which("bart") is None, reason="the bart command is not installed")
def test_bart_minimises_the_ring_objective(part, rng):
    """Scale, weight, root of the compensation and order of axes are right: the minimisers agree."""
    bart, circular = part("bart"), part("circular")
    bench = well_sampled(part("problems"), rng)
    problem = bench.problem(1)
    best, image = circular.lowest_cost(problem, problem.gridded, True, tolerance=1e-6, max_iter=400)
    with bart.exported(bench, problem.gridded, problem.lamda_abs, 1) as scan:
        theirs, seconds = scan.pics(600, bart.Settings(0.2, 5))
        folder = scan.folder
    assert seconds > 0
    assert not folder.exists()
    # what no spoke sees is no program's business: compare N x
    assert relative_error(problem.normal(theirs), problem.normal(image)) < 3e-3  # its NUFFT errs by 1e-3
    assert circular.cost(problem, theirs, True) < best * 1.01
    straight, line = circular.lowest_cost(problem, image, False, tolerance=1e-6, max_iter=400)
    assert relative_error(problem.normal(theirs), problem.normal(line)) > 1e-2
    assert straight < circular.cost(problem, image, False)


def test_sigpy_app_minimises_our_objective(part, rng):
    circular, sigpy_app = part("circular"), part("sigpy_app")
    bench = well_sampled(part("problems"), rng)
    problem = bench.problem(1)
    best, image = circular.lowest_cost(problem, problem.gridded, False, tolerance=1e-6, max_iter=400)
    *_, (_, seconds, theirs) = sigpy_app.run(bench, problem.lamda_abs, max_iter=150, budget=60)
    assert seconds > 0
    assert relative_error(problem.normal(theirs), problem.normal(image)) < 1e-2  # its NUFFT is as coarse
    assert circular.cost(problem, theirs, False) < best * 1.02


def test_times_to_a_gap(part):
    curves = part("curves")
    costs = curves.Range(start=3.0, lowest=1.0)
    points = [
        curves.Point(i, float(i), 1 + 2 * gap, 0.1 * i) for i, gap in enumerate((1.0, 0.2, 0.02, 0.002))
    ]
    exact, between = curves.Curve("a", points=points), curves.Curve("b", points=points, restarted=True)
    assert curves.reached(exact, costs, 0.1) == (2.0, 0.2)
    seconds, error = curves.reached(between, costs, 0.1)
    assert seconds == pytest.approx(1 + np.log(2) / np.log(10))
    assert error == pytest.approx(seconds / 10)
    assert curves.reached(exact, costs, 1e-3) is None
    assert exact.per_iteration == 1.0


def test_provenance_names_commit_and_versions(part, monkeypatch):
    harness = part("harness")
    monkeypatch.setattr(harness, "_git", lambda *words: {"rev-parse": "abc1234", "status": " M x"}[words[0]])
    assert f"commit abc1234 + changes, {harness.cpu()}" in harness.provenance()
    assert f"numpy {np.__version__}" in harness.provenance()
    assert "no-such-package" not in harness.provenance()


def test_slow_candidates_run_once(part, monkeypatch):
    harness = part("harness")
    calls = {"slow": 0, "fast": 0}
    clock = iter(np.cumsum([0, 30, 0, 1, 0, 1, 0, 1, 0, 1]).tolist())
    monkeypatch.setattr(harness.time, "perf_counter", lambda: next(clock))

    def count(name):
        calls[name] += 1

    seconds = harness.side_by_side({n: lambda n=n: count(n) for n in calls}, repeats=2)
    assert calls == {"slow": 1, "fast": 3}
    assert seconds == {"slow": 30, "fast": 1}
