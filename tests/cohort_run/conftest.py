"""Cohorts of made-up scans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from csiq.cohort_run import run as run_module
from tests.cohort_run import fake_scans

MakeCohort = Callable[..., Path]


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put made-up scans in the place of reconstructions, and no network."""
    monkeypatch.setattr(run_module, "reconstruct_scan", fake_scans.behave)
    monkeypatch.setattr(run_module, "models_of", lambda configs: {"default": "0" * 64})


@pytest.fixture
def cohort(tmp_path: Path, fakes: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeCohort]:
    """Return what makes a manifest of scans that behave as they are told; its folder is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()

    def make(**words: str) -> Path:
        for name, word in words.items():
            (tmp_path / "raw" / f"{name}.h5").write_text(word)
        lines = ["scan\traw\tconfig", *(f"{name}\traw/{name}.h5\tnan" for name in words)]
        (tmp_path / "scans.tsv").write_text("\n".join(lines) + "\n")
        return tmp_path / "scans.tsv"

    return make
