"""Which volumes are known to be simulated; everything else counts as measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from csiq.io.provenance import is_simulated


@pytest.mark.parametrize(
    ("beside", "simulated"),
    [
        ({"simulated": True}, True),
        ({"simulated": False}, False),
        ({"simulated": "yes"}, False),
        ({"patient": {"seed": 3}, "measured_by": "ab"}, True),
        ({"patient": "Anna"}, False),
        ({"patient": {"seed": 3}}, False),
        ([], False),
    ],
)
def test_what_a_sidecar_says(tmp_path: Path, beside: object, simulated: bool) -> None:
    (tmp_path / "scan.json").write_text(json.dumps(beside))
    assert is_simulated(tmp_path / "scan.nii.gz") is simulated


@pytest.mark.parametrize("place", ["phase-1.nii.gz", "volumes.h5", "iterates/iter-003.h5"])
@pytest.mark.parametrize(("vendor", "simulated"), [("simulated", True), ("SIEMENS", False), (None, False)])
def test_what_a_run_says(tmp_path: Path, place: str, vendor: str | None, simulated: bool) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"scan": {"system": {"vendor": vendor}}}))
    assert is_simulated(tmp_path / place) is simulated


def test_nothing_known_is_measured(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    (tmp_path / "scan.json").write_text("no json")
    assert not is_simulated(tmp_path / "scan.nii")
