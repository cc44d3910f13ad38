"""The public names: all there, each loaded only when it is used."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import csiq
from csiq import run_json
from csiq.cli import main
from csiq.report import record

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", csiq.__all__)
def test_public_name_is_there_and_documented(name):
    value = getattr(csiq, name)
    assert name == "__version__" or value.__doc__


@pytest.mark.parametrize("name", sorted(csiq._HOME))
def test_no_module_has_the_name_of_a_public_name(name):
    # importing it would put the module in the name's place: csiq.run(...) worked once, and then no more
    assert find_spec(f"csiq.{name}") is None


def test_unknown_names_are_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'reconstrukt'"):
        csiq.reconstrukt  # noqa: B018


def test_importing_csiq_imports_nothing_heavy():
    heavy = "{'numpy', 'torch', 'sigpy', 'scipy', 'matplotlib'}"
    code = f"import csiq, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version_is_written_in_one_place():
    from importlib.metadata import version

    assert csiq.__version__ == version("csiq")


@pytest.mark.parametrize("command", ["rank", "curves", "report"])
def test_a_folder_of_a_later_csiq_is_not_guessed_at(command, tmp_path, capsys):
    (tmp_path / "run.json").write_text('{"schema_version": 99, "csiq": "9.0.0", "status": "complete"}')
    assert main([command, str(tmp_path)]) == 3
    assert "run.json: schema_version: has schema_version 99, known is 1" in capsys.readouterr().err


def test_who_reads_and_who_writes_a_run_know_one_number():
    assert record.SCHEMA_VERSION == run_json.SCHEMA_VERSION


def test_nothing_is_deprecated_that_the_page_does_not_name():
    """Whoever adds a warning has to say so where people look for it."""
    page = (ROOT / "docs" / "api-stability.md").read_text(encoding="utf-8")
    warns = [path for path in (ROOT / "csiq").rglob("*.py") if "DeprecationWarning" in path.read_text()]
    assert ("Nothing is deprecated at present." in page) == (not warns)
