"""E10 E12 E13: runs that are killed, refused or extended; what was finished stays finished."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from csiq import pipeline, run_scan
from csiq.config import Config, load_config
from csiq.errors import OutputError, RawDataError
from csiq.io.tables import read_table
from csiq.run_scan import run
from tests.faults.kinds import KINDS
from tests.faults.server import server

#: How often a run is killed; ``make soak`` asks for 50.
KILLS = int(os.environ.get("CSIQ_KILLS", "10"))


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a raw file of 16^3."""
    return KINDS["ismrmrd"].make(tmp_path_factory.mktemp("raw"))


def _no_grader(config: Config, device: object) -> None:
    """Return None, as where no model is installed."""


@pytest.fixture(autouse=True)
def _ungraded(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pipeline, run_scan):
        monkeypatch.setattr(module, "load_grader", _no_grader)


def config_of(**options: Any) -> Config:
    fixed = {"coils": 2, "phases": 2, "device": "cpu", "threads": 1}
    return load_config(overrides={**fixed, **options})


def state_of(folder: Path) -> dict[str, bytes]:
    """Return what a run found, the clocks left out."""
    rows = read_table(folder / "curves.tsv")
    curves = [{k: v for k, v in row.items() if not k.endswith("_s")} for row in rows]
    with h5py.File(folder / "volumes.h5") as file:
        return {"volumes": file["volumes"][()].tobytes(), "curves": json.dumps(curves).encode()}


def status_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())


def test_a_finished_run_is_extended_to_the_bits_of_a_longer_one(raw: Path, tmp_path: Path) -> None:
    """E10: by a larger --max-iter, from where it ended."""
    long, short = tmp_path / "long", tmp_path / "short"
    run(config_of(max_iter=5), raw, long)
    run(config_of(max_iter=2), raw, short)
    events: list[dict[str, Any]] = []
    run(config_of(max_iter=5), raw, short, resume=True, on_event=events.append)
    assert [e["iteration"] for e in events if e["event"] == "iteration"] == [3, 4, 5]
    assert state_of(short) == state_of(long)
    assert (status_of(short)["status"], status_of(short)["iterations"]) == ("complete", 5)
    # nothing is left to do, and a smaller limit takes nothing away
    for max_iter in (5, 3):
        assert run(config_of(max_iter=max_iter), raw, short, resume=True) is None
    # without the state it is computed again
    (short / "extend.h5").unlink()
    run(config_of(max_iter=6), raw, short, resume=True)
    assert status_of(short)["iterations"] == 6


class Killed(BaseException):
    """Stands for a signal."""


def test_an_extension_that_is_killed_leaves_the_finished_run(raw: Path, tmp_path: Path) -> None:
    """E10: until there is more, what was finished stays."""
    folder = tmp_path / "out"
    run(config_of(max_iter=2), raw, folder)
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "csiq.log"}

    def kill(event: dict[str, Any]) -> None:
        if event.get("iteration") == 5:
            raise Killed

    with pytest.raises(Killed):
        run(config_of(max_iter=6), raw, folder, resume=True, on_event=kill)
    assert {name: (folder / name).read_bytes() for name in before} == before
    events: list[dict[str, Any]] = []
    run(config_of(max_iter=6), raw, folder, resume=True, on_event=events.append)
    assert next(e["iteration"] for e in events if e["event"] == "iteration") == 5


def test_a_refused_resume_changes_nothing(raw: Path, tmp_path: Path) -> None:
    """E13: another configuration, or a raw file that cannot be read now."""
    folder = tmp_path / "out"

    def kill(event: dict[str, Any]) -> None:
        if event.get("iteration") == 2:
            raise Killed

    with pytest.raises(Killed):
        run(config_of(max_iter=4), raw, folder, on_event=kill)
    before = (folder / "run.json").read_bytes()
    assert status_of(folder)["status"] == "interrupted"
    with pytest.raises(OutputError, match="another configuration"):
        run(config_of(max_iter=4, lamda=0.5), raw, folder, resume=True)
    assert (folder / "run.json").read_bytes() == before
    broken = tmp_path / "scan.h5"
    broken.write_bytes(raw.read_bytes()[:9000])
    with pytest.raises(RawDataError):
        run(config_of(max_iter=4), broken, folder, resume=True)
    assert (folder / "run.json").read_bytes() == before


def _recon(raw: Path, folder: Path, seconds: float | None, number: int) -> None:
    """Reconstruct; after so many seconds, wherever that is, a signal ends it."""
    pipeline.load_grader = run_scan.load_grader = _no_grader
    if seconds is not None:

        def later() -> None:
            time.sleep(seconds)
            os.kill(os.getpid(), number)

        threading.Thread(target=later, daemon=True).start()
    if folder.exists() and any(p.name not in (".csiq.lock", "csiq.log") for p in folder.iterdir()):
        run(config_of(max_iter=8), raw, folder, resume=True)
    else:
        run(config_of(max_iter=8), raw, folder, overwrite=folder.exists())


def _in_a_process(raw: Path, folder: Path, seconds: float | None, number: int = signal.SIGKILL) -> int:
    process = server().Process(target=_recon, args=(raw, folder, seconds, number))
    process.start()
    process.join(300)
    assert process.exitcode is not None
    return process.exitcode


@pytest.mark.slow
def test_killed_at_random_it_ends_equal_to_the_bit(raw: Path, tmp_path: Path) -> None:
    """E10: SIGKILL, again and again; curves included."""
    whole = tmp_path / "whole"
    assert _in_a_process(raw, whole, None) == 0
    started = time.perf_counter()
    assert _in_a_process(raw, tmp_path / "warm", None) == 0
    took = time.perf_counter() - started
    rng, kills, folder, number = np.random.default_rng(7), 0, tmp_path / "broken-0", 0
    while kills < KILLS:
        code = _in_a_process(raw, folder, float(rng.uniform(0.1, 1.0)) * took)
        assert code in (0, -signal.SIGKILL)
        kills += code != 0
        if code == 0 or kills == KILLS:
            assert code == 0 or _in_a_process(raw, folder, None) == 0
            assert state_of(folder) == state_of(whole)
            number += 1
            folder = tmp_path / f"broken-{number}"
