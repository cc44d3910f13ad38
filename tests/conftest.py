"""Fixtures that many tests share."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import pytest

if TYPE_CHECKING:
    from csiq.acquisition import Acquisition
    from csiq.simulate.scan import Truth

matplotlib.use("Agg")


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a seeded random generator: every test sees the same numbers."""
    return np.random.default_rng(20201)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of measured scans, or skip where it is absent.

    It lies beside the checkout (``../shared/data``); ``CSIQ_SHARED_DATA`` names another place.
    """
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CSIQ_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip("measured data (../shared/data) is not on this machine")
    return folder


def _gpu_works() -> bool:
    from csiq.arrays import gpu_count

    return gpu_count() > 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked ``gpu`` where there is none; begin with the files that take long.

    Several processes then end at about the same time.
    """
    slow = Counter(item.path for item in items if "slow" in item.keywords)
    items.sort(key=lambda item: -slow[item.path])  # stable: the order within a file stays
    if any("gpu" in item.keywords for item in items) and not _gpu_works():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device and CuPy"))


@pytest.fixture(scope="session", autouse=True)
def _processes_share_scans(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let the processes of one run find each other's simulated scans."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = tmp_path_factory.getbasetemp().parent / "scans"
        folder.mkdir(exist_ok=True)
        os.environ["CSIQ_TEST_SCANS"] = str(folder)  # read by tests/scans.py


@pytest.fixture(scope="session")
def simulated() -> tuple[Acquisition, Truth]:
    """Return a small breathing scan, 48^3 and 6 coils, and the truth about it."""
    from csiq.simulate.protocol import ScanConfig
    from tests.scans import scan_and_truth

    return scan_and_truth(ScanConfig(matrix=48, seed=3, n_coils=6))
