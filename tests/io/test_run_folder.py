"""The run folder: whose it is, what --overwrite may remove, and what survives a kill or a full disk."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest

from csiq.acquisition import Geometry
from csiq.errors import CsiqError, OutputError, RawDataError, ResourceError
from csiq.io import lock
from csiq.io.run_folder import (
    RunFolder,
    atomic_write,
    is_run_folder,
    read_json,
    read_table,
    write_json,
    write_table,
    write_text,
)
from csiq.io.volumes import read_checkpoint, read_complex_volumes, write_checkpoint, write_volumes

GEOMETRY = Geometry((4, 6, 8), (40.0, 60.0, 80.0))


def complete(path: Path) -> None:
    """Make a folder look like a complete run."""
    with RunFolder.open(path) as folder:
        folder.write_json("run.json", {"schema_version": 1, "csiq": "0", "status": "complete"})
        folder.write_table("curves.tsv", [{"iteration": 0}])
        folder.write_volumes(np.ones((2, 4, 6, 8)), GEOMETRY, 3)
        folder.write_iterate(np.ones((2, 4, 6, 8)), GEOMETRY, 3)


def names(path: Path) -> set[str]:
    return {str(p.relative_to(path)) for p in path.rglob("*") if p.is_file()}


def test_a_missing_or_empty_folder_is_fine(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "a" / "b") as folder:
        assert folder.path.is_dir()
        assert names(folder.path) == {lock.NAME}
    assert names(tmp_path) == set()
    with RunFolder.open(tmp_path / "a" / "b"):
        pass


def test_a_run_that_failed_at_once_makes_room(tmp_path: Path) -> None:
    (tmp_path / "csiq.log").write_text("what went wrong")
    for status, other in (("failed", "curves.tsv"), ("interrupted", ""), ("complete", "")):
        write_json(tmp_path / "run.json", {"csiq": "0", "schema_version": 1, "status": status})
        if other:
            (tmp_path / other).write_text("iteration")
        with pytest.raises(OutputError, match="is not empty"):
            RunFolder.open(tmp_path)
        (tmp_path / "curves.tsv").unlink(missing_ok=True)
    write_json(tmp_path / "run.json", {"csiq": "0", "schema_version": 1, "status": "failed"})
    with RunFolder.open(tmp_path):
        assert names(tmp_path) == {".csiq.lock"}


@pytest.mark.parametrize("name", ["run.json", "somebodys.txt"])
def test_a_folder_with_something_in_it_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(OutputError, match="is not empty; --overwrite or --resume") as caught:
        RunFolder.open(tmp_path)
    assert caught.value.exit_code == 7
    assert names(tmp_path) == {name}


def test_overwrite_removes_own_files_only(tmp_path: Path) -> None:
    complete(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "phase-x.nii.gz").write_text("mine")
    (tmp_path / "iterates" / "mine.h5").write_text("mine")
    assert is_run_folder(tmp_path)
    with pytest.raises(OutputError, match="complete run"):
        RunFolder.open(tmp_path)
    with RunFolder.open(tmp_path, overwrite=True) as folder:
        assert folder.status is None
    assert names(tmp_path) == {"notes.txt", "phase-x.nii.gz", "iterates/mine.h5"}


def test_overwrite_removes_nothing_from_a_folder_csiq_did_not_make(tmp_path: Path) -> None:
    for name in ("curves.png", "volumes.h5", "run.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(OutputError, match=r"csiq did not make it, and would replace curves\.png"):
        RunFolder.open(tmp_path, overwrite=True)
    assert names(tmp_path) == {"curves.png", "volumes.h5", "run.json"}


def test_resume_keeps_what_is_there(tmp_path: Path) -> None:
    complete(tmp_path)
    before = names(tmp_path)
    (tmp_path / ".curves.1234.csiq-tmp.tsv").write_text("half")
    with RunFolder.open(tmp_path, resume=True) as folder:
        assert folder.status == "complete"
    assert names(tmp_path) == before


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="out: exists and is no folder"):
        RunFolder.open(tmp_path / "out", overwrite=True)
    with pytest.raises(ResourceError, match="cannot be made"):
        RunFolder.open(tmp_path / "out" / "below")


def test_a_folder_that_cannot_be_written_is_found_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*args: object, **kwargs: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "write_bytes", denied)
    with pytest.raises(ResourceError, match=r"cannot be written: Read-only file system.*-o") as caught:
        RunFolder.open(tmp_path)
    assert caught.value.exit_code == 5
    monkeypatch.undo()
    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(ResourceError, match="cannot be written"):
        RunFolder.open(tmp_path)


def test_two_runs_on_one_folder(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path):
        with pytest.raises(OutputError, match=rf"process {os.getpid()} on .* is writing to it") as caught:
            RunFolder.open(tmp_path, overwrite=True)
        assert caught.value.exit_code == 7
    RunFolder.open(tmp_path).close()


@pytest.fixture
def other_run(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start another process that holds the folder."""
    code = (
        "import sys, time\nfrom csiq.io.run_folder import RunFolder\n"
        "folder = RunFolder.open(sys.argv[1])\nprint('held', flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_lock_of_a_killed_run_is_taken_over(tmp_path: Path, other_run: subprocess.Popen[str]) -> None:
    with pytest.raises(OutputError, match=f"process {other_run.pid} on"):
        RunFolder.open(tmp_path)
    other_run.send_signal(signal.SIGKILL)
    other_run.wait()
    assert (tmp_path / lock.NAME).exists()
    with RunFolder.open(tmp_path):
        assert json.loads((tmp_path / lock.NAME).read_text())["pid"] == os.getpid()
    assert not (tmp_path / lock.NAME).exists()


def test_a_lock_says_whether_its_holder_may_live(tmp_path: Path) -> None:
    host = os.uname().nodename
    started = lock._started(os.getppid())
    for content, held in [
        ({"pid": os.getppid(), "host": host, "started": started}, True),
        ({"pid": os.getppid(), "host": host, "started": "1"}, False),
        ({"pid": 2**22 + 5, "host": host, "started": None}, False),
        ({"pid": 1, "host": "elsewhere", "started": None}, True),
        ({}, False),
        ("garbage", False),
    ]:
        (tmp_path / lock.NAME).write_text(json.dumps(content))
        if held:
            with pytest.raises(OutputError, match=r"remove \.csiq\.lock if that run is dead"):
                RunFolder.open(tmp_path)
        else:
            RunFolder.open(tmp_path).close()


def fail_while_writing(path: Path, error: Exception) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        raise error


def test_an_error_keeps_what_was_there(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError):
        fail_while_writing(tmp_path / "a.txt", ZeroDivisionError())
    assert names(tmp_path) == {"a.txt"}
    assert (tmp_path / "a.txt").read_text() == "old"
    with atomic_write(tmp_path / "b.nii.gz") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(".nii.gz")
        temporary.write_text("new")
    assert (tmp_path / "b.nii.gz").read_text() == "new"


def test_a_folder_that_vanished(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"a.txt: cannot be written: No such file"):
        write_text(tmp_path / "gone" / "a.txt", "x")


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Let no file grow beyond 100 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    write_volumes(tmp_path / "volumes.h5", np.ones((2, 4, 6, 8)), GEOMETRY, 3)
    write_checkpoint(tmp_path, {"x": np.ones(5)}, {"iteration": 1})
    with pytest.raises(ResourceError, match="File too large"):
        write_volumes(tmp_path / "volumes.h5", np.ones((2, 40, 60, 80)), GEOMETRY, 4)
    with pytest.raises(ResourceError, match="File too large"):
        write_checkpoint(tmp_path, {"x": np.ones(50_000)}, {"iteration": 2})
    assert read_complex_volumes(tmp_path / "volumes.h5")[1]["iteration"] == 3
    state = read_checkpoint(tmp_path)
    assert state is not None
    assert state[1] == {"iteration": 1}
    assert names(tmp_path) == {"volumes.h5", "checkpoint.h5"}


def test_no_space_names_what_is_free(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"disk full: needs 3 B or more, [\d.]+ .B free; make room"):
        fail_while_writing(tmp_path / "a.txt", OSError(28, "No space left on device"))


def test_kill_9_while_writing_leaves_no_half_file(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\nfrom csiq.acquisition import Geometry\n"
        "from csiq.io.volumes import write_volumes, write_checkpoint\n"
        "g = Geometry((20, 20, 20), (1.0, 1.0, 1.0))\nprint('go', flush=True)\n"
        "for i in range(10**6):\n"
        "    write_volumes(sys.argv[1] + '/volumes.h5', np.full((2, 20, 20, 20), i), g, i)\n"
        "    write_checkpoint(sys.argv[1], {'x': np.full(20000, i)}, {'i': i})\n"
    )
    for delay in (0.02, 0.05, 0.11, 0.23):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            process.kill()
        if (tmp_path / "volumes.h5").exists():
            volumes, attributes = read_complex_volumes(tmp_path / "volumes.h5")
            assert np.all(volumes == attributes["iteration"])
        state = read_checkpoint(tmp_path)
        if state is not None:
            assert np.all(state[0]["x"] == state[1]["i"])
    assert (tmp_path / "volumes.h5").exists()


def test_json_is_strict(tmp_path: Path) -> None:
    @dataclass
    class Point:
        x: float

    path = tmp_path / "a.json"
    write_json(
        path,
        {
            "nan": math.nan,
            "list": [1, np.float32(0.5), np.inf, None, True, np.int64(3), np.bool_(False)],
            "array": np.array([[1.0, np.nan]]),
            "point": Point(2.0),
            "path": Path("/home/somebody/scan.h5"),
            "word": "Größe <b>",
        },
    )
    assert "NaN" not in path.read_text()
    assert "somebody" not in path.read_text()
    assert read_json(path) == {
        "nan": None,
        "list": [1, 0.5, None, None, True, 3, False],
        "array": [[1.0, None]],
        "point": {"x": 2.0},
        "path": "scan.h5",
        "word": "Größe <b>",
    }
    with pytest.raises(TypeError, match="cannot hold set"):
        write_json(path, {1, 2})
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(RawDataError, match=r"b.json: is no JSON"):
        read_json(tmp_path / "b.json")
    with pytest.raises(RawDataError, match=r"c.json: cannot be read: No such file"):
        read_json(tmp_path / "c.json")


def test_tables_keep_every_digit(tmp_path: Path) -> None:
    rows = [
        {"iteration": 0, "grade": 1 / 3, "name": "a b", "ok": True},
        {"iteration": np.int64(1), "grade": np.nan, "name": "x_1", "ok": False},
        {"iteration": 2, "grade": None, "name": "", "ok": True},
        {"iteration": 3, "grade": np.float64(1e-300), "name": "7.5", "ok": True},
    ]
    path = tmp_path / "a.tsv"
    write_table(path, rows)
    assert path.read_text().splitlines()[:3] == [
        "iteration\tgrade\tname\tok",
        f"0\t{1 / 3!r}\ta b\t1",
        "1\tnan\tx_1\t0",
    ]
    back = read_table(path)
    assert [row["iteration"] for row in back] == [0, 1, 2, 3]
    assert back[0]["grade"] == 1 / 3
    assert math.isnan(back[1]["grade"])
    assert math.isnan(back[2]["grade"])
    assert back[3]["grade"] == 1e-300
    assert back[1]["name"] == "x_1"
    write_table(path, [], ["a", "b"])
    assert read_table(path) == []


def test_damaged_tables(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tab or line break"):
        write_table(tmp_path / "a.tsv", [{"a": "x\ty"}])
    with pytest.raises(ValueError, match="unknown columns: b"):
        write_table(tmp_path / "a.tsv", [{"a": 1}, {"b": 2}])
    for content, match in [("", "is empty"), ("a\tb\n1\n", "line 2: 1 cells, the header has 2")]:
        (tmp_path / "b.tsv").write_text(content)
        with pytest.raises(RawDataError, match=match):
            read_table(tmp_path / "b.tsv")
    (tmp_path / "b.tsv").write_bytes(b"a\n\xff\n")
    with pytest.raises(RawDataError, match="not UTF-8"):
        read_table(tmp_path / "b.tsv")
    with pytest.raises(RawDataError, match=r"c.tsv: cannot be read"):
        read_table(tmp_path / "c.tsv")


def test_volumes_are_complex_and_checksummed(rng: np.random.Generator, tmp_path: Path) -> None:
    volumes = rng.standard_normal((3, 4, 6, 8, 2)).view(np.complex128)[..., 0]
    path = tmp_path / "volumes.h5"
    write_volumes(path, volumes, GEOMETRY, 7)
    with h5py.File(path) as file:
        assert file["volumes"].fletcher32
        assert file["volumes"].dtype == np.complex64
    back, attributes = read_complex_volumes(path)
    np.testing.assert_array_equal(back, volumes.astype(np.complex64))
    np.testing.assert_array_equal(attributes["voxel_size_mm"], [10, 10, 10])
    np.testing.assert_array_equal(attributes["affine"], GEOMETRY.affine)
    assert attributes["iteration"] == 7
    content = bytearray(path.read_bytes())
    at = content.index(volumes.astype(np.complex64).tobytes()[:32])
    content[at + 5] ^= 4
    path.write_bytes(content)
    with pytest.raises(RawDataError, match=r"volumes.h5: /volumes: damaged HDF5"):
        read_complex_volumes(path)


def test_checkpoints_fall_back_to_the_one_before(rng: np.random.Generator, tmp_path: Path) -> None:
    with RunFolder.open(tmp_path) as folder:
        assert folder.read_checkpoint() is None
        x = rng.standard_normal((2, 3, 4)).astype(np.complex64)
        for k in (1, 2, 3):
            arrays = {"x": k * x, "dual": None if k == 1 else np.ones(k), "scalar": np.array(2.5)}
            folder.write_checkpoint(arrays, {"iteration": k, "grade": math.nan, "cost": 1 / 3, "rows": [[1]]})
        assert names(tmp_path) == {"checkpoint.h5", "checkpoint.prev.h5", lock.NAME}
        _check_state(folder, 3 * x, 3)
        whole = (tmp_path / "checkpoint.h5").read_bytes()
        for damaged in (whole[: len(whole) // 2], b"", flipped(whole, (3 * x).tobytes())):
            (tmp_path / "checkpoint.h5").write_bytes(damaged)
            _check_state(folder, 2 * x, 2)
        (tmp_path / "checkpoint.h5").unlink()
        _check_state(folder, 2 * x, 2)
        (tmp_path / "checkpoint.prev.h5").write_bytes(b"no")
        with pytest.raises(CsiqError):
            folder.read_checkpoint()
        folder.end_checkpoints(keep=False)
        assert folder.read_checkpoint() is None


def flipped(content: bytes, inside: bytes) -> bytes:
    at = content.index(inside[:16]) + 3
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def _check_state(folder: RunFolder, x: np.ndarray, iteration: int) -> None:
    state = folder.read_checkpoint()
    assert state is not None
    arrays, attributes = state
    np.testing.assert_array_equal(arrays["x"], x)
    assert set(arrays) == {"x", "dual", "scalar"}
    assert arrays["scalar"] == 2.5
    assert attributes["iteration"] == iteration
    assert attributes["cost"] == 1 / 3
    assert math.isnan(attributes["grade"])
    assert folder.free_bytes() > 0
