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
    from tests.scans import TINY, scan_and_truth

    return scan_and_truth(TINY)


@pytest.fixture(scope="session")
def scan(small: tuple[Acquisition, Truth]) -> Acquisition:
    """Return the scan alone."""
    return small[0]
