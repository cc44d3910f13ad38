"""``csiq simulate`` as somebody types it."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from csiq.cli.simulate import scan_config, simulate
from csiq.errors import ConfigError, DeviceError, OutputError
from csiq.io import read_acquisition
from csiq.simulate.imperfections import Imperfections
from csiq.simulate.protocol import ScanConfig


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


def test_a_gpu_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match="cuda:0") as caught:
        CliRunner().invoke(
            simulate, ["-o", str(tmp_path / "scan.h5"), "--device", "cuda:0"], catch_exceptions=False
        )
    assert caught.value.exit_code == 5
    assert not list(tmp_path.iterdir())


def test_what_goes_wrong_is_an_option(tmp_path: Path) -> None:
    target = tmp_path / "scan.h5"
    asked = {"--matrix": "12", "--spokes": "100", "--heartbeats": "34", "--coils": "2", "--amplitude": "18"}
    asked |= {"--cardiac": "1.2", "--off-resonance": "40", "--missing": "10", "--zeroed": "5", "--drift": "0"}
    asked |= {"--arrhythmia": "9", "--dwell": "end-inspiration"}
    words = [word for pair in asked.items() for word in pair]
    command = ["-o", str(target), *words, "--gradient-delay", "4", "-3", "2"]
    result = CliRunner().invoke(simulate, command, catch_exceptions=False)
    assert result.exit_code == 0
    assert "90 spokes" in result.output
    scan = read_acquisition(target)
    assert scan.kspace.shape == (2, 90, 24)
    assert (scan.kspace == 0).all(axis=(0, 2)).sum() == 5
    with h5py.File(tmp_path / "scan.truth.h5") as file:
        assert file["heart"].shape == (90, 3)
        assert np.unique(file["heartbeat"][file["ectopic"][:]]).size == 3
        assert np.median(file["breathing"]) > np.ptp(file["breathing"]) / 2  # dwells at end-inspiration


def test_options_become_a_scan() -> None:
    config = scan_config({"coils": 4, "heartbeats": 89, "missing": 5.0, "gradient_delay": (1.0, 2.0, 3.0)})
    assert (config.n_coils, config.n_interleaves) == (4, 89)
    assert config.imperfections == Imperfections(gradient_delay=(1.0, 2.0, 3.0), missing=0.05)
    assert scan_config({}) == ScanConfig()
    with pytest.raises(ConfigError, match="--dwell"):
        scan_config({"dwell": "expiration"})
    with pytest.raises(ConfigError, match="--heartbeats"):
        scan_config({"heartbeats": 0})
