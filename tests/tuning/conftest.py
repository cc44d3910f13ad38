"""A scan that all tests of a sweep share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from csiq.acquisition import Acquisition
    from csiq.simulate.scan import Truth


@pytest.fixture(scope="session")
def small() -> tuple[Acquisition, Truth]:
    """Return a 32^3 scan and its truth."""
    from csiq.simulate.protocol import ScanConfig
    from csiq.simulate.scan import simulate_scan

    return simulate_scan(ScanConfig(matrix=32, seed=5, n_coils=4, n_spokes=600))


@pytest.fixture(scope="session")
def scan(small: tuple[Acquisition, Truth]) -> Acquisition:
    """Return the scan alone."""
    return small[0]
