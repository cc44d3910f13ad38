"""E15 E16: a disk that is full, read-only or gone while a run writes to it: a small one in memory."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from csiq import pipeline, run_scan
from csiq.config import Config, load_config
from csiq.errors import ResourceError
from csiq.io.atomic import TEMPORARY
from csiq.io.lock import NAME
from csiq.run_scan import run
from tests.faults.kinds import KINDS
from tests.faults.test_resume import state_of


def mount(*words: str | Path) -> None:
    subprocess.run(["mount", *map(str, words)], check=True, capture_output=True)


class Disk:
    """A file system of 8 MB in memory, seen at ``path`` as a share is."""

    def __init__(self, folder: Path) -> None:
        self.path, self._home = folder / "share", folder / "home"
        for place in (self.path, self._home):
            place.mkdir()
        mount("-t", "tmpfs", "-o", "size=8m", "tmpfs", self._home)
        self.come_back()

    def vanish(self) -> None:
        """Be gone for whoever asks by name, as a share whose server is."""
        subprocess.run(["umount", "-l", str(self.path)], check=True, capture_output=True)

    def come_back(self) -> None:
        """Be there again."""
        mount("--bind", self._home, self.path)

    def change(self, option: str) -> None:
        """Mount it anew: ``ro``, ``rw``."""
        mount("-o", f"remount,{option}", self._home)

    def fill(self) -> None:
        """Leave no byte."""
        with open(self.path / "filler", "wb", buffering=0) as filler:
            size = 1 << 16
            while size:
                try:
                    filler.write(b"x" * size)
                except OSError:  # full
                    size //= 2

    def close(self) -> None:
        for place in (self.path, self._home):
            subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Return a small file system, or skip where nobody may mount one."""
    try:
        found = Disk(tmp_path)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting is not permitted here; tests/io/test_run_folder.py has fakes of the same")
    try:
        yield found
    finally:
        found.close()


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a raw file of 16^3."""
    return KINDS["ismrmrd"].make(tmp_path_factory.mktemp("raw"))


@pytest.fixture(autouse=True)
def _ungraded(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pipeline, run_scan):
        monkeypatch.setattr(module, "load_grader", lambda config, device: None)


def config_of(**options: Any) -> Config:
    fixed = {"coils": 2, "phases": 2, "device": "cpu", "threads": 1, "max_iter": 5}
    return load_config(overrides={**fixed, **options})


def at_iteration(number: int, act: Callable[[], None]) -> Callable[[dict[str, Any]], None]:
    def on_event(event: dict[str, Any]) -> None:
        if event.get("iteration") == number:
            act()

    return on_event


def held_files(folder: Path) -> list[str]:
    """Return what this process has open below a folder."""
    links = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    return [
        at for link in links if os.path.lexists(link) and (at := os.readlink(link)).startswith(str(folder))
    ]


@pytest.mark.parametrize(("stop", "number"), [("full", 2), ("full", 5), ("gone", 3)])
def test_what_was_there_is_kept_and_gone_on_from(
    disk: Disk, raw: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], stop: str, number: int
) -> None:
    """Whatever is under way then: tables, checkpoint, images, pages, log, lock."""
    out = disk.path / "out"

    def act() -> None:
        disk.fill() if stop == "full" else disk.vanish()

    with pytest.raises(ResourceError) as caught:
        run(config_of(), raw, out, on_event=at_iteration(number, act))
    line = caught.value.one_line()
    assert ("disk full: needs" in line and "free" in line) if stop == "full" else "No such file" in line
    assert "Traceback" not in "".join(capfd.readouterr())
    assert held_files(tmp_path) == []
    if stop == "gone":
        disk.come_back()
    record = json.loads((out / "run.json").read_text())
    assert record["status"] in ("running", "failed")
    assert not [p.name for p in out.iterdir() if TEMPORARY in p.name]
    if stop == "full":
        (disk.path / "filler").unlink()
        assert not (out / NAME).exists()
    events: list[dict[str, Any]] = []
    run(config_of(), raw, out, resume=True, on_event=events.append)
    # the work of no more than the iterations since the last checkpoint that fitted is lost
    assert next(e["iteration"] for e in events if e["event"] == "iteration") >= number - 1
    run(config_of(), raw, tmp_path / "whole")
    assert state_of(out) == state_of(tmp_path / "whole")


def test_it_is_said_before_any_work(disk: Disk, raw: Path) -> None:
    events: list[dict[str, Any]] = []
    disk.change("ro")
    with pytest.raises(ResourceError, match="Read-only file system") as caught:
        run(config_of(), raw, disk.path / "out", on_event=events.append)
    assert caught.value.exit_code == 5
    disk.change("rw")
    (disk.path / "out").mkdir()
    disk.change("ro")
    with pytest.raises(ResourceError, match="Read-only file system"):
        run(config_of(), raw, disk.path / "out", on_event=events.append)
    disk.change("rw")
    (disk.path / "most").write_bytes(bytes(15 << 19))
    with pytest.raises(ResourceError, match=r"needs 917\.5 kB of disk, [\d.]+ kB free"):
        run(config_of(), raw, disk.path / "out", on_event=events.append)
    assert not [e for e in events if e["event"] in ("start", "iteration")]
