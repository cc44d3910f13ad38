"""Every example runs, in an empty folder, with warnings as errors."""

from __future__ import annotations

import runpy
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from csiq.acquisition import Acquisition
from csiq.simulate.protocol import ScanConfig
from csiq.simulate.scan import Truth
from tests.scans import scan_and_truth

#: They say so themselves: their voxels are larger than the network knows.
pytestmark = pytest.mark.filterwarnings("ignore::csiq.monitor.grading.QualityWarning")
FOLDER = Path(__file__).resolve().parents[1] / "examples"
EXAMPLES = sorted(FOLDER.glob("[0-9]*.py"))
SAYS = {
    "01_look_at_raw": "spokes in phases 1",
    "02_reconstruct_and_rank": "because of plateau",
    "03_own_sigpy_app": "phase 4: grade",
    "04_own_rule": "stopped at iteration",
    "05_monitor_own_app": "stopped at iteration 10 by",
}


Simulation = Callable[[ScanConfig], tuple[Acquisition, Truth]]


def small(config: ScanConfig) -> tuple[Acquisition, Truth]:
    """Return the scan that an example asks for, coarser."""
    return scan_and_truth(replace(config, matrix=32))


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a script as ``python`` would, but in this process; all of them simulate the same scan."""

    def as_main(script: Path, simulated: Simulation = small) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [str(script)])
        monkeypatch.setattr("csiq.simulate.simulate_scan", simulated)
        runpy.run_path(str(script), run_name="__main__")
        return capsys.readouterr().out

    return as_main


@pytest.mark.slow
@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(script, run):
    assert SAYS[script.stem] in run(script)


@pytest.mark.slow
def test_callback_for_mrpro_runs(run):
    try:
        import_module("mrpro")
    except (ImportError, OSError, RuntimeError) as error:
        # a torchvision that is not of this torch is a RuntimeError
        pytest.skip(f"needs mrpro that can be imported: {error}")
    said = run(FOLDER / "mrpro_callback.py", scan_and_truth)
    assert "iteration  2  cost" in said
    assert "by grade_plateau_mean" in said


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bart") is None, reason="needs BART")
def test_loop_around_bart_runs(run, simulated):
    said = run(FOLDER / "bart_loop.py", lambda config: simulated)  # of 48^3 as well
    assert "call  4  grade" in said
    assert "best image: x" in said
