"""Every example runs, in an empty folder, with warnings as errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "examples"
EXAMPLES = sorted(FOLDER.glob("[0-9]*.py"))
SAYS = {
    "01_look_at_raw": "spokes in phases 1",
    "02_reconstruct_and_rank": "best phase",
    "03_own_sigpy_app": "phase 4: grade",
    "04_own_rule": "iteration 1: cost",
    "05_monitor_own_app": "best image: iteration",
}


def run(script: Path, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, script],
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(script, tmp_path):
    assert SAYS[script.stem] in run(script, tmp_path)


@pytest.mark.slow
def test_callback_for_mrpro_runs(tmp_path):
    if find_spec("mrpro") is None:
        pytest.skip("needs mrpro")
    said = run(FOLDER / "mrpro_callback.py", tmp_path)
    assert "iteration  2  cost" in said
    assert "by grade_plateau_mean" in said


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bart") is None, reason="needs BART")
def test_loop_around_bart_runs(tmp_path):
    said = run(FOLDER / "bart_loop.py", tmp_path)
    assert "call  4  grade" in said
    assert "best image: x" in said
