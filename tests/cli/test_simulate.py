"""``csiq simulate`` as somebody types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from csiq.cli.simulate import simulate
from csiq.errors import ConfigError, OutputError
from csiq.io import read_acquisition


def test_it_writes_a_scan_and_its_truth(tmp_path: Path) -> None:
    target = tmp_path / "scan.h5"
    options = ["-o", str(target), "--matrix", "16", "--spokes", "70", "--coils", "2", "--seed", "3"]
    result = CliRunner().invoke(simulate, options, catch_exceptions=False)
    assert result.exit_code == 0
    assert "70 spokes" in result.output
    assert "scan.truth.h5" in result.output
    scan = read_acquisition(target)
    assert scan.kspace.shape == (2, 70, 32)
    with pytest.raises(OutputError, match="--overwrite") as caught:
        CliRunner().invoke(simulate, options, catch_exceptions=False)
    assert caught.value.exit_code == 7
    before = target.read_bytes()
    result = CliRunner().invoke(simulate, [*options, "--overwrite"], catch_exceptions=False)
    assert result.exit_code == 0
    assert len(target.read_bytes()) == len(before)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="folder does not exist"):
        CliRunner().invoke(simulate, ["-o", str(tmp_path / "no" / "scan.h5")], catch_exceptions=False)
