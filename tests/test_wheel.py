"""The wheel carries everything: built, installed outside the repository, and used there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Return a function that runs Python in an empty folder with the wheel installed, the checkout unseen."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    # build/ beside setup.py would be picked up by the next build: work on a copy of what git knows
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    for name in filter(None, names):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder / "dist", source],
        check=True,
        capture_output=True,
    )
    (wheel,) = (folder / "dist").glob("csiq-*.whl")
    site = folder / "site"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        site,
        wheel,
    ]
    subprocess.run(pip, check=True, capture_output=True)
    here = folder / "empty"
    here.mkdir()

    def run(*args: str) -> str:
        done = subprocess.run(
            [sys.executable, *args],
            cwd=here,
            env={**os.environ, "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    _take_compiled_loops_along(site)
    return run


def _take_compiled_loops_along(site: Path) -> None:
    """Copy what numba compiled of the checkout's sources: to compile all of them takes half a minute.

    Numba tells a source by its size and time, and compiles what it finds nothing for.
    """
    for source in (ROOT / "csiq").rglob("*.py"):
        compiled = list(source.parent.glob(f"__pycache__/{source.stem}.*.nb[ci]"))
        there = site / source.relative_to(ROOT)
        if compiled and there.read_bytes() == source.read_bytes():
            shutil.copystat(source, there)
            there.with_name("__pycache__").mkdir(exist_ok=True)
            for file in compiled:
                shutil.copy(file, there.with_name("__pycache__"))


@pytest.mark.slow
def test_every_file_of_the_package_is_there(elsewhere) -> None:
    listing = subprocess.run(
        ["git", "ls-files", "csiq"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    package = "pathlib.Path(csiq.__file__).parent"
    found = elsewhere("-c", f"import csiq, pathlib; print(*{package}.rglob('*'), sep='\\n')").split("\n")
    assert all("/site/" in line for line in found if line)  # not the checkout
    there = {line.rpartition("/site/")[2] for line in found}
    assert "csiq/tuning/templates/tune.html" in listing
    assert [name for name in listing if name not in there] == []


@pytest.mark.slow
def test_presets_and_weights_are_in_the_wheel(elsewhere):
    listed = elsewhere("-m", "csiq", "config", "list")
    assert "whole-heart" in listed
    assert "xenon-lung" in listed
    assert "as its card says" in elsewhere("-m", "csiq", "model", "verify")


@pytest.mark.slow
def test_a_small_scan_is_reconstructed_there(elsewhere):
    commands = (
        "simulate -o scan.h5 --matrix 32 --spokes 600 --coils 4",
        "recon scan.h5 --preset whole-heart-fast --coils 3 --max-iter 1 -o out",
    )
    code = f"import csiq, os; from csiq.cli import main; assert {str(ROOT)!r} not in csiq.__file__\n"
    code += "".join(f"assert main({command.split()}) == 0\n" for command in commands)
    files = elsewhere("-c", code + "print(sorted(os.listdir('out')))")
    for name in ("report.html", "ranking.json", "phase-4.nii.gz"):
        assert name in files
