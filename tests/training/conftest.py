"""One thread, and a small graded set that all tests of training share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from csiq.arrays import use_threads
from tests.training.graded_folder import make_graded


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    use_threads(None)
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the manifest of 16 volumes in train1, train2, train3 and test."""
    return make_graded(tmp_path_factory.mktemp("graded"))
