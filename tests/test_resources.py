"""What a run takes and leaves: threads, memory, open files, temporary files, packages that are not there."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import threadpoolctl

from csiq import coil_batches, preparation
from csiq.acquisition import Acquisition
from csiq.arrays import Device, default_threads, use_threads
from csiq.cli import main
from csiq.coil_batches import fitted
from csiq.coils import estimate_smaps
from csiq.config import Config, load_config
from csiq.errors import CsiqError, ResourceError
from csiq.io.ismrmrd_write import write_ismrmrd
from csiq.operators import ForwardModel
from csiq.plan import Estimate
from csiq.preparation import gate, prepare_coils, set_up
from csiq.run_scan import run
from csiq.scan_file import read_scan
from tests.faults.twix_file import twix_file
from tests.scans import TINY, scan_and_truth


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a raw file of 32^3."""
    path = tmp_path_factory.mktemp("raw") / "scan.h5"
    write_ismrmrd(path, scan_and_truth(TINY)[0])
    return path


# ---------------------------------------------------------------- threads


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}


def test_blas_follows_the_threads_of_a_run(raw: Path) -> None:
    try:
        use_threads(3)
        assert blas_threads() == {3}
        # reading is a part of the run: delays and decay are fitted there
        read_scan(load_config(overrides={"threads": 1}), raw)
        assert blas_threads() == {1}
    finally:
        use_threads(None)
    assert blas_threads() == {default_threads()}


IDLE = """
import os, sys, threading
from pathlib import Path
import numpy as np
np.ones((600, 600)) @ np.ones((600, 600))  # starts the threads of BLAS, if it has some
from csiq.config import load_config
from csiq.run_scan import run

def spent():
    ours = {thread.native_id for thread in threading.enumerate()}
    stats = {int(t.name): (t / "stat").read_text() for t in Path("/proc/self/task").iterdir()}
    rows = {number: text.rpartition(")")[2].split() for number, text in stats.items()}
    ticks = {number: int(row[11]) + int(row[12]) for number, row in rows.items()}
    return sum(t for n, t in ticks.items() if n not in ours), sum(t for n, t in ticks.items() if n in ours)

before, _ = spent()
run(load_config(overrides={"threads": 1, "max_iter": 1, "delays": "estimate"}), sys.argv[1], sys.argv[2])
pool = [t for t in threading.enumerate() if t.name.startswith("csiq-pool")]
after, ours = spent()
print(len(pool), after - before, ours)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts the ticks that Linux tells")
def test_one_thread_is_one_thread(raw: Path, tmp_path: Path) -> None:
    """No library's own threads compute beside the one that was allowed."""
    env = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", IDLE, str(raw), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env=env,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    pool, others, ours = map(int, done.stdout.split()[-3:])
    assert pool == 1
    # ticks of 10 ms: threads of others may wake up and sleep again
    assert others <= max(3, 0.03 * ours)


# ---------------------------------------------------------------- memory


def test_memory_that_is_short_takes_fewer_coils_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as fit, and one line that says so; what does not fit coil by coil is refused."""
    scan, config = scan_and_truth(TINY)[0], load_config(overrides={"threads": 8, "phases": 2})
    asked: list[int] = []

    def needs(found: Acquisition, with_: Config, device: Device, grader: object) -> Estimate:
        batch = with_.run.coil_batch or 8
        asked.append(batch)
        return Estimate((10 + batch) * 10**9, 0, 0, 0.0, 0.0, 10**12)

    monkeypatch.setattr(coil_batches, "estimate", needs)

    def limited(size: str, **options: object) -> Config:
        return replace(config, run=replace(config.run, max_memory=size, **options))

    chosen, need, said = fitted(scan, limited("12.5GB"), Device())
    assert (chosen.run.coil_batch, need.memory_bytes, asked) == (2, 12 * 10**9, [8, 4, 2])
    assert said == "memory is short: 2 coil images at a time instead of 8, which takes longer"
    assert chosen.sha256() == config.sha256()  # the same run: it may be resumed with more memory
    enough = limited("18.5GB")
    assert fitted(scan, enough, Device())[::2] == (enough, None)
    with pytest.raises(ResourceError, match=r"needs 11.0 GB, 1.0 GB allowed by --max-memory"):
        fitted(scan, limited("1GB"), Device())
    with pytest.raises(ResourceError, match=r"needs 18.0 GB"):
        fitted(scan, limited("1GB"), Device(0))  # a GPU has a plan of its own


def test_memory_that_runs_out_in_the_set_up_takes_fewer_coils(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half as many, and again; the problem is the same to the bit, and one coil too many is one error."""
    scan = scan_and_truth(TINY)[0]
    config = load_config(overrides={"threads": 4, "phases": 2, "coils": 2})
    kept = prepare_coils(scan, config)
    smaps, (_, bins) = estimate_smaps(kept), gate(kept, config)
    whole = set_up(kept, bins, smaps, config, Device(), 4)
    tried: list[int] = []
    model = preparation.ForwardModel

    def small(coords: list[np.ndarray], maps: np.ndarray, *, coil_batch: int, **options: Any) -> ForwardModel:
        tried.append(coil_batch)
        if coil_batch > fits:
            raise MemoryError
        return model(coords, maps, coil_batch=coil_batch, **options)

    monkeypatch.setattr(preparation, "ForwardModel", small)
    fits = 1
    less = set_up(kept, bins, smaps, config, Device(), 4)
    assert tried == [4, 2, 1]
    assert np.array_equal(less.rhs, whole.rhs)
    assert np.array_equal(less.normal(less.rhs), whole.normal(less.rhs))
    fits = 0
    with pytest.raises(ResourceError, match="memory ran out; try --coils 4"):
        set_up(kept, bins, smaps, config, Device(), 4)


