"""Cohorts on a Dask cluster of this machine: a scheduler and two workers that the test starts and ends."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from csiq.cli import main
from csiq.cohort_run.status import status_of
from csiq.io.tables import read_json, read_table
from csiq.workers import cluster as cluster_module
from tests.cohort_run.fake_scans import begun

OUT = Path("scans.csiq")
ROOT = Path(__file__).parents[2]
DASK = [sys.executable, "-m", "dask"]


@dataclass
class Cluster:
    """A scheduler with workers, each with the number of its process."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)


@contextmanager
def cluster_of(n_workers: int, folder: Path) -> Iterator[Cluster]:
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__COMM__RETRY__COUNT": "0"}
    log = (folder / "dask.log").open("wb")

    def start(*words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*DASK, *words], env=environment, cwd=folder, stdout=log, stderr=log)

    host = ("--host", "127.0.0.1", "--no-dashboard")
    found = Cluster(f"tcp://127.0.0.1:{port}", start("scheduler", *host, "--port", str(port)))
    try:
        found.workers += [
            start("worker", found.address, *host, "--nthreads", "2", "--no-nanny", "--name", f"w{i}",
                  "--local-directory", str(folder / f"w{i}"))
            for i in range(n_workers)
        ]  # fmt: skip
        wait_for(lambda: answers(port))
        yield found
    finally:
        for process in (*found.workers, found.scheduler):
            process.kill()
            process.wait(10)
        log.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(what, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_no_scheduler_there(cohort, capsys, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster_module, "_PATIENCE", 0.5)
    cohort(a="5")
    command = [
        "cohort",
        "run",
        "scans.tsv",
        "--engine",
        "dask",
        "--scheduler",
        f"tcp://127.0.0.1:{free_port()}",
    ]
    assert main(command) == 5
    error = capsys.readouterr().err
    assert "no scheduler answers at tcp://127.0.0.1" in error
    assert "`dask scheduler` starts one" in error
    # nothing was begun: the same command with the right address needs no --resume
    assert not OUT.exists()


def test_a_lost_connection_is_our_line_alone(capfd):
    pytest.importorskip("distributed")
    logger = logging.getLogger("distributed.client")
    level, handler = logger.level, logging.StreamHandler(sys.stderr)
    logger.addHandler(handler)
    try:
        with cluster_module._dask_silent():
            logger.error("Traceback")
        assert capfd.readouterr().err == ""
        logger.error("Traceback")
        assert "Traceback" in capfd.readouterr().err
    finally:
        logger.removeHandler(handler)
    assert logger.level == level


@pytest.mark.slow
def test_a_killed_worker_a_poisoned_scan_a_lost_scheduler(cohort, tmp_path, capsys):
    pytest.importorskip("distributed")
    cohort(a="wait", b="bad", c="die", d="7", e="5", f="die-once")
    with cluster_of(2, tmp_path) as cluster:
        command = ["cohort", "run", "scans.tsv", "--engine", "dask", "--scheduler", cluster.address]
        codes: list[int] = []
        running = threading.Thread(target=lambda: codes.append(main(command)))
        running.start()
        # the worker that has scan a is killed; the other one, or the one that takes a, does the rest
        wait_for(lambda: begun(Path("raw/a.h5")))
        (pid,) = begun(Path("raw/a.h5"))
        (worker,) = [w for w in cluster.workers if w.pid == parent_of(pid)]
        worker.kill()
        wait_for(lambda: len(begun(Path("raw/a.h5"))) == 2)
        Path("raw/a.go").touch()
        running.join(60)
        assert codes == [6]
        assert "2 of 6 scans failed" in capsys.readouterr().err
        rows = {row["scan"]: row for row in read_table(OUT / "cohort.tsv")}
        assert {name for name, row in rows.items() if row["status"] == "complete"} == set("adef")
        assert "its process was ended by SIGKILL" in rows["c"]["error"]
        assert rows["b"]["error"] == "b.h5: no signal"
        assert (OUT / "scans" / "d" / "csiq.log").read_text() == "d: 7, 2 threads\n"

        # the scheduler is lost while a scan runs: its process ends, what was finished stays
        cohort(a="wait", b="wait", c="4", d="7", e="5", f="die-once")
        before = (OUT / "scans" / "d" / "run.json").stat().st_mtime_ns
        running = threading.Thread(target=lambda: codes.append(main([*command, "--resume"])))
        running.start()
        wait_for(lambda: begun(Path("raw/b.h5")))
        (pid,) = begun(Path("raw/b.h5"))
        cluster.scheduler.send_signal(signal.SIGKILL)
        running.join(60)
        assert codes == [6, 5]
        assert "the scheduler was lost" in capsys.readouterr().err
        wait_for(lambda: not Path(f"/proc/{pid}").exists())
    assert read_json(OUT / "cohort-run.json")["status"] == "interrupted"
    assert status_of(OUT)["status"] == "interrupted"
    assert (OUT / "scans" / "d" / "run.json").stat().st_mtime_ns == before
    # and the rest is done here
    Path("raw/b.go").touch()
    assert main(["cohort", "run", "scans.tsv", "--resume", "--workers", "2", "-q"]) == 0
    assert status_of(OUT)["scans"]["complete"] == 6


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
