"""One run a folder: a lock file with process and host, taken over when that process is dead.

Whether a process on another host is alive cannot be asked, so every holder touches its lock now and then: one
that has been silent for :data:`SILENT_S` by the clock of the file system is dead, or its host is.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from csiq.errors import OutputError, ResourceError

NAME = ".csiq.lock"
#: Seconds between two touches, and after which a lock of another host is that of a dead process. Shares keep
#: what they know of a file for up to a minute.
TOUCH_S, SILENT_S = 15.0, 240.0


class FolderInUse(OutputError):
    """A folder that another process is writing to, as far as one can know."""


class FolderLock:
    """The lock of a folder, held from construction to :meth:`release`.

    The kernel's lock on the file (flock) decides between processes of one host and frees itself when its
    process dies; what the file says decides where that lock does not reach, on a network share.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    FolderInUse
        If a live process holds it, or one on another host may.
    ResourceError
        If the lock file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._handle = self._acquire()
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "started": _started(os.getpid())}
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, json.dumps(holder).encode(), 0)
        self._released = threading.Event()
        threading.Thread(target=self._live, name="csiq-lock", daemon=True).start()

    def _live(self) -> None:
        while not self._released.wait(TOUCH_S):
            with suppress(OSError):
                os.utime(self._path)

    def _acquire(self) -> int:
        while True:
            try:
                handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as error:
                raise ResourceError(
                    f"cannot be written: {error.strerror}",
                    file=self._path.parent,
                    hint="choose another folder with -o",
                ) from None
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _read(handle)
                os.close(handle)
                raise self._locked(holder) from None
            except OSError:
                # No flock on this file system: what the file says is all there is
                pass
            if not self._is_current(handle):
                os.close(handle)
                continue
            holder = _read(handle)
            if _may_be_alive(holder, self._path):
                os.close(handle)
                raise self._locked(holder)
            return handle

    def _is_current(self, handle: int) -> bool:
        # Its holder may have removed the file between our opening and locking it
        try:
            return os.fstat(handle).st_ino == self._path.stat().st_ino
        except FileNotFoundError:
            return False

    def _locked(self, holder: dict[str, Any]) -> FolderInUse:
        who = f"process {holder['pid']} on {holder['host']}" if holder else "another process"
        return FolderInUse(
            f"{who} is writing to it",
            file=self._path.parent,
            hint=f"wait, choose another folder, or remove {NAME} if that run is dead",
        )

    def release(self) -> None:
        """Remove the lock file and let go."""
        self._released.set()
        if self._handle >= 0:
            # on a share that is gone or read-only by now: its next user sees that we are dead
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = -1


def is_held(folder: Path) -> bool:
    """Return whether somebody may be writing to a folder; its lock is not touched."""
    try:
        handle = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return _may_be_alive(_read(handle), folder / NAME)
    finally:
        os.close(handle)


def _read(handle: int) -> dict[str, Any]:
    """Return what a lock file says; empty if it is damaged (its writer was killed at once)."""
    try:
        content = json.loads(os.pread(handle, 4096, 0))
        return {"pid": int(content["pid"]), "host": str(content["host"]), "started": content.get("started")}
    except (ValueError, KeyError, TypeError):
        return {}


def _may_be_alive(holder: dict[str, Any], path: Path) -> bool:
    if not holder:
        return False
    if holder["host"] != socket.gethostname():
        return _silence(path) < SILENT_S
    if holder["pid"] == os.getpid():
        # A lock of ours that was let go, or of a dead process whose number we got
        return False
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    # The number may have been given to a new process since
    return holder["started"] is None or holder["started"] == _started(holder["pid"])


def _silence(path: Path) -> float:
    """Return the seconds since a lock was touched, by the clock of its file system; 0 if nobody can say."""
    try:
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            now = os.fstat(probe.fileno()).st_mtime
        return now - path.stat().st_mtime
    except OSError:
        return 0.0


def _started(pid: int) -> str | None:
    """Return when a process started, in the kernel's ticks; None where that is not to be had."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]
