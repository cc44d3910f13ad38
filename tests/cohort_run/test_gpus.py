"""Several GPUs in one machine: counted in a process apart, one a worker, each worker sees its own alone.

A stand-in for CuPy counts what ``CUDA_VISIBLE_DEVICES`` names, as the real one does, of three that are there.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from csiq.cohort_run import run as run_module
from csiq.cohort_run.job import ScanJob
from csiq.cohort_run.places import environments, visible_gpus, with_memory_share, workers_here
from csiq.cohort_run.request import CohortRequest, HowToRun
from csiq.cohort_run.run import Listening, Plan, run_cohort
from csiq.config import load_config
from csiq.errors import CohortError, DeviceError
from tests.cohort_run.fake_scans import on_its_gpu

CUPY = """
import os
from types import SimpleNamespace
from unittest.mock import MagicMock

def __getattr__(name):  # what SigPy takes while it is imported
    if name.startswith("__"):
        raise AttributeError(name)
    return MagicMock()

def count():
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return 3 if named is None else len([name for name in named.split(",") if name.strip() in set("012")])

class CUDARuntimeError(RuntimeError):
    pass

runtime = SimpleNamespace(getDeviceCount=count, CUDARuntimeError=CUDARuntimeError)
cuda = SimpleNamespace(is_available=lambda: count() > 0, runtime=runtime)
zeros = lambda *shape, dtype: None
"""


@pytest.fixture
def three_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes that are started find a CuPy, and three GPUs."""
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "cupy.py").write_text(CUPY)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def job(**options: object) -> ScanJob:
    return ScanJob("a", Path("/a.h5"), load_config(overrides=options), Path("/out"))


@pytest.mark.usefixtures("three_gpus")
def test_gpus_are_counted_apart_and_as_far_as_they_are_seen(monkeypatch):
    assert visible_gpus([job()]) == ["0", "1", "2"]
    # of a share that Slurm gave, the names that it gave
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 1")
    assert visible_gpus([job(device="cuda")]) == ["2", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus([job()]) == []


@pytest.mark.usefixtures("three_gpus")
def test_a_cupy_that_ends_its_process_is_one_line(tmp_path):
    (tmp_path / "packages" / "cupy.py").write_text("import os\nos._exit(9)\n")
    with pytest.raises(DeviceError, match=r"CuPy .*ended by itself \(code 9\).*; --device cpu"):
        visible_gpus([job()])


def test_who_names_a_device_is_taken_at_their_word():
    assert visible_gpus([job(), job(device="cuda:1")]) == []
    assert visible_gpus([job(device="cpu")]) == []


def test_one_worker_a_gpu_and_no_more_than_scans():
    gpus = ["0", "1", "2"]
    assert workers_here(None, 10, gpus) == 3
    assert workers_here(None, 2, gpus) == 2
    assert workers_here(5, 10, gpus) == 5
    seen = [one["CUDA_VISIBLE_DEVICES"] for one in environments(5, gpus)]
    assert seen == ["0", "1", "2", "0", "1"]
    assert environments(2, []) == [{}, {}]
    # the memory of a GPU is not shared out as the host's is
    jobs = [job(), job()]
    assert with_memory_share(jobs, 3, gpus) == jobs


@pytest.mark.slow
@pytest.mark.usefixtures("three_gpus", "fakes")
def test_each_scan_computes_on_the_one_gpu_it_sees(cohort, monkeypatch):
    """The whole of ``csiq cohort run``, with scans that write down where they would compute, and fail."""
    monkeypatch.setattr(run_module, "reconstruct_scan", on_its_gpu)
    manifest = cohort(a="", b="", c="")
    plans: list[Plan] = []
    request = CohortRequest(manifest, Path("out"), None, None, {})
    with pytest.raises(CohortError, match="3 of 3 scans failed"):
        run_cohort(request, HowToRun(), Listening(plans.append))
    assert "in 3 processes" in plans[0].place
    assert "3 GPUs" in plans[0].place
    # one that sees one GPU calls it the first
    found = sorted(path.read_text() for path in Path("raw").glob("*.where"))
    assert found == ["cuda:0 of 0", "cuda:0 of 1", "cuda:0 of 2"]
