"""E1 E4 E6 E7 E19: GPUs that are not there, too small or lost, memory that runs out, threads."""

from __future__ import annotations

import json
import logging
import sys
import types
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from csiq import arrays, pipeline, preparation, run_scan
from csiq.acquisition import Acquisition
from csiq.arrays import Device, choose_device
from csiq.config import Config, load_config
from csiq.cuda.memory import GpuPlan, GpuProblem, with_back_off
from csiq.errors import CsiqError, DeviceError, ResourceError
from csiq.failures import as_csiq_error
from csiq.io.volumes import CHECKPOINT
from csiq.run_scan import run
from tests.faults.kinds import KINDS, small_scan

GPU = Device(0)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a raw file of 16^3."""
    return KINDS["ismrmrd"].make(tmp_path_factory.mktemp("raw"))


@pytest.fixture(autouse=True)
def _ungraded(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pipeline, run_scan):
        monkeypatch.setattr(module, "load_grader", lambda config, device: None)


@cache
def scan() -> Acquisition:
    """Return a scan of 16^3, which nobody changes."""
    return small_scan()


def config_of(**options: Any) -> Config:
    return load_config(overrides={"coils": 2, "phases": 2, "threads": 1, "max_iter": 3, **options})


def messages(events: list[dict[str, Any]]) -> list[str]:
    return [event["message"] for event in events if event["event"] == "warning"]


def fake_cupy(monkeypatch: pytest.MonkeyPatch, *, works: bool, count: int = 2) -> None:
    """Put a CuPy in place that imports fine."""

    class CUDARuntimeError(RuntimeError):
        pass

    def zeros(*args: object, **options: object) -> None:
        if not works:
            raise CUDARuntimeError("cudaErrorInsufficientDriver")

    cupy = types.ModuleType("cupy")
    runtime = types.SimpleNamespace(CUDARuntimeError=CUDARuntimeError, getDeviceCount=lambda: count)
    cupy.cuda = types.SimpleNamespace(is_available=lambda: True, runtime=runtime)  # type: ignore[attr-defined]
    cupy.zeros = zeros  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cupy", cupy)


# ---------------------------------------------------------------- E1 E3: not there


def test_a_gpu_that_does_not_work_is_one_line_and_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cupy(monkeypatch, works=False)
    events: list[dict[str, Any]] = []
    result = pipeline.reconstruct(scan(), config_of(max_iter=1), on_event=events.append)
    line = "CuPy is installed but finds no GPU that it can use: computed on the CPU"
    assert messages(events).count(line) == 1
    assert result.warnings.count(line) == 1
    assert result.device == "cpu"
    # who asked for the CPU is told nothing, who asked for the GPU gets none
    assert preparation.device_for(scan(), config_of(device="cpu")) == (Device(), None)
    with pytest.raises(DeviceError, match="no GPU that CuPy can use") as caught:
        preparation.device_for(scan(), config_of(device="cuda"))
    assert caught.value.exit_code == 5


def test_a_number_too_high_lists_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cupy(monkeypatch, works=True, count=2)
    with pytest.raises(DeviceError, match=r"'cuda:7' is not there; found: cuda:0, cuda:1") as caught:
        choose_device("cuda:7")
    assert caught.value.exit_code == 5


# ---------------------------------------------------------------- E4: too small


class OutOfMemoryError(Exception):
    """As CuPy and torch call theirs."""


def test_fewer_coils_then_the_cpu(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Half the coils again and again, down to one; then with ``auto`` the CPU, and the same image."""
    tried: list[int] = []
    released: list[bool] = []
    whole = preparation.set_up

    def set_up(found: Any, bins: Any, smaps: Any, config: Config, device: Device, threads: int) -> Any:
        def allocate(plan: GpuPlan) -> None:
            tried.append(plan.coil_batch)
            raise OutOfMemoryError

        if device.is_gpu:
            plan = GpuPlan(GpuProblem(found.geometry.shape, 2, found.n_coils), coil_batch=8)
            return with_back_off(allocate, plan, release=lambda: None)
        return whole(found, bins, smaps, config, device, threads)

    monkeypatch.setattr(preparation, "set_up", set_up)
    monkeypatch.setattr(preparation, "release_pools", lambda: released.append(True))
    monkeypatch.setattr(pipeline, "device_for", lambda scan, config: (GPU, None))
    monkeypatch.setattr(pipeline, "use_device", lambda device: None)
    events: list[dict[str, Any]] = []
    with caplog.at_level(logging.WARNING, "csiq"):
        there = pipeline.reconstruct(scan(), config_of(device="auto"), on_event=events.append)
    assert tried == [8, 4, 2, 1]
    assert "4 coils at a time instead of 8" in caplog.text
    assert any(w.startswith("the GPU has too little memory") for w in messages(events))
    assert (there.device, released) == ("cpu", [True])
    monkeypatch.setattr(pipeline, "device_for", lambda scan, config: (Device(), None))
    here = pipeline.reconstruct(scan(), config_of(device="cpu"))
    assert np.array_equal(there.volumes, here.volumes)
    # who asked for the GPU is told
    monkeypatch.setattr(pipeline, "device_for", lambda scan, config: (GPU, None))
    with pytest.raises(ResourceError, match=r"memory ran out.*--device cpu"):
        pipeline.reconstruct(scan(), config_of(device="cuda:0"))


