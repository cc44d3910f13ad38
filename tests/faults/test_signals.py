"""E12: SIGTERM and its like, and Ctrl-C: a checkpoint, an honest record, and the same image in the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest

from csiq import arrays, pipeline, run_scan
from csiq.cli import main
from csiq.io.volumes import CHECKPOINT, read_checkpoint
from tests.faults.kinds import KINDS
from tests.faults.server import server
from tests.faults.test_resume import state_of

#: Seconds of the processor that a run may use after a signal: by the clock others count as well.
LEFT_S = 5.0
#: Iterations of a run that a signal stops, and how many it has done by then.
MANY, STOPPED_AFTER = 100_000, 3


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a raw file of 16^3."""
    return KINDS["ismrmrd"].make(tmp_path_factory.mktemp("raw"))


def _command(folder: Path, words: list[str]) -> None:
    """Run ``csiq`` in this process, ungraded; what it says goes to a file."""
    # a shell that starts the tests in its background has them ignore SIGINT, and so all they start
    signal.signal(signal.SIGINT, signal.default_int_handler)
    pipeline.load_grader = run_scan.load_grader = lambda config, device: None  # type: ignore[assignment]
    with open(folder / "said", "a", encoding="utf-8") as said, redirect_stderr(said):
        sys.exit(main(words))


def _started(folder: Path, raw: Path, out: str, *more: object) -> Any:
    fixed = ["--phases", "2", "--coils", "2", "--device", "cpu", "--threads", "1", "-q"]
    words = ["recon", str(raw), "-o", str(folder / out), *fixed, *map(str, more)]
    process = server().Process(target=_command, args=(folder, words))
    process.start()
    return process


def _wait(process: Any, what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not what():
        assert process.is_alive(), process.exitcode
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _has_come_to(out: Path, iteration: int) -> bool:
    table = out / "curves.tsv"
    return table.is_file() and len(table.read_text().splitlines()) > 1 + 2 * iteration


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 143)]
)
def test_a_signal_leaves_a_checkpoint_to_go_on_from(
    raw: Path, tmp_path: Path, number: int, code: int
) -> None:
    out = tmp_path / "out"
    process = _started(tmp_path, raw, "out", "--max-iter", MANY)
    _wait(process, lambda: _has_come_to(out, STOPPED_AFTER))
    before = _cpu_s(process.pid)
    used = before
    os.kill(process.pid, number)
    while process.is_alive():
        try:
            used = _cpu_s(process.pid)
        except (OSError, IndexError):
            break
        time.sleep(0.005)
    process.join(60)
    assert process.exitcode == code
    assert used - before < LEFT_S
    said = (tmp_path / "said").read_text().splitlines()
    assert len(said) == 1
    assert said[0].startswith("csiq: interrupted: ")
    assert "--resume" in said[0]
    record = json.loads((out / "run.json").read_text())
    assert (record["status"], record["stop"]["reason"]) == ("interrupted", "interrupted")
    assert not (out / ".csiq.lock").exists()
    assert not [p for p in out.iterdir() if "csiq-tmp" in p.name]
    found = read_checkpoint(out)
    assert found is not None
    done = found[1]["state"]["iteration"]
    # at most one iteration is lost: its row of the curves comes just before its checkpoint
    assert done >= max(STOPPED_AFTER, record["iterations"]) - 1
    if number != signal.SIGTERM:
        return
    # with fewer iterations than it was to have: the hash of a checkpoint leaves the limit out
    for folder, more in (("out", ["--resume"]), ("whole", [])):
        process = _started(tmp_path, raw, folder, "--max-iter", done + 2, *more)
        process.join(120)
        assert process.exitcode == 0
    assert state_of(out) == state_of(tmp_path / "whole")
    assert not (out / CHECKPOINT).exists()


def test_what_has_not_begun_is_not_waited_for() -> None:
    """Tasks in line behind long ones are dropped when an error, or a signal, ends the work."""
    done: list[int] = []

    def task(number: int) -> Callable[[], None]:
        def run() -> None:
            if number == 0:
                raise ValueError("first")
            time.sleep(0.05)
            done.append(number)

        return run

    with pytest.raises(ValueError, match="first"):
        arrays.run_tasks([task(number) for number in range(40)], threads=1)
    time.sleep(0.2)
    assert len(done) <= 2


@pytest.mark.slow
def test_the_program_ends_at_once_though_threads_compute(tmp_path: Path) -> None:
    """Transforms of large volumes take longer than a batch system waits."""
    script = (
        "import os, signal, sys, threading, time\n"
        "import csiq.cli.entry as entry\n"
        "from csiq import arrays\n"
        "def recon(context):\n"
        "    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()\n"
        "    arrays.run_tasks([lambda: time.sleep(60)] * 3, 1)\n"
        "entry.csiq.invoke = recon\n"
        "sys.argv = ['csiq', 'recon', 'x.h5']\n"
        "sys.exit(entry.main())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50)
    assert done.returncode == 143
    assert done.stderr == "csiq: interrupted: terminated; go on with --resume\n"
