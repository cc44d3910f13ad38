"""The server that processes are forked from, with the slow imports done: there is one in a process of tests.

What it has imported is settled when it starts, so all who fork ask for the same.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext


def server() -> ForkServerContext:
    """Return what starts processes, each forked from the server."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.imported"])
    return context
