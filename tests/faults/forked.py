"""Damaged files against commands, many in one process, which may not use much memory nor time.

Each kind of file has a worker of its own, forked from a server that has the slow imports done: what a
damaged file does to it (a crash inside HDF5, say) is seen from outside, and named.
"""

from __future__ import annotations

import io
import os
import resource
import signal
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import NoReturn

import numpy as np

from tests.faults.damage import damaged
from tests.faults.kinds import KINDS, Kind
from tests.faults.server import server

#: What a case may use: seconds of the processor, seconds by the clock that it may sleep, bytes.
CPU_S, WALL_S, MEMORY = 5.0, 30.0, 1 << 30
#: Seconds by the clock until the first case has ended.
FIRST_S = 900.0
#: How a fault may end: usage, input, model, run folder. No bug (1), no resource (5).
_FAULTS = {2, 3, 4, 7}


@dataclass
class Report:
    """How the cases of one kind ended."""

    codes: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0
    slowest: float = 0.0


class _TooSlowError(BaseException):
    """A case used more of the processor than it may."""


def try_cases(name: str, cases: Sequence[int], folder: Path) -> Report:
    """Try cases of a kind in a process of their own; a case that kills it is wrong, and the rest goes on."""
    context = server()
    report, left = Report(), list(cases)
    while left:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(name, left, folder, theirs), daemon=True)
        process.start()
        theirs.close()
        done = _listen(ours, process.pid or 0, report)
        process.join(5)
        if done < len(left):
            report.wrong.append(f"{name} case {left[done]}: the process hung or died ({process.exitcode})")
            process.kill()
        left = left[done + 1 :]
    return report


def _listen(connection: Connection, pid: int, report: Report) -> int:
    """Take results until the worker has gone or hangs; return how many cases it finished."""
    done, since, used = 0, time.monotonic(), 0.0
    while True:
        try:
            if not connection.poll(1):
                # the first one has to make the file and import the command before
                if _hangs(pid, since, used) if done else time.monotonic() - since > FIRST_S:
                    return done
                continue
            code, wrong, spent = connection.recv()
        except EOFError:
            return done
        report.codes[code] += 1
        report.slowest = max(report.slowest, spent)
        report.seconds += spent
        report.wrong += [wrong] if wrong else []
        done, since, used = done + 1, time.monotonic(), _cpu_s(pid)


def _hangs(pid: int, since: float, used: float) -> bool:
    """Return whether a case goes round in C, where no signal reaches, or waits for what never comes.

    On a busy machine a process may be ready for minutes and not get its turn.
    """
    state = _stat(pid)[0]
    waited = time.monotonic() - since
    return _cpu_s(pid) - used > 2 * CPU_S or (waited > WALL_S and state not in "RDZ")


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["Z", *["0"] * 20]


def _cpu_s(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _work(name: str, cases: Sequence[int], folder: Path, connection: Connection) -> None:
    kind = KINDS[name]
    place = folder / f"{name}-{cases[0]}"
    place.mkdir()
    path = kind.make(place)
    whole = path.read_bytes()
    code, said, _ = _tried(kind, path)  # also imports what the command needs, before the limits
    assert code == 0, (name, said)
    _limit_memory()
    signal.signal(signal.SIGPROF, _too_slow)
    for case in cases:
        # by seed and case alone: a case that fails can be tried again by itself
        damage = damaged(whole, np.random.default_rng([20201, case]))
        if damage.content == whole:
            connection.send((0, None, 0.0))
            continue
        path.write_bytes(damage.content)
        began = time.process_time()
        ended = _judged(kind, path, damage.kind, said, f"{name} case {case} ({damage.kind})")
        connection.send((*ended, time.process_time() - began))
    connection.close()


def _judged(kind: Kind, path: Path, damage: str, before: str, what: str) -> tuple[int, str | None]:
    """Return the exit code of one damaged file, and what is wrong with how it ended, if anything."""
    code, said, errors = _tried(kind, path)
    if "Traceback" in errors or "Traceback" in said:
        return code, f"{what}: a traceback: {errors[-600:]}"
    if code == 0:
        same = said == before
        if kind.checked and not same:
            return code, f"{what}: another result from a checksummed file"
        if damage == "truncated" and not same and not kind.open_ended:
            return code, f"{what}: truncated and taken for whole"
        return code, None
    if code not in _FAULTS:
        return code, f"{what}: exit {code}: {errors[-600:]}"
    last = errors.strip().splitlines()[-1:] or [""]
    if not last[0].startswith("csiq: error: "):
        return code, f"{what}: exit {code} without its line: {errors[-300:]}"
    return code, None


def _tried(kind: Kind, path: Path) -> tuple[int, str, str]:
    """Run the kind's command on the file as it is: exit code, what it printed, what it complained of."""
    out, err = io.StringIO(), io.StringIO()
    started = time.process_time()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            signal.setitimer(signal.ITIMER_PROF, CPU_S)
            code = kind.run(path)
    except _TooSlowError:
        return 99, "", f"more than {CPU_S:g} s of the processor"
    except BaseException:
        return 1, "", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    spent = time.process_time() - started
    return (code, out.getvalue(), err.getvalue()) if spent < 2 * CPU_S else (99, "", f"{spent:.0f} s")


def _too_slow(number: int, frame: FrameType | None) -> NoReturn:
    raise _TooSlowError


def _limit_memory() -> None:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    mapped = 1024 * int(status.partition("VmSize:")[2].split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
