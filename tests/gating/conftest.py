"""What the gating tests share."""

from __future__ import annotations

import numpy as np
import pytest

from csiq.acquisition import Acquisition
from tests.gating.moving_body import Body, scan_of


@pytest.fixture(scope="session")
def breathing_scan() -> tuple[Acquisition, np.ndarray]:
    """Return the scan every test may start from, and the displacement at each navigator."""
    return scan_of(Body())