def test_a_scan_that_cannot_fit_goes_to_the_cpu_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "choose_device", lambda name: GPU)
    monkeypatch.setattr(preparation, "free_bytes", lambda device: 1 << 20)
    device, note = preparation.device_for(scan(), config_of(device="auto"))
    assert device == Device()
    assert note is not None
    assert "needs at least" in note
    monkeypatch.setattr(preparation, "free_bytes", lambda device: 100 << 30)
    assert preparation.device_for(scan(), config_of(device="auto")) == (GPU, None)


# ---------------------------------------------------------------- E6 E7: lost, or used up, in mid-run


class CUDARuntimeError(RuntimeError):
    """As CuPy calls it."""


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (
            CUDARuntimeError("cudaErrorDevicesUnavailable: busy"),
            DeviceError,
            "the GPU failed: cudaErrorDevicesU",
        ),
        (RuntimeError("CUDA error: unspecified launch failure"), DeviceError, "--resume goes on"),
        (CUDARuntimeError("cudaErrorMemoryAllocation: out of memory"), ResourceError, "memory ran out"),
        (MemoryError(), ResourceError, "--coil-batch 1"),
    ],
)
def test_what_ends_a_run_keeps_its_checkpoint(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type, says: str
) -> None:
    folder, normal = tmp_path / "out", pipeline.solve

    def lost(*args: Any) -> Any:
        for iterate in normal(*args):
            if iterate.iteration == 2:
                raise error
            yield iterate

    monkeypatch.setattr(pipeline, "solve", lost)
    with pytest.raises(type(error)) as caught:
        run(config_of(device="cpu"), raw, folder)
    found = as_csiq_error(caught.value)
    assert type(found) is kind
    assert found.exit_code == 5
    assert says in found.one_line()
    assert (folder / CHECKPOINT).is_file()
    assert json.loads((folder / "run.json").read_text())["status"] == "failed"
    monkeypatch.setattr(pipeline, "solve", normal)
    seen: list[dict[str, Any]] = []
    run(config_of(device="cpu"), raw, folder, resume=True, on_event=seen.append)
    assert [e["iteration"] for e in seen if e["event"] == "iteration"] == [2, 3]


def test_the_command_line_says_so_in_one_line(
    raw: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    from csiq.cli import main

    def lost(*args: Any) -> Any:
        raise CUDARuntimeError("cudaErrorNoDevice:\nno CUDA-capable device is detected")

    monkeypatch.setattr(pipeline, "solve", lost)
    assert (
        main(["recon", str(raw), "-o", str(tmp_path / "out"), "--phases", "2", "--device", "cpu", "-q"]) == 5
    )
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("csiq: error: --device: the GPU failed: cudaErrorNoDevice: no CUDA-capable device")


def test_other_errors_stay_bugs() -> None:
    for error in (ValueError("x"), RuntimeError("x"), KeyError("CUDA error")):
        assert as_csiq_error(error) is None
    wrapped = RuntimeError("Exceptions from <Multiply>")
    wrapped.__cause__ = OutOfMemoryError()
    assert isinstance(as_csiq_error(wrapped), CsiqError)


# ---------------------------------------------------------------- E19: threads


def test_a_run_uses_the_threads_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that runs side by side share the cores: every pool, transform and library takes this number."""
    import finufft
    import torch

    asked: list[int] = []
    plan: Callable[..., Any] = finufft.Plan

    def counted(*args: Any, **options: Any) -> Any:
        asked.append(options["nthreads"])
        return plan(*args, **options)

    monkeypatch.setattr(finufft, "Plan", counted)
    pools: list[int] = []
    pool = arrays._pool
    monkeypatch.setattr(arrays, "_pool", lambda threads: pools.append(threads) or pool(threads))
    before = torch.get_num_threads()
    try:
        result = pipeline.reconstruct(scan(), config_of(device="cpu", threads=2, max_iter=1))
        assert torch.get_num_threads() == 2
        assert result.threads == arrays.default_threads() == 2
    finally:
        arrays.use_threads(None)
        torch.set_num_threads(before)
    assert set(pools) <= {1, 2}
    # one thread for each of the tasks that the pool runs side by side
    assert set(asked) == {1}