# ---------------------------------------------------------------- files


def open_files() -> set[str]:
    """Return what this process holds open, sockets and pipes apart."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:
            continue
    files = {name for name in found if name.startswith("/") and not name.startswith(("/dev", "/proc"))}
    # matplotlib keeps the fonts that it drew with
    return {name for name in files if "mpl-data" not in name}


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="Linux tells what is open")
def test_nothing_stays_open_and_nothing_temporary_is_left(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a run that ends well, one that fails half-way, and one that is refused."""
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    config = load_config(overrides={"threads": 1, "max_iter": 1, "save_iterates": True, "live": True})
    before = open_files()

    def stop(event: dict[str, object]) -> None:
        if event["event"] == "iteration":
            raise OSError("the listener is gone")

    run(config, raw, tmp_path / "good")
    with pytest.raises(OSError, match="listener"):
        run(config, raw, tmp_path / "failed", on_event=stop)
    with pytest.raises(CsiqError):
        run(config, raw, tmp_path / "good")
    assert open_files() <= before
    assert list(scratch.iterdir()) == []
    names = {path.name for folder in ("good", "failed") for path in (tmp_path / folder).rglob("*")}
    assert not {name for name in names if name.startswith(".") or "tmp" in name or name.endswith(".part")}
    assert not any((tmp_path / folder / ".lock").exists() for folder in ("good", "failed"))


# ---------------------------------------------------------------- packages that are not there


@pytest.mark.parametrize(
    ("package", "extra", "words"),
    [
        ("mapvbvd", "siemens", ["info", "meas.dat", "--trajectory", "golden3d"]),
        ("pydicom", "dicom", ["convert", "volume.nii.gz", "series", "--to", "dicom"]),
        ("pydicom", "dicom", ["convert", "dicom", "volume2.nii.gz", "--from", "images"]),
        (
            "distributed",
            "cluster",
            ["cohort", "run", "s.tsv", "--engine", "dask", "--scheduler", "tcp://a:1"],
        ),
        ("cupy", "gpu12", ["recon", "scan.h5", "--device", "cuda"]),
    ],
)
def test_what_is_missing_is_named_with_what_to_install(
    package: str,
    extra: str,
    words: list[str],
    raw: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scan.h5").symlink_to(raw)
    (tmp_path / "meas.dat").write_bytes(twix_file())
    nibabel.save(nibabel.Nifti1Image(np.ones((16, 16, 16), np.float32), np.eye(4)), "volume.nii.gz")
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "1.dcm").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "s.tsv").write_text("scan\traw\nfirst\tscan.h5\n")
    monkeypatch.setitem(sys.modules, package, None)
    assert main(words) in (2, 5)
    error = capsys.readouterr().err
    assert f"pip install 'csiq[{extra}]'" in error
    assert error.count("\n") == 1


WITHOUT = """
import sys
for name in ("cupy", "cufinufft", "mapvbvd", "pymapvbvd", "pydicom", "highdicom", "dask", "distributed",
             "dask_jobqueue", "tensorboard", "sklearn", "mrpro", "deepinv"):
    sys.modules[name] = None
import pkgutil, importlib, csiq
names = [m.name for m in pkgutil.walk_packages(csiq.__path__, "csiq.") if not m.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
from csiq.config import load_config
from csiq.run_scan import run
run(load_config(overrides={"threads": 1, "max_iter": 1}), sys.argv[1], sys.argv[2])
print(len(names))
"""


@pytest.mark.slow
def test_every_module_imports_and_a_scan_is_reconstructed_without_optional_packages(
    raw: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(raw), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) > 200
    assert (tmp_path / "out" / "report.html").is_file()
