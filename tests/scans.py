"""Simulated scans that several files of tests start from: each is made once in a process."""

from __future__ import annotations

from functools import cache

from csiq.acquisition import Acquisition
from csiq.simulate.protocol import ScanConfig
from csiq.simulate.scan import Truth, simulate_scan

#: What runs, sweeps and pages are tested on, where the image does not matter: a breathing scan of 32^3.
TINY = ScanConfig(matrix=32, seed=5, n_coils=4, n_spokes=600)


@cache
def scan_and_truth(config: ScanConfig) -> tuple[Acquisition, Truth]:
    """Return what :func:`csiq.simulate.scan.simulate_scan` does; nobody may change it in place."""
    return simulate_scan(config)
