"""A Python whose every use of a network is refused and written down, on a host whose name gives it away."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOST = "zyxhost"
#: Read by every Python that is started: an audit hook sees what C code asks for, too.
_SITE = """
import os, sys

def refuse(event, arguments):
    asks = event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request")
    if event in ("socket.connect", "socket.bind"):
        asks = isinstance(arguments[1], tuple)  # an address of the internet; a path is this machine's
    if event == "socket.bind" and arguments[1] == ("::1", 0):
        asks = False  # urllib3, once imported, looks whether this machine knows IPv6: nothing leaves it
    if asks:
        with open(os.environ["REFUSED"], "a") as log:
            log.write(f"{event} {arguments!r}\\n")
        raise OSError(101, "Network is unreachable")

sys.addaudithook(refuse)
"""


@cache
def cut_off() -> tuple[str, ...]:
    """Return what a command begins with to have no network and another host name; empty if not permitted."""
    if shutil.which("unshare") is None:
        return ()
    for options in ("-nu", "-rnu"):
        words = ("unshare", options, "sh", "-c", f'hostname {HOST} && exec "$@"', "sh")
        if subprocess.run([*words, "true"], capture_output=True).returncode == 0:
            return words
    return ()


def run_offline(
    script: str, folder: Path, timeout: float = 300
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run Python in a folder without a network; return how it ended, and what it asked the network for."""
    site, log = folder / "site", folder / "refused"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(_SITE)
    environment = {
        **{k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")},
        "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]),
        "REFUSED": str(log),
        "USER": "zyxuser",
        "LOGNAME": "zyxuser",
    }
    done = subprocess.run(
        [*cut_off(), sys.executable, "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return done, log.read_text() if log.exists() else ""
