"""The public names: all there, each loaded only when it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import csiq


@pytest.mark.parametrize("name", csiq.__all__)
def test_public_name_is_there_and_documented(name):
    value = getattr(csiq, name)
    assert name == "__version__" or value.__doc__


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
