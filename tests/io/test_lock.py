"""Locks of other hosts: held while they are touched, stale once nobody does."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from csiq.errors import OutputError
from csiq.io import lock


def lock_of_another_host(folder: Path, silent_for: float) -> Path:
    path = folder / lock.NAME
    path.write_text(json.dumps({"pid": 1, "host": "elsewhere", "started": "1"}))
    then = time.time() - silent_for
    os.utime(path, (then, then))
    return path


def test_a_lock_of_another_host_is_held_while_it_is_touched(tmp_path):
    path = lock_of_another_host(tmp_path, 60)
    assert lock.is_held(tmp_path)
    with pytest.raises(lock.FolderInUse, match="process 1 on elsewhere is writing to it") as caught:
        lock.FolderLock(tmp_path)
    assert isinstance(caught.value, OutputError)
    assert json.loads(path.read_text())["host"] == "elsewhere"


def test_a_silent_lock_of_another_host_is_taken_over(tmp_path):
    path = lock_of_another_host(tmp_path, lock.SILENT_S + 60)
    assert not lock.is_held(tmp_path)
    held = lock.FolderLock(tmp_path)
    assert json.loads(path.read_text())["pid"] == os.getpid()
    held.release()
    assert not path.exists()
    assert not lock.is_held(tmp_path)


def test_a_holder_touches_its_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "TOUCH_S", 0.02)
    held = lock.FolderLock(tmp_path)
    path = tmp_path / lock.NAME
    os.utime(path, (1, 1))
    deadline = time.monotonic() + 10
    while path.stat().st_mtime < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    held.release()
    assert [p.name for p in tmp_path.iterdir()] == []
