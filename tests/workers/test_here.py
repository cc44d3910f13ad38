"""Tasks in processes of their own: whatever happens to one, the others go on."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import pytest

from csiq.errors import RawDataError
from csiq.workers.apart import Apart, ProcessDied
from csiq.workers.engine import Call
from csiq.workers.here import LocalEngine
from tests.workers.fake_tasks import behave


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def log_of(folder: Path, item: str) -> Path:
    return folder / item.replace("/", "_") / "log"


def test_whatever_ends_a_process_the_others_go_on(tmp_path):
    items = ["good", "die", "refuse", "leave", "print"]
    call = Call(behave, partial(log_of, tmp_path))
    with LocalEngine(call, [{"SLOT": "a"}, {"SLOT": "b"}], threads=3) as engine:
        for item in items:
            engine.submit(item)
        ended = {one.item: one for one in (engine.next_ended() for _ in items)}
    assert set(ended) == set(items)
    assert ended["good"].value[:-1] == "good: 3 threads, 3, "
    assert ended["good"].value[-1] in "ab"
    assert isinstance(ended["die"].error, ProcessDied)
    assert "SIGKILL: out of memory, perhaps" in str(ended["die"].error)
    assert "ended by itself (code 3)" in str(ended["leave"].error)
    refused = ended["refuse"].error
    assert isinstance(refused, RawDataError)
    assert (refused.file, refused.field) == ("scan.h5", "kspace")
    # what it printed is in its own log, and not in its answer
    assert ended["print"].value.startswith("print: ")
    assert (tmp_path / "print" / "log").read_text() == "loud\n"
    assert (tmp_path / "good" / "log").read_text() == ""


def test_what_runs_ends_with_the_engine(tmp_path):
    mark = tmp_path / "begun"
    engine = LocalEngine(Call(behave, partial(log_of, tmp_path)), [{}], threads=1)
    engine.submit(f"sleep {mark}")
    engine.submit("good")
    wait_for(mark)
    (apart,) = engine._running
    started = time.monotonic()
    engine.close()
    assert time.monotonic() - started < 5
    assert not is_alive(apart.pid)


def test_a_process_ends_when_nobody_waits_for_it(tmp_path):
    mark = tmp_path / "begun"
    apart = Apart(partial(behave, threads=1), f"sleep {mark}")
    wait_for(mark)
    apart.ask_to_end()
    with pytest.raises(ProcessDied, match="code 143"):
        apart.result()


def wait_for(path: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not come"
        time.sleep(0.02)
