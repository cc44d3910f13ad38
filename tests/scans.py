"""Simulated scans that several files of tests start from: each is made once in a run of the tests."""

from __future__ import annotations

import hashlib
import os
import pickle
from functools import cache
from pathlib import Path

from csiq.acquisition import Acquisition
from csiq.io.atomic import atomic_write
from csiq.simulate.protocol import ScanConfig
from csiq.simulate.scan import Truth, simulate_scan

#: What runs, sweeps and pages are tested on, where the image does not matter: a breathing scan of 32^3.
TINY = ScanConfig(matrix=32, seed=5, n_coils=4, n_spokes=600)
#: What commands are tested on that need a raw file and little else.
TINIEST = ScanConfig(matrix=24, n_spokes=420, n_coils=3)


@cache
def scan_and_truth(config: ScanConfig) -> tuple[Acquisition, Truth]:
    """Return what :func:`csiq.simulate.scan.simulate_scan` does; nobody may change it in place.

    Where the tests run in several processes, ``CSIQ_TEST_SCANS`` is a folder that they share.
    """
    folder = os.environ.get("CSIQ_TEST_SCANS")
    if folder is None:
        return simulate_scan(config)
    path = Path(folder) / f"{hashlib.sha256(repr(config).encode()).hexdigest()[:16]}.pickle"
    if not path.is_file():  # two processes may both make it: they make the same
        with atomic_write(path) as temporary:
            temporary.write_bytes(pickle.dumps(simulate_scan(config)))
    found: tuple[Acquisition, Truth] = pickle.loads(path.read_bytes())
    return found
